"""Subscriptions as asynchronous generators, for tests that look at one answer after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from graph.execution.engine import Answer, Operation
from graph.fanout.groups import Fanout
from graph.fanout.ring import Block


class _Sink:
    """Takes a block when what it took before was looked at."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.filled = asyncio.Event()
        self._again: Callable[[], None] | None = None

    def write(self, block: Block, again: Callable[[], None]) -> bool:
        if self.answers:
            self._again = again
            return False
        self.answers.extend(block.answers)
        self.filled.set()
        return True

    def take(self) -> Answer:
        answer = self.answers.popleft()
        again, self._again = self._again, None
        if again is not None and not self.answers:
            asyncio.get_running_loop().call_soon(again)
        else:
            self._again = again
        return answer


async def pulled(fanout: Fanout, operation: Operation, context: object) -> AsyncGenerator[Answer, None]:
    """Yield a subscription's answers; a failure is the last one. Close it to leave early."""
    sink = _Sink()
    following = asyncio.create_task(fanout.follow(operation, context, sink))
    following.add_done_callback(lambda _: sink.filled.set())
    try:
        while True:
            await sink.filled.wait()
            sink.filled.clear()
            while sink.answers:
                yield sink.take()
                await asyncio.sleep(0)
            if following.done():
                if (failure := following.result()) is not None:
                    yield failure
                return
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
