"""Turns a playbook and a client's parameters into a plan that holds exactly what will run."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from domain.codec import from_json, to_json_object
from domain.errors import InvalidInputError, TeamError
from domain.model import JsonValue, PlanStep
from domain.plan import PlanDraft
from domain.ports import Round
from teams.playbook.format import Output, Playbook, Step
from teams.playbook.parameters import PATH, Parameter, ParameterType, resolve
from teams.playbook.rules import PYTHON


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """A file that is laid into a step's working directory.

    Attributes:
        name: Its name there.
        source: Its path relative to the playbook's folder.
        sha256: Of the bytes that were approved, lower-case hexadecimal.
    """

    name: str
    source: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """All that a step's execution needs; stands in the approved plan."""

    command: tuple[str, ...]
    timeout: float
    retries: int
    env: tuple[str, ...] = ()
    files: tuple[FileSpec, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()

    @classmethod
    def of(cls, step: PlanStep) -> StepSpec:
        """Return the spec of an approved step.

        Raises:
            TeamError: The step holds none.
        """
        try:
            return from_json(cls, step.spec)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise TeamError("This step was not planned by a playbook.", step=step.key, retryable=False) from error

    @property
    def argv(self) -> list[str]:
        """The command with the path of this server's Python where it is asked for."""
        program, *arguments = self.command
        return [sys.executable if program == PYTHON else program, *arguments]

    @property
    def text(self) -> str:
        """The command as one would type it."""
        program, *arguments = self.command
        return shlex.join(["python" if program == PYTHON else program, *arguments])


def settle(playbook: Playbook, given: JsonValue) -> dict[str, JsonValue]:
    """Return the value of each parameter, given or default.

    Raises:
        InvalidInputError: A value is refused; the path leads to it. A free text that begins with `-` is, where it would
            begin an argument, since a program would take it for an option.
    """
    values = resolve(playbook.parameters, given)
    free = {parameter.name for parameter in playbook.parameters if parameter.is_free_text}
    for step in playbook.steps:
        for argument in step.command:
            name = argument.first_reference
            if name in free and str(values[name]).startswith("-"):
                raise InvalidInputError(
                    f"{name} must not begin with '-': the program of step {step.key!r} would take it for an option.",
                    path=(*PATH, name),
                )
    return values


def draft(playbook: Playbook, values: Mapping[str, JsonValue], rounds: Sequence[Round] = ()) -> PlanDraft:
    """Make the plan of a playbook with settled parameters; it reads the files beside the playbook.

    Feedback can't change a playbook: the summary says that it was noted, for those who decide next.

    Raises:
        TeamError: A file beside the playbook can't be read.
    """
    texts = {parameter.name: parameter.text(values[parameter.name]) for parameter in playbook.parameters}
    return PlanDraft(
        summary=_summary(playbook, texts, rounds),
        steps=tuple(_step(playbook, step, texts) for step in playbook.steps),
        spec={"playbook": playbook.name, "parameters": dict(values)},
    )


def _step(playbook: Playbook, step: Step, texts: Mapping[str, str]) -> PlanStep:
    files = _files(playbook, step, texts)
    local = {
        **{f"files.{file.name}": file.name for file in files},
        **{f"inputs.{name}": name for name in step.inputs},
        **{f"outputs.{output.name}": output.name for output in step.outputs},
    }
    spec = StepSpec(
        command=tuple(argument.render({**texts, **local, "python": PYTHON}) for argument in step.command),
        timeout=step.timeout,
        retries=step.retries,
        env=step.env,
        files=files,
        inputs=step.inputs,
        outputs=step.outputs,
    )
    return PlanStep(
        key=step.key, title=step.title, detail=_detail(spec), assignee=playbook.name, spec=to_json_object(spec)
    )


def _files(playbook: Playbook, step: Step, texts: Mapping[str, str]) -> tuple[FileSpec, ...]:
    """Return the files that a step sees: those it lists and those that its `file` parameters name."""
    sources = [*step.files, *(_chosen(playbook.folder, p, texts) for p in playbook.parameters if _reads(step, p))]
    files = tuple(
        FileSpec(name=PurePosixPath(source).name, source=source, sha256=_digest(playbook.folder / source, step.key))
        for source in sources
    )
    names = Counter([*(file.name for file in files), *step.inputs, *(output.name for output in step.outputs)])
    for name, count in names.items():
        if count > 1:
            raise TeamError(f"Step {step.key!r} would have two files {name!r}.", step=step.key, retryable=False)
    return files


def _reads(step: Step, parameter: Parameter) -> bool:
    return parameter.type is ParameterType.FILE and parameter.name in step.references


def _chosen(folder: Path, parameter: Parameter, texts: Mapping[str, str]) -> str:
    assert parameter.folder is not None
    return (parameter.folder / texts[parameter.name]).relative_to(folder).as_posix()


def _digest(path: Path, step: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TeamError(f"The playbook's file {path.name!r} can't be read: {error.strerror}.", step=step) from error


def _summary(playbook: Playbook, texts: Mapping[str, str], rounds: Sequence[Round]) -> str:
    parts = [playbook.description]
    if texts:
        parts.append("Parameters: " + ", ".join(f"{name} = {text}" for name, text in texts.items()) + ".")
    if rounds:
        parts.append(
            "The steps of a playbook are fixed, so the feedback changed nothing in them; to run it with other "
            "parameters, reject this plan and start a run with another config. Noted: "
            + " / ".join(past.feedback[:1000] for past in rounds[-5:])
        )
    return "\n\n".join(parts)[:20_000]


def _detail(spec: StepSpec) -> str:
    lines = [spec.text, "", f"At most {spec.timeout:g} s, {_times(spec.retries)}."]
    if spec.files:
        lines.append("Files: " + ", ".join(f"{file.source} (SHA-256 {file.sha256[:12]}…)" for file in spec.files) + ".")
    if spec.inputs:
        lines.append(f"Reads: {', '.join(spec.inputs)}.")
    if spec.outputs:
        lines.append("Makes: " + ", ".join(f"{output.name} ({output.media_type})" for output in spec.outputs) + ".")
    if spec.env:
        lines.append(f"Sees of the server's environment: {', '.join(spec.env)}.")
    return "\n".join(lines)


def _times(retries: int) -> str:
    match retries:
        case 0:
            return "not repeated if it fails"
        case 1:
            return "repeated once if it fails"
        case _:
            return f"repeated up to {retries} times if it fails"
