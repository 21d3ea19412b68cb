"""The rules of playbooks that a schema can't say; they take a value of the right form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias

from domain.errors import InvalidInputError
from teams.playbook import template
from teams.playbook.document import Place
from teams.playbook.parameters import Parameter, ParameterType

Fault: TypeAlias = "tuple[Place, str]"

PYTHON: Final = "{python}"
"""As a command's program: the Python that runs the server."""

_ONLY_FOR: Final = {
    "pattern": {ParameterType.STRING},
    "enum": {ParameterType.STRING, ParameterType.INTEGER, ParameterType.NUMBER},
    "minimum": {ParameterType.INTEGER, ParameterType.NUMBER},
    "maximum": {ParameterType.INTEGER, ParameterType.NUMBER},
    "folder": {ParameterType.FILE},
}
_OURS: Final = frozenset({"PATH", "HOME", "TMPDIR", "LANG", "PYTHONUNBUFFERED"})


def faults(playbook: Any, folder: Path) -> list[Fault]:
    """Return each broken rule with its place."""
    parameters: Mapping[str, Any] = playbook.get("parameters", {})
    used: set[str] = set()
    found = [fault for name, rules in parameters.items() for fault in _parameter(name, rules, folder)]
    found += _steps(playbook["steps"], parameters, folder, used)
    if not found:
        found += [(("parameters", name), "no command uses this parameter.") for name in parameters if name not in used]
    return found


def is_plain(name: str) -> bool:
    """Whether a file's name is just that: no path, not hidden, nothing unprintable."""
    return name.isprintable() and not name.startswith((".", "-")) and not set(name) & set("/\\{}")


def _steps(
    steps: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any], folder: Path, used: set[str]
) -> Iterator[Fault]:
    """Yield the faults of steps, and note the values that their commands use."""
    made: dict[str, str] = {}
    keys = Counter(step["key"] for step in steps)
    for index, step in enumerate(steps):
        place: Place = ("steps", index)
        if keys[step["key"]] > 1:
            yield (*place, "key"), f"{step['key']!r} is the key of two steps."
        yield from _environment(step.get("env", []), (*place, "env"))
        yield from _files(step, place, folder)
        yield from _inputs(step, place, made)
        yield from _outputs(step, place, made)
        yield from _command(step, place, parameters, used)


def _parameter(name: str, rules: Mapping[str, Any], folder: Path) -> Iterator[Fault]:
    place: Place = ("parameters", name)
    kind = ParameterType(rules["type"])
    misplaced = [key for key, kinds in _ONLY_FOR.items() if key in rules and kind not in kinds]
    for key in misplaced:
        yield (*place, key), f"{key} is not for parameters of type {kind}."
    if misplaced:
        return
    parameter = Parameter.declared(name, rules, folder)
    if parameter.folder is not None and not (parameter.folder.is_dir() and _is_inside(parameter.folder, folder)):
        yield (*place, "folder"), f"there is no folder {rules.get('folder', 'data')!r} beside the playbook."
        return
    if parameter.pattern is not None and (wrong := _regex_fault(parameter.pattern)):
        yield (*place, "pattern"), wrong
        return
    if parameter.minimum is not None and parameter.maximum is not None and parameter.minimum > parameter.maximum:
        yield (*place, "minimum"), "minimum is larger than maximum."
    checked = [((*place, "enum", index), value) for index, value in enumerate(parameter.enum)]
    if not parameter.required:
        checked.append(((*place, "default"), parameter.default))
    for where, value in checked:
        try:
            parameter.check(value, (name,))
        except InvalidInputError as error:
            yield where, error.message


def _regex_fault(pattern: str) -> str | None:
    try:
        re.compile(f"^(?:{pattern})$")
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}."
    return None


def _environment(names: Sequence[str], place: Place) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if name in _OURS:
            yield (*place, index), f"{name} is always set for commands."
        elif name.upper().startswith("MGX_"):
            yield (*place, index), f"{name} is a setting of the server and never given to commands."


def _files(step: Mapping[str, Any], place: Place, folder: Path) -> Iterator[Fault]:
    for index, name in enumerate(step.get("files", [])):
        path, relative = folder / name, PurePosixPath(name)
        if relative.is_absolute() or not is_plain(relative.name) or not _is_inside(path, folder):
            yield (*place, "files", index), f"{name!r} must be a relative path to a file beside the playbook."
        elif not path.is_file():
            yield (*place, "files", index), f"there is no file {name!r} beside the playbook."


def _inputs(step: Mapping[str, Any], place: Place, made: Mapping[str, str]) -> Iterator[Fault]:
    for index, name in enumerate(step.get("inputs", [])):
        if name not in made:
            yield (*place, "inputs", index), f"no earlier step has the output {name!r}."


def _outputs(step: Mapping[str, Any], place: Place, made: dict[str, str]) -> Iterator[Fault]:
    for index, output in enumerate(step.get("outputs", [])):
        where: Place = (*place, "outputs", index, "name")
        name = output["name"]
        if not is_plain(name):
            yield where, f"{name!r} must be a plain file name: no path, no braces, and no '.' or '-' at its start."
        elif name in made:
            yield where, f"{name!r} is already an output of step {made[name]!r}."
        else:
            made[name] = step["key"]


def _command(step: Mapping[str, Any], place: Place, parameters: Mapping[str, Any], used: set[str]) -> Iterator[Fault]:
    present = {
        "files": [PurePosixPath(name).name for name in step.get("files", [])],
        "inputs": list(step.get("inputs", [])),
        "outputs": [output["name"] for output in step.get("outputs", [])],
    }
    for name, count in Counter(name for names in present.values() for name in names).items():
        if count > 1:
            yield place, f"the step has {name!r} twice among its files, inputs and outputs."
    for index, text in enumerate(step["command"]):
        where: Place = (*place, "command", index)
        if "\0" in text:
            yield where, "a command can't hold the character NUL."
        if index == 0 and text == PYTHON:
            continue
        try:
            argument = template.parse(text)
        except ValueError as error:
            yield where, f"{error}."
            continue
        if index == 0 and (argument.references or not text.strip()):
            yield where, "the program can't be a value; write its name, or {python}."
        for name in argument.references:
            used.add(name)
            if wrong := _reference_fault(name, parameters, present):
                yield where, wrong


def _reference_fault(name: str, parameters: Mapping[str, Any], present: Mapping[str, Sequence[str]]) -> str | None:
    kind, dot, file = name.partition(".")
    if not dot:
        if name == "python":
            return "{python} can only be the program, the command's first item."
        return None if name in parameters else f"there is no parameter {name!r}."
    return None if file in present[kind] else f"the step has no {file!r} among its {kind}."


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
