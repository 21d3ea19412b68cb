"""Writes playbooks for tests and runs them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import yaml

from domain.model import JsonObject, JsonValue, Plan
from domain.ports import Team
from domain.signals import Signal
from teams.playbook import Playbooks
from tests.teams.support import heard, numbered, planned, run_of, to_execute, to_plan

PROBE = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "files": sorted(os.listdir())}))
"""


def python(code: str, *arguments: str) -> list[JsonValue]:
    """Return a command that runs a piece of Python, whose braces are not for values."""
    return ["{python}", "-c", dedent(code).strip().replace("{", "{{").replace("}", "}}"), *arguments]


def write(folder: Path, *steps: JsonObject, name: str = "mine", parameters: JsonObject | None = None) -> Path:
    """Write a playbook with what these steps say on top of a key and a title."""
    given: list[JsonObject] = [{"key": f"s{number}", "title": "A step", **step} for number, step in enumerate(steps, 1)]
    playbook = {"description": "For a test.", "steps": given, **({"parameters": parameters} if parameters else {})}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(playbook, sort_keys=False, allow_unicode=True))
    return path


class Stage:
    """The playbook `mine` of a folder, planned and executed with some parameters."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None, /, **parameters: JsonValue) -> None:
        self.playbooks = Playbooks(
            folder=folder, environment={"PATH": "/usr/local/bin:/usr/bin:/bin", **(environment or {})}
        )
        self.config: JsonObject = {"playbook": "mine", "parameters": parameters}
        self.run = run_of("playbook", self.config)

    def team(self) -> Team:
        self.playbooks.validate(self.config)
        return self.playbooks(self.config)

    async def plan(self) -> Plan:
        _, draft = await planned(self.team(), to_plan(self.run))
        return numbered(draft)

    async def execute(self, plan: Plan | None = None, stored: Mapping[str, bytes] | None = None) -> list[Signal]:
        context = to_execute(self.run, plan or await self.plan(), stored)
        return await heard(self.team().execute(context))


__all__ = ["PROBE", "Stage", "python", "write"]
