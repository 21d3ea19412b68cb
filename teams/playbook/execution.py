"""Does one step of an approved plan: its command, as often as it may be tried."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from domain.model import JsonObject
from domain.signals import ArtifactMade, Signal, StepFailed, StepFinished, StepStarted
from teams.playbook.output import Transcript
from teams.playbook.planning import StepSpec
from teams.playbook.process import Command, CommandNotStartedError
from teams.playbook.workspace import Workspace, WorkspaceError


class StepRun:
    """One step of one run.

    Args:
        key: The step's.
        spec: What was approved.
        workspace: Where it works.
        env: The environment of its command, but for the directories.
    """

    def __init__(self, key: str, spec: StepSpec, workspace: Workspace, env: Mapping[str, str]) -> None:
        self._key = key
        self._spec = spec
        self._workspace = workspace
        self._env = env
        self._transcript = Transcript(key)
        self._failure: StepFailed | None = None

    async def signals(self) -> AsyncGenerator[Signal, None]:
        """Try until an attempt succeeds or none is left; ends with StepFinished or StepFailed."""
        tries = self._spec.retries + 1
        for number in range(1, tries + 1):
            yield StepStarted(key=self._key)
            self._failure = None
            self._transcript.begin()
            async with aclosing(self._attempt()) as attempt:
                async for said in attempt:
                    yield said
            failure = self._outcome()
            if failure is None:
                yield StepFinished(key=self._key, output=self._result(number))
                return
            if number == tries or not failure.retryable:
                yield failure
                return
            yield self._transcript.note(f"Attempt {number} of {tries} failed and is repeated. {failure.error}")

    async def _attempt(self) -> AsyncGenerator[Signal, None]:
        try:
            async with self._workspace.attempt(self._spec) as directory:
                async with aclosing(self._command(directory)) as output:
                    async for said in output:
                        yield said
                if self._outcome() is None:
                    async for made in self._outputs(directory):
                        yield made
        except WorkspaceError as error:
            self._fail(str(error), retryable=error.retryable)

    async def _command(self, directory: Path) -> AsyncGenerator[Signal, None]:
        env = {**self._env, "HOME": str(directory), "TMPDIR": str(directory)}
        command = Command(self._spec.argv, cwd=directory, env=env, timeout=self._spec.timeout)
        try:
            async with aclosing(command.output()) as output:
                async for channel, data in output:
                    for said in self._transcript.feed(channel, data):
                        yield said
        except CommandNotStartedError as error:
            self._fail(str(error), retryable=False)
            return
        for said in self._transcript.end():
            yield said
        if command.timed_out:
            self._fail(f"The command took longer than {self._spec.timeout:g} s and was ended.")
        elif command.exit_code:
            self._fail(f"The command {_ending(command.exit_code)}.")

    async def _outputs(self, directory: Path) -> AsyncGenerator[Signal, None]:
        for output in self._spec.outputs:
            content = await self._workspace.collect(output, directory)
            yield ArtifactMade(name=output.name, media_type=output.media_type, content=content, step=self._key)

    def _fail(self, error: str, *, retryable: bool = True) -> None:
        text = "\n".join([error, *self._transcript.last_errors])
        self._failure = StepFailed(key=self._key, error=text, retryable=retryable)

    def _outcome(self) -> StepFailed | None:
        return self._failure

    def _result(self, attempts: int) -> JsonObject:
        return {
            "attempts": attempts,
            "artifacts": [output.name for output in self._spec.outputs],
            "metrics": dict(self._transcript.samples),
        }


def environment(server: Mapping[str, str], spec: StepSpec, **extra: str) -> dict[str, str]:
    """Return what a command sees of the server's environment: where programs are, what its step lists, and extras."""
    allowed = {name: server[name] for name in spec.env if name in server}
    return {
        "PATH": server.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **allowed,
        **extra,
    }


def _ending(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
