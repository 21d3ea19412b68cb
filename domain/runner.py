"""The in-process work queue: what must go on now, what is due later, how many runs at once.

Nothing is kept in memory for a run that waits: which runs need a worker and which deadline comes next is asked of the
store, woken by what happens in this process. A restart changes nothing about either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context
from datetime import datetime
from functools import partial
from typing import Final

from domain.errors import StoreError
from domain.executor import Executor, Halt
from domain.services.work import WorkService
from domain.store import WriteTx

logger = logging.getLogger(__name__)

LONGEST_SLEEP: Final = 30.0
"""Seconds after which deadlines are looked at in any case, so that a jump of the clock is noticed."""

REST: Final = 1.0
"""Seconds that a slot rests after an unexpected error, so that one bad run can't spin."""


class Runner:
    """Advances runs in this process; a `WorkQueue`.

    Attributes:
        slots: Runs worked on at once; the rest wait in order of priority and age.
    """

    def __init__(self, *, slots: int) -> None:
        self.slots = slots
        self._active: dict[str, tuple[asyncio.Task[None], asyncio.Future[Halt]]] = {}
        self._executor: Executor | None = None
        self._crowded = True
        self._next_deadline: datetime | None = None
        self._work_wake = asyncio.Event()
        self._time_wake = asyncio.Event()

    @property
    def active(self) -> int:
        """Runs that are worked on now."""
        return len(self._active)

    async def submit(self, tx: WriteTx, run_id: str, /, *, at: datetime | None = None) -> None:
        """Look, after the commit, for what needs doing: the row itself says that it does."""
        if at is None:
            tx.after_commit(partial(self._offer, run_id))
        elif self._next_deadline is None or at < self._next_deadline:
            tx.after_commit(self._time_wake.set)

    def cancel(self, run_id: str, /) -> None:
        """Stop the work on a run, if it is done here."""
        if run_id in self._active:
            _, halt = self._active[run_id]
            if not halt.done():
                halt.set_result(Halt.CANCELLED)

    @asynccontextmanager
    async def serve(self, work: WorkService, executor: Executor) -> AsyncGenerator[None]:
        """Work until the block ends; then runs under way are handed over, to be resumed at the next start."""
        await work.recover()
        self._executor = executor
        self._work_wake.set()
        loops = [asyncio.create_task(self._work(work, executor)), asyncio.create_task(self._keep_time(work))]
        try:
            yield
        finally:
            self._executor = None
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._hand_over()

    async def _work(self, work: WorkService, executor: Executor) -> None:
        while True:
            await self._work_wake.wait()
            self._work_wake.clear()
            try:
                await self._fill_slots(work, executor)
            except StoreError as error:
                logger.warning("waiting runs can't be looked up: %s", error)
                asyncio.get_running_loop().call_later(REST, self._work_wake.set)
            except Exception:
                logger.exception("waiting runs could not be looked up")
                asyncio.get_running_loop().call_later(REST, self._work_wake.set)

    def _offer(self, run_id: str) -> None:
        """Take up a run at once where nothing can be waiting before it, else look who is first."""
        free = len(self._active) < self.slots and not self._crowded and run_id not in self._active
        if self._executor is not None and free:
            self._start(self._executor, run_id)
        else:
            self._crowded = True
            self._work_wake.set()

    async def _fill_slots(self, work: WorkService, executor: Executor) -> None:
        """Take up the runs that are first, as many as there are slots."""
        while len(self._active) < self.slots:
            # A run just started is still claimable until its claim is written, so ask for that many more.
            asked = self.slots + 1
            found = await work.claimable(asked)
            fresh = [run_id for run_id in found if run_id not in self._active]
            free = self.slots - len(self._active)
            self._crowded = len(fresh) > free
            for run_id in fresh[:free]:
                self._start(executor, run_id)
            if len(found) < asked:
                return

    def _start(self, executor: Executor, run_id: str) -> None:
        halt: asyncio.Future[Halt] = asyncio.get_running_loop().create_future()
        # A context of its own: the request that led to this may be over long before the run is.
        work = self._advance(executor, run_id, halt)
        task = asyncio.create_task(work, name=f"advance {run_id}", context=Context())
        self._active[run_id] = task, halt

    async def _advance(self, executor: Executor, run_id: str, halt: asyncio.Future[Halt]) -> None:
        try:
            await executor.advance(run_id, halt)
        except StoreError as error:
            logger.warning("run %s can't be advanced now: %s", run_id, error, extra={"run_id": run_id})
            self._crowded = True
            await asyncio.wait({halt}, timeout=REST)
        except Exception:
            logger.exception("run %s could not be advanced", run_id, extra={"run_id": run_id})
            self._crowded = True
            await asyncio.wait({halt}, timeout=REST)
        finally:
            del self._active[run_id]
            if self._crowded:
                self._work_wake.set()

    async def _keep_time(self, work: WorkService) -> None:
        while True:
            self._time_wake.clear()
            self._next_deadline = None  # a deadline that is set while we look wakes us again
            sleep = LONGEST_SLEEP
            try:
                if await work.expire_due(100):
                    continue
                found = await work.next_deadline()
                if found is not None:
                    self._next_deadline, until = found
                    sleep = min(max(until.total_seconds(), 0.0), LONGEST_SLEEP)
            except StoreError as error:
                logger.warning("deadlines can't be looked at: %s", error)
                sleep = REST
            except Exception:
                logger.exception("deadlines could not be kept")
                sleep = REST
            try:
                async with asyncio.timeout(sleep):
                    await self._time_wake.wait()
            except TimeoutError:
                pass

    async def _hand_over(self) -> None:
        tasks = []
        for task, halt in self._active.values():
            tasks.append(task)
            if not halt.done():
                halt.set_result(Halt.SHUTDOWN)
        if tasks:
            await asyncio.wait(tasks)
