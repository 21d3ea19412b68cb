"""Bells for tests: quick ones, what they say, and a wire that can be cut or go dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from domain.ports import BellState
from storage.bell import BellTimings, BroadcastBell

WAIT_SECONDS: Final = 30
QUICK: Final = BellTimings(ping=0.05, patience=5.0, backoff=0.01, backoff_limit=0.05)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


async def until_state(bell: BroadcastBell, state: BellState) -> None:
    await until(lambda: bell.status.state is state)


class Ears:
    """What was heard since they were opened."""

    def __init__(self) -> None:
        self.heard: list[int | None] = []

    async def hears(self, pos: int | None) -> None:
        """Wait until this has been heard."""
        await until(lambda: pos in self.heard)


@asynccontextmanager
async def listening(bell: BroadcastBell) -> AsyncIterator[Ears]:
    """Note what a bell says while the block runs."""
    ears = Ears()

    async def listen() -> None:
        async for pos in bell.listen():
            ears.heard.append(pos)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)  # it listens from here on
    try:
        yield ears
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Wire:
    """A TCP proxy: while it is dead, connections stay open and nothing comes through."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._alive = asyncio.Event()
        self._alive.set()
        self._ends: list[asyncio.Task[None]] = []

    def die(self) -> None:
        self._alive.clear()

    def revive(self) -> None:
        self._alive.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for end in self._ends:
                end.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends += [
            asyncio.create_task(self._pass_on(reader, other_writer)),
            asyncio.create_task(self._pass_on(other_reader, writer)),
        ]

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._alive.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
