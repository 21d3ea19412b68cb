"""A worker among many: what a queue delivers it works on, and it looks after what the queue can't.

Whose a run is says the lease on its row, never the queue. So a worker renews the leases of its runs, and looks at short
intervals for runs that nobody has: those of workers that are gone, and those whose delivery got lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from domain.background import end
from domain.crew import Crew
from domain.deadlines import Deadlines
from domain.errors import StoreError
from domain.executor import Executor
from domain.leash import Halt
from domain.model import RunStatus
from domain.services.work import WorkService

logger = logging.getLogger(__name__)

LONGEST_ROUND: Final = 2.0
"""Seconds between two looks at most."""

ROUNDS: Final = 4
"""How often a lease is renewed before it would lapse."""


class Worker:
    """Works on runs of a store that others use as well.

    Attributes:
        crew: The runs that are worked on here.
        deadlines: Kept by each worker; the first one to come does what is asked for.
        teams: Names of the teams whose runs are taken; None takes any.
    """

    def __init__(self, *, slots: int, lease: timedelta, grace: float, teams: Collection[str] | None = None) -> None:
        """Make a worker that does not work yet.

        Args:
            slots: Runs worked on at once.
            lease: How long a run stays ours when we are not heard of.
            grace: Seconds that steps under way get at the end to be finished.
            teams: See the class.
        """
        self.crew = Crew(slots=slots)
        self.teams = teams
        self._lease = lease
        self._round = min(lease.total_seconds() / ROUNDS, LONGEST_ROUND)
        self.deadlines = Deadlines(look_every=self._round)
        self._grace = grace
        self._executor: Executor | None = None

    async def take(self, run_id: str) -> None:
        """Work on a run that was delivered, once there is room for it, until it needs no worker.

        A cancellation leaves the work to go on: that is ended by its leash, or with the worker.
        """
        await self.crew.room()
        if self._executor is not None and run_id not in self.crew:
            await asyncio.shield(self.crew.begin(self._executor, run_id))

    @asynccontextmanager
    async def serve(self, work: WorkService, executor: Executor) -> AsyncGenerator[None]:
        """Work until the block ends; then runs under way are handed over to other workers."""
        self._executor = executor
        renewing = asyncio.create_task(self._repeat("renew leases", lambda: self._renew(work, executor)))
        sweeping = asyncio.create_task(self._repeat("look for work", lambda: self._sweep(work, executor)))
        timing = asyncio.create_task(self.deadlines.keep(work))
        try:
            yield
        finally:
            self._executor = None
            await end(sweeping, timing)
            await self.crew.hand_over(self._grace)
            await end(renewing)

    async def _repeat(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except StoreError as error:
                logger.warning("can't %s: %s", what, error)
            except Exception:
                logger.exception("can't %s", what)
            await asyncio.sleep(self._round)

    async def _sweep(self, work: WorkService, executor: Executor) -> None:
        """Take up what waits although there is room here."""
        if not self.crew.free:
            return
        for run_id in await work.claimable(self.crew.slots, self.teams):
            if self.crew.free and run_id not in self.crew:
                self.crew.begin(executor, run_id)

    async def _renew(self, work: WorkService, executor: Executor) -> None:
        """Renew our leases; stop the work on runs that were cancelled elsewhere, or are not ours any more."""
        ours = self.crew.claimed
        if not ours:
            return
        held = await work.renew(executor.owner, ours, self._lease)
        for run_id in ours:
            if run_id not in held:
                self.crew.stop(run_id, Halt.LOST)
            elif held[run_id] is RunStatus.CANCELLING:
                self.crew.stop(run_id, Halt.CANCELLED)
