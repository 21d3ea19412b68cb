"""Time limits of many short operations, for the price of one timer.

`asyncio.timeout` sets a timer for each block, which costs more than most of what is done in it. Blocks that may all
take the same time are due in the order in which they began; so one timer for the first of them is enough.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self


class Deadlines:
    """Blocks that may take some time each: `with deadlines.one(): ...` raises TimeoutError after it; for one thread.

    Attributes:
        seconds: The time.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open: dict[_Block, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def one(self) -> _Block:
        """Return a block, to be entered once."""
        return _Block(self)

    def begin(self, block: _Block) -> asyncio.Task[Any]:
        """Take note of a block that was entered, and return the task that entered it."""
        # To ask the loop that is known takes a third of what it takes to find out which one runs.
        loop = self._loop
        task = None if loop is None else asyncio.current_task(loop)
        if loop is None or task is None:
            task = asyncio.current_task()
            assert task is not None, "only a task can be cancelled"
            # What was open on another loop ended with it.
            loop = self._loop = task.get_loop()
            self._timer = None
            self._open.clear()
        self._open[block] = at = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(at, self._look)
        return task

    def end(self, block: _Block) -> None:
        """Take note of a block that was left."""
        self._open.pop(block, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        while self._open:
            block, at = next(iter(self._open.items()))
            if at > now:
                self._timer = loop.call_at(at, self._look)
                return
            del self._open[block]
            block.expire()


class _Block:
    """As `asyncio.timeout`, whose rules for cancellations it follows."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_task")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._expired = False

    def expire(self) -> None:
        """Cancel the block's task, which the block turns into TimeoutError."""
        assert self._task is not None
        self._expired = True
        self._task.cancel()

    def __enter__(self) -> Self:
        self._task = task = self._deadlines.begin(self)
        self._cancelling = task.cancelling()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._deadlines.end(self)
        if not self._expired:
            return
        assert self._task is not None
        if self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error
