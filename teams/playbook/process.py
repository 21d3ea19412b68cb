"""Runs one command in a process group of its own and hands out what it prints, in bounded memory.

A group is ended whole: SIGTERM, two seconds, SIGKILL; on a timeout, when whoever listens goes away, and for what a
command leaves behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

GRACE: Final = 2.0
"""Seconds from SIGTERM to SIGKILL, and for which output is still awaited from a process that left its group."""

_POLL: Final = 0.02
_HIGH_WATER: Final = 256 * 1024
"""Bytes not yet taken from which the command is left to wait."""


class CommandNotStartedError(Exception):
    """The program can't be run; the message says why."""


class Command:
    """A running command.

    Attributes:
        timed_out: Whether it was ended because its time was over.
    """

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> None:
        self._argv = argv
        self._cwd = cwd
        self._env = env
        self._timeout = timeout
        self._code: int | None = None
        self.timed_out = False

    @property
    def exit_code(self) -> int:
        """The exit code, negative for the signal that ended it; known once the output is at its end."""
        assert self._code is not None
        return self._code

    async def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Start the command and yield what it prints as (1 for standard output or 2 for standard error, bytes).

        Ends when the command has ended and, at the latest `GRACE` later, its output.

        Raises:
            CommandNotStartedError: There is no such program, or it can't be run.
        """
        transport, pipes = await self._start()
        group = _Group(transport.get_pid(), pipes)
        watch = asyncio.create_task(self._watch(group, pipes))
        try:
            while (item := await pipes.take()) is not None:
                yield item
            await watch
            self._code = transport.get_returncode()
        finally:
            watch.cancel()
            try:
                await group.end()
            finally:
                transport.close()

    async def _start(self) -> tuple[asyncio.SubprocessTransport, _Pipes]:
        program = self._argv[0]
        try:
            transport, pipes = await asyncio.get_running_loop().subprocess_exec(
                _Pipes,
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._cwd,
                env=dict(self._env),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise CommandNotStartedError(f"There is no program {program!r} on this server.") from error
        except OSError as error:
            raise CommandNotStartedError(f"The program {program!r} can't be run: {error.strerror}.") from error
        return transport, pipes

    async def _watch(self, group: _Group, pipes: _Pipes) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await pipes.exited.wait()
        except TimeoutError:
            self.timed_out = True
        await group.end()
        pipes.close_soon()


class _Group:
    """The processes of a command."""

    def __init__(self, pid: int, pipes: _Pipes) -> None:
        self._pid = pid
        self._pipes = pipes
        self._ended = False

    async def end(self) -> None:
        """Return when no process of the group is left."""
        if self._ended:
            return
        try:
            if self._signal(signal.SIGTERM):
                await self._wait_until_gone()
        finally:
            self._signal(signal.SIGKILL)
        await self._pipes.exited.wait()
        self._ended = True

    async def _wait_until_gone(self) -> None:
        """Wait for the grace period; a process that nobody reaps counts as there."""
        try:
            async with asyncio.timeout(GRACE):
                while self._signal(0):  # no event tells when the last of a group is gone
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            return

    def _signal(self, number: int) -> bool:
        """Send a signal to all of the group and return whether there was any process."""
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class _Pipes(asyncio.SubprocessProtocol):
    """Holds what a command printed until it is taken, and makes the command wait when that is too much."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self._open = {1, 2}
        self._held: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._paused = False
        self._changed = asyncio.Event()
        self._deadline: float | None = None
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods, not the base class.
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._held.append((fd, data))
        self._size += len(data)
        if self._size >= _HIGH_WATER and not self._paused:
            self._paused = True
            for pipe in self._readers():
                pipe.pause_reading()
        self._changed.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        self._changed.set()

    def process_exited(self) -> None:
        self.exited.set()
        self._changed.set()

    def close_soon(self) -> None:
        """Wait no longer than the grace period for each further piece of output: its writer left the group."""
        self._deadline = GRACE
        self._changed.set()

    async def take(self) -> tuple[int, bytes] | None:
        """Return the next piece of output, None at its end."""
        while not self._held:
            if not self._open:
                return None
            self._changed.clear()
            try:
                async with asyncio.timeout(self._deadline):
                    await self._changed.wait()
            except TimeoutError:
                return None
        fd, data = self._held.popleft()
        self._size -= len(data)
        if self._paused and self._size < _HIGH_WATER // 2:
            self._paused = False
            for pipe in self._readers():
                pipe.resume_reading()
        return fd, data

    def _readers(self) -> list[asyncio.ReadTransport]:
        assert self._transport is not None
        return [cast("asyncio.ReadTransport", self._transport.get_pipe_transport(fd)) for fd in self._open]
