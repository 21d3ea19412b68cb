"""Does what the deadlines of runs ask for when they come; kept by the store, so that a restart changes nothing."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from typing import Final

from domain.errors import StoreError
from domain.services.work import WorkService

logger = logging.getLogger(__name__)

REST: Final = 1.0
"""Seconds between attempts while the store can't be used, or a run can't be expired."""

_BATCH: Final = 100


class Deadlines:
    """Knows no deadline but the next one.

    Args:
        look_every: Seconds after which the store is asked again for the next one, which others may have set.
    """

    def __init__(self, *, look_every: float) -> None:
        self._look_every = look_every
        self._next: datetime | None = None
        self._wake = asyncio.Event()

    def expect(self, at: datetime) -> None:
        """Take note of a new deadline."""
        if self._next is None or at < self._next:
            self._wake.set()

    async def keep(self, work: WorkService) -> None:
        """Keep them for ever."""
        while True:
            self._wake.clear()
            self._next = None  # a deadline that is set while we look wakes us again
            sleep = await self._look(work)
            with suppress(TimeoutError):
                async with asyncio.timeout(sleep):
                    await self._wake.wait()

    async def _look(self, work: WorkService) -> float:
        """Expire what is due; return the seconds until the next look."""
        try:
            if await work.expire_due(_BATCH):
                return 0.0
            found = await work.next_deadline()
        except StoreError as error:
            logger.warning("deadlines can't be looked at: %s", error)
            return REST
        except Exception:
            logger.exception("deadlines could not be kept")
            return REST
        if found is None:
            return self._look_every
        self._next, until = found
        return min(max(until.total_seconds(), 0.0), self._look_every)
