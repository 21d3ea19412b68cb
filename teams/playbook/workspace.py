"""The directories that commands work in: each attempt sees a fresh one that holds exactly what was declared."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from teams.playbook.format import Output
from teams.playbook.planning import FileSpec, StepSpec

MAX_OUTPUT: Final = 32 * 1024 * 1024
"""Bytes of the largest artifact."""


class WorkspaceError(Exception):
    """A step can't be given what it needs, or did not leave what it promised.

    Attributes:
        retryable: Whether the same step could find it otherwise.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Workspace:
    """Everything that one execution of a run keeps on disk.

    Args:
        root: A directory of its own.
        folder: Where the playbook's files lie; None when it is gone.
        artifacts: Reads an artifact of the run, for outputs of steps that were done elsewhere.
    """

    def __init__(self, root: Path, folder: Path | None, artifacts: Callable[[str], Awaitable[bytes | None]]) -> None:
        self._attempts = root / "attempts"
        self._shelf = root / "outputs"
        self._folder = folder
        self._artifacts = artifacts
        for directory in (self._attempts, self._shelf):
            directory.mkdir()

    @asynccontextmanager
    async def attempt(self, spec: StepSpec) -> AsyncIterator[Path]:
        """Lend a fresh directory with a step's files and inputs; it is removed afterwards.

        Raises:
            WorkspaceError: A file has changed since the plan was approved, or an input is gone.
        """
        directory = Path(tempfile.mkdtemp(dir=self._attempts))
        try:
            for file in spec.files:
                await asyncio.to_thread(self._lay, file, directory)
            for name in spec.inputs:
                await self._fetch(name, directory)
            yield directory
        finally:
            await remove(directory)

    async def collect(self, output: Output, directory: Path) -> bytes:
        """Take an output from an attempt's directory, and keep it for the steps to come.

        Raises:
            WorkspaceError: It is missing, too large, or no file.
        """
        content = await asyncio.to_thread(read_output, directory / output.name)
        await asyncio.to_thread((self._shelf / output.name).write_bytes, content)
        return content

    def _lay(self, file: FileSpec, directory: Path) -> None:
        if self._folder is None:
            raise WorkspaceError("The playbook of this plan is not on this server any more.", retryable=False)
        source, target = self._folder / file.source, directory / file.name
        try:
            shutil.copyfile(source, target)
            target.chmod(stat.S_IMODE(source.stat().st_mode) & 0o500 | 0o600)
        except OSError as error:
            raise WorkspaceError(f"The playbook's file {file.source!r} can't be read: {error.strerror}.") from error
        with target.open("rb") as copy:
            if hashlib.file_digest(copy, "sha256").hexdigest() != file.sha256:
                raise WorkspaceError(
                    f"The playbook's file {file.source!r} has changed since the plan was made; "
                    "retry the run, so that it is planned and approved as it is now."
                )

    async def _fetch(self, name: str, directory: Path) -> None:
        shelved = self._shelf / name
        if not shelved.exists():
            content = await self._artifacts(name)
            if content is None:
                raise WorkspaceError(f"The artifact {name!r}, which this step reads, is gone.")
            await asyncio.to_thread(shelved.write_bytes, content)
        await asyncio.to_thread(shutil.copyfile, shelved, directory / name)


@asynccontextmanager
async def workspace(
    folder: Path | None, artifacts: Callable[[str], Awaitable[bytes | None]]
) -> AsyncIterator[Workspace]:
    """Make a workspace that only this user can read, and remove it in the end."""
    root = Path(tempfile.mkdtemp(prefix="mgx-"))
    try:
        yield Workspace(root, folder, artifacts)
    finally:
        await remove(root)


async def remove(directory: Path) -> None:
    """Remove a directory off the event loop, to the end even when the caller is cancelled."""
    await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))


def read_output(path: Path) -> bytes:
    """Return a file that a command wrote; links are not followed, since they could lead anywhere.

    Raises:
        WorkspaceError: It is missing, too large, or no regular file.
    """
    try:
        # A named pipe would hold up an open that waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise WorkspaceError(f"The command did not write its output {path.name!r}.") from error
    except OSError as error:
        raise WorkspaceError(f"The output {path.name!r} can't be read: {error.strerror}.") from error
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise WorkspaceError(f"The output {path.name!r} is no regular file.")
        if state.st_size > MAX_OUTPUT:
            raise WorkspaceError(f"The output {path.name!r} has {state.st_size} bytes; at most {MAX_OUTPUT} are kept.")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_OUTPUT)
    finally:
        os.close(descriptor)
