"""The in-process work queue: what must go on now, what is due later, how many runs at once.

Nothing is kept in memory for a run that waits: which runs need a worker and which deadline comes next is asked of the
store, woken by what happens in this process. A restart changes nothing about either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final

from domain.background import background
from domain.crew import Crew
from domain.deadlines import Deadlines
from domain.errors import StoreError
from domain.executor import Executor
from domain.leash import Halt
from domain.model import Run
from domain.services.work import WorkService
from domain.store import WriteTx

logger = logging.getLogger(__name__)

LONGEST_SLEEP: Final = 30.0
"""Seconds after which deadlines are looked at in any case, so that a jump of the clock is noticed."""

REST: Final = 1.0
"""Seconds after which runs are looked up again when that failed."""


class Runner:
    """Advances runs in this process; a `domain.crew.WorkEngine`.

    Attributes:
        crew: Works on them; the rest wait in order of priority and age.
    """

    def __init__(self, *, slots: int, grace: float = 0.0) -> None:
        """Make a runner that does not run yet.

        Args:
            slots: Runs worked on at once.
            grace: Seconds that steps under way get at the end to be finished.
        """
        self.crew = Crew(slots=slots)
        self._grace = grace
        self._deadlines = Deadlines(look_every=LONGEST_SLEEP)
        self._executor: Executor | None = None
        self._crowded = True
        self._wake = asyncio.Event()

    async def submit(self, tx: WriteTx, run: Run, /, *, at: datetime | None = None) -> None:
        """Look, after the commit, for what needs doing: the row itself says that it does."""
        if at is None:
            tx.after_commit(partial(self._offer, run.id))
        else:
            tx.after_commit(partial(self._deadlines.expect, at))

    def cancel(self, run_id: str, /) -> None:
        """Stop the work on a run, if it is done here."""
        self.crew.stop(run_id, Halt.CANCELLED)

    @asynccontextmanager
    async def serve(self, work: WorkService, executor: Executor) -> AsyncGenerator[None]:
        """Work until the block ends; then runs under way are handed over, to be resumed at the next start."""
        await work.recover()
        self._executor = executor
        self._wake.set()
        try:
            async with background(self._work(work, executor), self._deadlines.keep(work)):
                try:
                    yield
                finally:
                    self._executor = None
        finally:
            await self.crew.hand_over(self._grace)

    async def _work(self, work: WorkService, executor: Executor) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._fill_slots(work, executor)
            except StoreError as error:
                logger.warning("waiting runs can't be looked up: %s", error)
                asyncio.get_running_loop().call_later(REST, self._wake.set)
            except Exception:
                logger.exception("waiting runs could not be looked up")
                asyncio.get_running_loop().call_later(REST, self._wake.set)

    def _offer(self, run_id: str) -> None:
        """Take up a run at once where nothing can be waiting before it, else look who is first."""
        if self._executor is not None and self.crew.free and not self._crowded and run_id not in self.crew:
            self._begin(self._executor, run_id)
        else:
            self._crowded = True
            self._wake.set()

    async def _fill_slots(self, work: WorkService, executor: Executor) -> None:
        """Take up the runs that are first, as many as there are slots."""
        while self.crew.free:
            # A run just begun is still claimable until its claim is written, so ask for that many more.
            asked = self.crew.slots + 1
            found = await work.claimable(asked)
            fresh = [run_id for run_id in found if run_id not in self.crew]
            free = self.crew.free
            self._crowded = len(fresh) > free
            for run_id in fresh[:free]:
                self._begin(executor, run_id)
            if len(found) < asked:
                return

    def _begin(self, executor: Executor, run_id: str) -> None:
        self.crew.begin(executor, run_id).add_done_callback(self._freed)

    def _freed(self, work: asyncio.Task[bool]) -> None:
        if work.cancelled() or not work.result():
            self._crowded = True
        if self._crowded:
            self._wake.set()
