"""The runs that this process works on: how many at once, who stops them, how they are handed over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Final, Protocol

from domain.errors import StoreError
from domain.executor import Executor
from domain.leash import Halt, Leash
from domain.ports import WorkQueue
from domain.services.work import WorkService

logger = logging.getLogger(__name__)

REST: Final = 1.0
"""Seconds that a slot rests after an error, so that one bad run can't spin."""


class Crew:
    """Works on runs, at most so many at once.

    Attributes:
        slots: How many.
    """

    def __init__(self, *, slots: int) -> None:
        self.slots = slots
        self._work: dict[str, tuple[asyncio.Task[bool], Leash]] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._work

    @property
    def active(self) -> int:
        """Runs that are worked on now."""
        return len(self._work)

    @property
    def free(self) -> int:
        """Slots that no run has."""
        return max(self.slots - len(self._work), 0)

    @property
    def claimed(self) -> Collection[str]:
        """Runs that are known to be ours."""
        return [run_id for run_id, (_, leash) in self._work.items() if leash.is_claimed]

    def begin(self, executor: Executor, run_id: str) -> asyncio.Task[bool]:
        """Begin to work on a run that is not worked on here; the task's result tells whether that went well."""
        leash = Leash()
        # A context of its own: the request that led to this may be over long before the run is.
        work = self._advance(executor, run_id, leash)
        task = asyncio.create_task(work, name=f"advance {run_id}", context=Context())
        self._work[run_id] = task, leash
        return task

    def stop(self, run_id: str, why: Halt) -> bool:
        """Stop the work on a run; return whether it is done here."""
        if run_id not in self._work:
            return False
        self._work[run_id][1].pull(why)
        return True

    async def room(self) -> None:
        """Wait until a slot is free."""
        while not self.free:
            await asyncio.wait([task for task, _ in self._work.values()], return_when=asyncio.FIRST_COMPLETED)

    def drain(self) -> None:
        """Have the runs under way stop before their next step."""
        for _, leash in self._work.values():
            leash.is_draining = True

    async def hand_over(self, grace: float) -> None:
        """Give all runs back: at their next step, or in the midst of one once the grace is over.

        Args:
            grace: Seconds.
        """
        self.drain()
        if not self._work:
            return
        tasks = [task for task, _ in self._work.values()]
        await asyncio.wait(tasks, timeout=grace)
        for _, leash in self._work.values():
            leash.pull(Halt.SHUTDOWN)
        await asyncio.wait(tasks)

    async def _advance(self, executor: Executor, run_id: str, leash: Leash) -> bool:
        try:
            await executor.advance(run_id, leash)
        except StoreError as error:
            logger.warning("run %s can't be advanced now: %s", run_id, error, extra={"run_id": run_id})
            await asyncio.wait({leash.halted}, timeout=REST)
            return False
        except Exception:
            logger.exception("run %s could not be advanced", run_id, extra={"run_id": run_id})
            await asyncio.wait({leash.halted}, timeout=REST)
            return False
        else:
            return True
        finally:
            del self._work[run_id]


class WorkEngine(WorkQueue, Protocol):
    """A work queue and what works on its runs in this process."""

    @property
    def crew(self) -> Crew:
        """The runs that are worked on here."""
        ...

    def serve(self, work: WorkService, executor: Executor) -> AbstractAsyncContextManager[None]:
        """Work until the block ends; then runs under way are handed over."""
        ...
