"""A playbook's file: what it may say, and what is wrong with one that does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from domain.model import JsonObject
from teams.playbook import document, template
from teams.playbook.document import Document, DocumentError, Place
from teams.playbook.parameters import Parameter
from teams.playbook.rules import faults
from teams.schema import explain, infinite_numbers, location, name_of, validator

MAX_BYTES: Final = 256 * 1024
DEFAULT_TIMEOUT: Final = 600.0


class PlaybookError(Exception):
    """A playbook's file can't be used.

    Attributes:
        problems: What is wrong, each with its line.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a step writes into its working directory, kept as an artifact."""

    name: str
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command; `timeout` is seconds for each attempt, `files` are paths relative to the playbook's folder."""

    key: str
    title: str
    command: tuple[template.Template, ...]
    timeout: float
    retries: int
    env: tuple[str, ...]
    files: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Output, ...]

    @property
    def references(self) -> set[str]:
        """Names of all values that go into the command."""
        return {name for argument in self.command for name in argument.references}


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """A playbook as it was read; `folder` is where its files lie."""

    name: str
    folder: Path
    description: str
    parameters: tuple[Parameter, ...]
    steps: tuple[Step, ...]


def check_playbook(path: Path) -> list[str]:
    """Return what is wrong with a playbook's file, such as `line 12: steps.1.timeout: ...`; nothing when it is fine."""
    try:
        read_playbook(path)
    except PlaybookError as error:
        return error.problems
    return []


def read_playbook(path: Path) -> Playbook:
    """Read and check a playbook's file.

    Raises:
        PlaybookError: It can't be read, or breaks a rule.
    """
    text = _text(path)
    try:
        read = document.parse(text)
    except DocumentError as error:
        raise PlaybookError([str(error)]) from error
    problems = list(_problems(read, path.parent))
    if problems:
        raise PlaybookError(problems)
    return _build(read.value, path)


@cache
def format_schema() -> JsonObject:
    """Return the JSON Schema of playbooks."""
    text = resources.files("teams.playbook").joinpath("playbook.schema.json").read_text("utf-8")
    schema: JsonObject = json.loads(text)
    return schema


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PlaybookError([f"line 1: the file is larger than {MAX_BYTES} bytes"])
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PlaybookError([f"line 1: the file can't be read: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise PlaybookError([f"line 1: the file is not UTF-8 at byte {error.start}"]) from error


def _problems(read: Document, folder: Path) -> Iterator[str]:
    """Yield what is wrong in the order of the lines; rules are only looked at where the form is right."""
    found: list[tuple[Place, str]] = [
        (_as_place(read, place), f"{name_of(place)} must be a finite number.") for place in infinite_numbers(read.value)
    ]
    for fault in validator(format_schema()).iter_errors(read.value):
        place = location(fault)
        found.append((_as_place(read, place), explain(fault, name_of(place or ("the playbook",)))))
    if not found:
        found = faults(read.value, folder)
    for line, name, message in sorted((read.line(place), _name(place), message) for place, message in found):
        yield f"line {line}: {name}: {message}" if name else f"line {line}: {message}"


def _as_place(read: Document, place: tuple[str, ...]) -> Place:
    """Turn a path of texts into one whose indices are numbers, as the document's lines have it."""
    found: Place = ()
    for part in place:
        numbered = (*found, int(part)) if part.isdigit() else (*found, part)
        found = numbered if numbered in read.lines else (*found, part)
    return found


def _name(place: Place) -> str:
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in place)


def _build(value: Any, path: Path) -> Playbook:
    folder = path.parent
    return Playbook(
        name=folder.name if path.name == "playbook.yaml" else path.stem,
        folder=folder,
        description=value["description"].strip(),
        parameters=tuple(
            Parameter.declared(name, rules, folder) for name, rules in value.get("parameters", {}).items()
        ),
        steps=tuple(_step(rules) for rules in value["steps"]),
    )


def _step(rules: dict[str, Any]) -> Step:
    return Step(
        key=rules["key"],
        title=rules["title"].strip(),
        command=tuple(template.parse(argument) for argument in rules["command"]),
        timeout=rules.get("timeout", DEFAULT_TIMEOUT),
        retries=int(rules.get("retries", 0)),
        env=tuple(rules.get("env", ())),
        files=tuple(rules.get("files", ())),
        inputs=tuple(rules.get("inputs", ())),
        outputs=tuple(Output(**output) for output in rules.get("outputs", ())),
    )
