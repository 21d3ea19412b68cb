"""docs/teams.md: its teams are registered and run as a reader would."""

import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import domain.signals
from tests.docs.blocks import DOCS, console, write_files
from tests.e2e.client import Api
from tests.e2e.server import serving
from tests.e2e.work import awaiting

PAGE = DOCS / "teams.md"


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A server with the teams of the page."""
    assert write_files("teams.md", tmp_path) == ["house/texts.py", "house/agents.py"]
    ((command, _),) = console("teams.md")
    path, teams, *serve = shlex.split(command)
    assert serve == ["mgx", "serve"]
    monkeypatch.syspath_prepend(str(tmp_path / path.removeprefix("MGX_TEAM_PATH=")))
    registered = f"{teams.removeprefix('MGX_TEAMS=')}, agents=agents:Agents"
    async with serving(tmp_path, teams=registered) as served:
        yield served.api
    for name in ("texts", "agents"):
        sys.modules.pop(name, None)


async def finished(api: Api, task: Any, **fields: Any) -> Any:
    """Return the run of a task after its plan was approved."""
    run = await api.do("createRun", {"taskId": task["id"], "autoApprove": True, **fields})
    await api.life(run["id"])
    select = """status results failure { code message step } usage { costUsd } logs(first: 9) { nodes { message step } }
        artifacts { name } metrics(first: 9) { nodes { name value unit } } plan { steps { key title detail output } }"""
    return await api.run(run["id"], select)


def example() -> Any:
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return json.loads(text)


async def test_the_team_of_the_page_runs(api: Api) -> None:
    run = await finished(api, await api.do("createTask", example()))
    assert (run["status"], run["results"]) == ("COMPLETED", {"texts": 2})
    assert [(step["key"], step["output"]) for step in run["plan"]["steps"]] == [("greeting", 6), ("reply", 1)]
    assert [artifact["name"] for artifact in run["artifacts"]] == ["greeting.md", "reply.md"]
    assert sorted(metric["value"] for metric in run["metrics"]["nodes"]) == [1.0, 6.0]


async def test_the_team_of_the_page_follows_feedback(api: Api) -> None:
    run = await awaiting(api, await api.do("createTask", example()))
    await api.do("requestPlanChanges", {"runId": run["id"], "feedback": "The shortest first, please: shortest first."})
    again = await api.until(run["id"], lambda event: event["sequence"] > 5 and event["type"] == "APPROVAL_REQUIRED")
    assert [step["key"] for step in again["plan"]["steps"]] == ["reply", "greeting"]


async def test_the_team_of_the_page_fails_and_refuses_as_it_says(api: Api) -> None:
    task = await api.do("createTask", example())
    run = await finished(api, task, config={"texts": {"nothing": " "}})
    assert run["failure"] == {"code": "TEAM_ERROR", "message": "The text nothing is empty.", "step": "nothing"}
    assert await api.invalid("createRun", {"taskId": task["id"], "config": {"texts": {}}}) == [
        "input",
        "config",
        "texts",
    ]


async def test_the_agents_of_the_page_run(api: Api) -> None:
    task = await api.do("createTask", {"name": "Login", "team": "agents"})
    run = await finished(api, task)
    assert (run["status"], run["results"]) == ("COMPLETED", {"text": "✅ Done"})
    assert [(step["title"], step["detail"]) for step in run["plan"]["steps"]] == [
        ("Write the form", "- name and password"),
        ("Write its tests", ""),
    ]
    assert [line["message"] for line in run["logs"]["nodes"]] == ["Mike analyses: Login", "Alex works", "Bob works"]
    assert ("duration", 12.3, "s") in [(m["name"], m["value"], m["unit"]) for m in run["metrics"]["nodes"]]
    assert run["usage"]["costUsd"] == 0.0024, "each phase has an object and figures of its own"
    failed = await finished(api, task, config={"fails": True})
    assert (failed["status"], failed["failure"]["message"]) == ("FAILED", "❌ The tests fail")


def test_every_signal_has_its_line() -> None:
    signals = {kind.__name__ for kind in domain.signals.Signal.__args__}
    assert sorted(signals - set(re.findall(r"`(\w+)`", PAGE.read_text()))) == []
