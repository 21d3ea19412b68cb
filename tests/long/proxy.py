"""A way to PostgreSQL that can be cut: at once, half, in silence, or exactly between a COMMIT and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from random import Random
from typing import Final

from tests.long.pgwire import Frontend

_CHUNK: Final = 65_536


class Cut(StrEnum):
    """How a connection can break."""

    RESET = "RESET"
    """Both sides lose it at once."""
    HALF = "HALF"
    """The client may send no more, and the server still answers."""
    SILENCE = "SILENCE"
    """What is sent either way gets lost, and after a while both sides lose the connection."""
    BEFORE_COMMIT = "BEFORE_COMMIT"
    """A COMMIT gets lost on its way, and with it the connection: the transaction is rolled back."""
    AFTER_COMMIT = "AFTER_COMMIT"
    """A COMMIT is done, and its answer gets lost, and with it the connection."""


AT_COMMIT: Final = frozenset({Cut.BEFORE_COMMIT, Cut.AFTER_COMMIT})
SILENT_SECONDS: Final = 1.0


class Proxy:
    """Passes connections on to a server; made by `running_proxy`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._pipes: set[_Pipe] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._trap: _Trap | None = None

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._pipes)

    async def cut(self, how: Cut, rng: Random) -> None:
        """Break one connection; waits for it, or for its commit, to come.

        Args:
            how: In which way.
            rng: Says which connection, or which of the next commits of all.
        """
        if how in AT_COMMIT:
            self._trap = _Trap(how, rng.randint(1, 10))
            await self._trap.sprung.wait()
            return
        while not self._pipes:
            await asyncio.sleep(0.01)
        pipe = rng.choice(sorted(self._pipes, key=id))
        match how:
            case Cut.RESET:
                pipe.reset()
            case Cut.HALF:
                pipe.end_of_client()
            case _:
                await pipe.fall_silent()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()  # as the server itself does when it is not there
            return
        pipe = _Pipe(writer, back_writer)
        self._pipes.add(pipe)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forth(pipe, reader))
                group.create_task(pipe.to_client(back_reader))
        finally:
            self._pipes.discard(pipe)
            pipe.reset()

    async def close(self) -> None:
        """Break everything."""
        while self._serving:
            for pipe in self._pipes:
                pipe.reset()
            await asyncio.wait(self._serving, timeout=0.1)

    async def _forth(self, pipe: _Pipe, reader: asyncio.StreamReader) -> None:
        frontend = Frontend()
        while data := await _read(reader):
            for message in frontend.feed(data):
                trap = self._sprung() if message.commits else None
                if trap is not None and trap.how is Cut.BEFORE_COMMIT:
                    pipe.reset()
                    trap.sprung.set()
                    return
                if trap is not None:
                    pipe.lose_answer(trap.sprung)
                pipe.to_server(message.raw)
        pipe.end_of_client()

    def _sprung(self) -> _Trap | None:
        """Return the trap that this commit falls into, if it does."""
        trap = self._trap
        if trap is None or not trap.catches():
            return None
        self._trap = None
        return trap


class _Trap:
    """Waits for the n-th commit from now."""

    def __init__(self, how: Cut, place: int) -> None:
        self.how = how
        self.sprung = asyncio.Event()
        self._place = place

    def catches(self) -> bool:
        self._place -= 1
        return self._place == 0


class _Pipe:
    """One connection of a client, and the one that stands for it at the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        self._is_silent = False
        self._is_half = False
        self._cut: asyncio.Event | None = None

    def to_server(self, data: bytes) -> None:
        if not self._is_silent and not self._is_half and not self._server.is_closing():
            self._server.write(data)

    async def to_client(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the server says, to its end."""
        while (data := await _read(reader)) and self._cut is None:
            if not self._is_silent and not self._client.is_closing():
                self._client.write(data)
        self.reset()
        if self._cut is not None:
            self._cut.set()

    def lose_answer(self, cut: asyncio.Event) -> None:
        """Break the connection when the server says something, which gets lost; set the event then."""
        self._cut = cut

    async def fall_silent(self) -> None:
        self._is_silent = True
        await asyncio.sleep(SILENT_SECONDS)
        self.reset()

    def end_of_client(self) -> None:
        """Let the server know that the client says no more."""
        self._is_half = True
        with suppress(OSError):
            self._server.write_eof()

    def reset(self) -> None:
        self._client.transport.abort()
        self._server.transport.abort()


@asynccontextmanager
async def running_proxy(target: int) -> AsyncGenerator[Proxy]:
    """Have a proxy to a port of this machine while the block runs."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except ConnectionError:
        return b""
