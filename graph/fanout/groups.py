"""Who gets the same answers: subscribers of one operation, with the same variables and rights, make a group.

A group has a stream for each place where members are, and streams that come to the same place become one. So it is
mostly a single one that waits for news, and others beside it only while somebody catches up.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from graph.execution.engine import Engine, Failure, Operation
from graph.fanout.member import Member, Sink
from graph.fanout.ring import Budget
from graph.fanout.shape import Shape, Shapes
from graph.fanout.sources import Source, Unshared
from graph.fanout.stream import Stream

_BUDGET: Final = 64 * 1024 * 1024


class Fanout:
    """Follows subscriptions, those of a group together.

    Args:
        engine: Prepares and executes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shapes = Shapes(engine.schema)
        self._budget = Budget(_BUDGET)
        self._groups: dict[Hashable, list[Stream]] = {}
        self._subscribers = 0

    @property
    def subscribers(self) -> int:
        """How many subscriptions are being followed now."""
        return self._subscribers

    @property
    def streams(self) -> int:
        """How often an event is executed at most that all subscribers see."""
        return sum(map(len, self._groups.values()))

    @property
    def kept_bytes(self) -> int:
        """How much is kept for those who are behind."""
        return self._budget.used

    async def follow(self, operation: Operation, context: object, sink: Sink) -> Failure | None:
        """Follow a subscription until nothing can follow; cancel it to leave earlier.

        A source that nobody else follows was closed when this returns.

        Args:
            operation: A subscription.
            context: This subscriber's; what is read in it may serve others of its group.
            sink: Where the answers go.

        Returns:
            The failure that ended it; None if nothing can follow any more.
        """
        self._subscribers += 1
        try:
            opened = await self._engine.open(operation, context)
            if isinstance(opened, Failure):
                return opened
            shared = isinstance(opened, Source)
            source = opened if isinstance(opened, Source) else Unshared(opened)
            try:
                after = await source.admit()
            except Exception as error:
                return self._engine.broken(source.explain(error), operation)
            shape = self._shapes.of(operation.document)
            key = _key(operation, source, shape)
            timeless = shared and shape.timeless
            member = Member(operation, source, context, sink, key=key, timeless=timeless, after=after)
            return await self._attend(member)
        finally:
            self._subscribers -= 1

    async def _attend(self, member: Member) -> Failure | None:
        self.place(member)
        try:
            return await member.ended
        finally:
            if member.stream is not None:
                await member.stream.leave(member)

    def place(self, member: Member) -> None:
        """Find a stream for a member, or begin one."""
        there = [stream for stream in self._groups.get(member.key, ()) if stream.takes(member.after)]
        if there:
            max(there, key=lambda stream: stream.position).add(member)
        else:
            stream = Stream(self, self._engine, member, self._budget)
            self._groups.setdefault(member.key, []).append(stream)

    def other(self, stream: Stream, after: int) -> Stream | None:
        """Return another stream of the same group that takes members who have seen everything up to a place."""
        group = self._groups.get(stream.key, ())
        return next((each for each in group if each is not stream and each.takes(after)), None)

    def forget(self, stream: Stream) -> None:
        """Take note that a stream takes nobody any more."""
        group = self._groups[stream.key]
        group.remove(stream)
        if not group:
            del self._groups[stream.key]


def _key(operation: Operation, source: Source, shape: Shape) -> Hashable:
    """What subscribers have in common who get the same answers, wherever they begin."""
    variables = {name: value for name, value in operation.values.coerced.items() if name not in shape.beginnings}
    name = operation.node.name.value if operation.node.name else None
    # Values may be of any shape; their text tells 1, 1.0 and true apart.
    return operation.document.text, name, repr(variables), source.rights(personal=shape.personal)
