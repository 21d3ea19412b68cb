"""The bell behind broadcaster: says that the log has grown, and never carries what it grew by.

All rings go over one constant topic, by one task: broadcaster's backends break when several publish or subscribe at
once. Rings that come while one is on its way become one, since only the newest place counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from broadcaster import Broadcast

MEMORY: Final = "memory://"
_TOPIC: Final = "events"


class BroadcastBell:
    """Implements `domain.ports.Bell`; made by `open_bell`."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._rung = asyncio.Event()
        self._pos = 0

    def ring(self, pos: int, /) -> None:
        """Say that the log has grown to a place; returns at once."""
        self._pos = max(self._pos, pos)
        self._rung.set()

    async def listen(self) -> AsyncIterator[int]:
        """Yield the places that were rung, from now on; two rings may come as one."""
        async with self._broadcast.subscribe(_TOPIC) as subscriber:
            while True:
                ring = await subscriber.get()
                yield int(ring.message)

    async def publish(self) -> None:
        """Pass the rings on, one at a time, for ever."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            await self._broadcast.publish(_TOPIC, str(self._pos))


@asynccontextmanager
async def open_bell(url: str = MEMORY) -> AsyncGenerator[BroadcastBell, None]:
    """Open a bell that everyone with the same URL hears; with `memory://` this process alone."""
    async with Broadcast(url) as broadcast:
        bell = BroadcastBell(broadcast)
        publisher = asyncio.create_task(bell.publish())
        try:
            yield bell
        finally:
            publisher.cancel()
            with suppress(asyncio.CancelledError):
                await publisher
