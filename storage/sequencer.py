"""Gives events their places in the log of PostgreSQL, where transactions commit in any order.

Whoever commits has its own process number at once what was committed. The advisory lock lets one process do so at a
time, and its transaction is over before the next one's statement looks: so a place that is visible never has a lower
one appear after it, and everyone reads the same order. Places may be left out, where a transaction that gave them
failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlalchemy.exc import DBAPIError

from domain.background import background
from domain.events import Event
from storage.numbering import Numbering
from storage.transactions import told

if TYPE_CHECKING:
    from storage.postgres_pool import Held, PostgresPool

_logger = logging.getLogger(__name__)

OnNumbered: TypeAlias = Callable[[Sequence[Event]], None]

POLL_SECONDS: Final = 1.0
"""How late events get their places when the process that committed them did not live to do it."""

PATIENCE_SECONDS: Final = 2.0
"""How long one who has committed waits for the places of its events; they come later without it as well."""

_BACKOFF: Final = (0.05, 0.2, 1.0)
"""Seconds between attempts to get a lost connection back."""


class Sequencer:
    """Numbers what this process and others committed; made by `open_sequencer`."""

    def __init__(self, pool: PostgresPool, on_numbered: OnNumbered) -> None:
        self._pool = pool
        self._on_numbered = on_numbered
        self._held: Held | None = None
        self._number = Numbering()
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    async def settle(self) -> None:
        """Wait until all that was committed before has its places, for a while at most."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(settled)
        self._wanted.set()
        await asyncio.wait({settled}, timeout=PATIENCE_SECONDS)

    async def connect(self) -> None:
        """Get a connection.

        Raises:
            DBAPIError: The database can't be reached.
        """
        self._held = await self._pool.take()

    async def run(self) -> None:
        """Number for ever."""
        failures = 0
        while True:
            if not failures:
                await self._work_comes()
            self._wanted.clear()
            served, self._waiting = self._waiting, []
            try:
                await self._number_all()
            except Exception as error:  # whatever it was, what has arrived must get its places
                self._waiting += served
                await self._disconnect()
                if not failures:
                    _logger.warning("events wait for their places: %s", _reason(error))
                await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1
            else:
                if failures:
                    _logger.info("events get their places again")
                failures = 0
                _release(served)

    async def close(self) -> None:
        """Give the connection back."""
        _release(self._waiting)
        await self._disconnect()

    async def _work_comes(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wanted.wait()

    async def _number_all(self) -> None:
        if self._held is None:
            await self.connect()
        assert self._held is not None
        while True:
            for events in await self._number(self._held.link):
                told(partial(self._on_numbered, events))
            if self._number.is_complete:
                return

    async def _disconnect(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            with suppress(Exception):  # a broken connection may not even close
                await held.link.close()
                await held.give_back()


@asynccontextmanager
async def open_sequencer(pool: PostgresPool, on_numbered: OnNumbered) -> AsyncGenerator[Sequencer]:
    """Number events until the block ends.

    Args:
        pool: Where connections come from; one is used.
        on_numbered: Called with events that were given their places here, whoever wrote them, in the order of the log:
            those of one transaction together.

    Raises:
        DBAPIError: The database can't be reached.
    """
    sequencer = Sequencer(pool, on_numbered)
    try:
        await sequencer.connect()
        async with background(sequencer.run()):
            yield sequencer
    finally:
        await sequencer.close()


def _release(waiting: Iterable[asyncio.Future[None]]) -> None:
    for settled in waiting:
        settled.set_result(None)


def _reason(error: BaseException) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)
