"""Removes the history of runs that are long over, a little at a time, so that nobody who writes is held up by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from domain.background import background
from domain.errors import StoreError
from domain.model import ENGINE
from domain.store import Store

logger = logging.getLogger(__name__)

ROWS: Final = 200
"""Events, and lines of logs, that one transaction removes at most."""

PAUSE: Final = 0.02
"""Seconds between two such transactions, in which others get their turn to write."""

ROUND: Final = timedelta(minutes=1)
"""How often to look for what has grown too old; the same after a failure."""


class Retention:
    """Keeps the log to what the operator wants kept."""

    def __init__(self, store: Store, kept: timedelta) -> None:
        """Keep history of runs for some time after their end.

        Args:
            store: Of which one process at a time removes history, however many try.
            kept: How long; longer than nothing.
        """
        self._store = store
        self._kept = kept

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Remove what is too old until the block ends; a transaction that is under way then is taken back."""
        async with background(self._remove_for_ever()):
            yield

    async def sweep(self) -> int:
        """Remove all that is too old now.

        Returns:
            How many runs' history is gone.

        Raises:
            StoreError: The database can't do it now; what is left is removed another time.
        """
        gone = 0
        while (removed := await self._remove_some()) is not None:
            gone += removed
            await asyncio.sleep(PAUSE)
        return gone

    async def _remove_some(self) -> int | None:
        async with self._store.write(ENGINE) as tx:
            return await tx.history.forget(self._kept, ROWS)

    async def _remove_for_ever(self) -> None:
        while True:
            try:
                if gone := await self.sweep():
                    logger.info("the history of %d runs was removed", gone)
            except StoreError as error:
                logger.warning("old history can't be removed now: %s", error)
            except Exception:
                logger.exception("old history could not be removed")
            await asyncio.sleep(min(ROUND, self._kept).total_seconds())
