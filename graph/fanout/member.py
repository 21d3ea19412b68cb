"""One subscriber: what it asked for, where it is, and where its answers go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Protocol

from graph.execution.engine import Failure, Operation
from graph.fanout.ring import Block
from graph.fanout.sources import Source


class Sink(Protocol):
    """Where a subscriber's answers go."""

    def write(self, block: Block, again: Callable[[], None]) -> bool:
        """Take all answers of a block, or none of them.

        Args:
            block: What comes next.
            again: If nothing was taken, called when there is room, and not before this returned.

        Returns:
            Whether they were taken.
        """
        ...


class Pump(Protocol):
    """The stream of a member, as the member knows it."""

    def pump(self, member: Member) -> None:
        """Give a member that is behind what comes next."""
        ...

    async def leave(self, member: Member) -> None:
        """Let a member go."""
        ...


class Member:
    """A subscriber.

    Attributes:
        operation: What it asked for.
        source: What it follows, checked.
        context: Its own.
        sink: Where its answers go.
        key: Equal for those who get the same answers.
        timeless: Whether answers may be given to those who come later.
        stream: Where it gets its answers, once it joined.
        after: Place up to which it has seen everything; kept while it is ahead of its stream or behind it.
        number: Of the answer that it gets next, while it is behind.
        ended: Done when nothing will follow, with the failure that is the reason, if one is.
    """

    __slots__ = ("after", "context", "ended", "key", "number", "operation", "sink", "source", "stream", "timeless")

    def __init__(
        self,
        operation: Operation,
        source: Source,
        context: object,
        sink: Sink,
        *,
        key: Hashable,
        timeless: bool,
        after: int,
    ) -> None:
        self.operation = operation
        self.source = source
        self.context = context
        self.sink = sink
        self.key = key
        self.timeless = timeless
        self.stream: Pump | None = None
        self.after = after
        self.number = 0
        self.ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

    def pump(self) -> None:
        """Take what comes next."""
        if self.stream is not None:
            self.stream.pump(self)

    def finish(self, failure: Failure | None) -> None:
        """Say that nothing will follow."""
        if not self.ended.done():
            self.ended.set_result(failure)
