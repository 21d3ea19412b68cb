"""One way through a source, for all members that are at the same place of it.

Each event is executed and encoded once, and what was made of it is written to all members that are level. A member that
does not take it falls behind: it goes on with what the ring keeps, and when that is gone, elsewhere from the log. The
stream waits when no member is level, so that whoever reads is never held up, and nothing is made that nobody takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from graph.execution.engine import Engine, Failure
from graph.fanout.member import Member
from graph.fanout.ring import BLOCK_ANSWERS, BLOCK_BYTES, Block, Budget, Ring, size_of
from graph.fanout.sources import Placed

SLICE_SECONDS: Final = 0.002
"""How long a stream may keep the loop from others, unless a single event takes longer."""

_LOOK_AT_CLOCK: Final = 16
_KEPT_BY_MEMBER: Final = 4 * 1024
_KEPT: Final = 1024 * 1024
_KEPT_CATCHING_UP: Final = 4 * 1024 * 1024


class Placement(Protocol):
    """What knows all streams."""

    def place(self, member: Member) -> None:
        """Find a stream for a member, or begin one."""
        ...

    def other(self, stream: Stream, after: int) -> Stream | None:
        """Return another stream of the same group that takes members who have seen everything up to a place."""
        ...

    def forget(self, stream: Stream) -> None:
        """Take note that a stream takes nobody any more."""
        ...


class Stream:
    """Follows a source and serves its members.

    Args:
        streams: Where members go that it can't serve.
        engine: Executes.
        founder: Its first member; events are executed as for that one.
        budget: For what is kept.

    Attributes:
        key: Of its members.
    """

    def __init__(self, streams: Placement, engine: Engine, founder: Member, budget: Budget) -> None:
        self.key: Hashable = founder.key
        self._streams = streams
        self._engine = engine
        self._operation = founder.operation
        self._source = founder.source
        self._context = founder.context
        self._timeless = founder.timeless
        self._budget = budget
        self._ring = Ring(founder.after, budget)
        self._way = founder.source.follow(founder.after)
        self._due = self._ring.end  # number of what those who are level get next, perhaps made by now but not written
        self._executing = False
        self._members: set[Member] = set()
        self._level: dict[Member, None] = {}
        self._ahead: set[Member] = set()
        self._taken = asyncio.Event()
        self._over = False
        self._failure: Failure | None = None
        self.add(founder)
        self._task = asyncio.create_task(self._run())

    @property
    def position(self) -> int:
        """Place up to which everything was made an answer of, or is not wanted."""
        return self._ring.last_pos if self._executing else max(self._ring.last_pos, self._way.position)

    def takes(self, after: int) -> bool:
        """Whether one who has seen everything up to a place gets exactly what follows it here, and soon."""
        # An answer that tells of the present is for those who were there when it was made.
        floor = self._ring.floor if self._timeless else self._ring.last_pos
        return not self._over and floor <= after and (self._way.live or after <= self.position)

    def add(self, member: Member) -> None:
        """Take a member who has seen everything up to `member.after`; see `takes`."""
        member.stream = self
        self._members.add(member)
        self._way.audience = len(self._members)
        member.number = self._ring.number_after(member.after)
        if member.number < self._due:
            self.pump(member)
        elif member.number > self._due or member.after > self.position:
            self._make_ahead(member)
        else:
            self._make_level(member)

    async def leave(self, member: Member) -> None:
        """Let a member go; when it was the last one, the source has been closed when this returns."""
        self._remove(member)
        if not self._members:
            await asyncio.gather(self._task, return_exceptions=True)

    def pump(self, member: Member) -> None:
        """Give a member that is behind what comes next, as much as may be written at once."""
        ring = self._ring
        if member in self._level or member in self._ahead:
            return
        if member.number < ring.first:
            self._remove(member)
            self._streams.place(member)
            return
        if member.number < ring.end:
            block = ring.block(member.number)
            if not member.sink.write(block, member.pump):
                member.after = ring.place_before(member.number)
                return
            self._source.delivered(len(block))
            member.number += len(block)
        if member.number < ring.end:
            member.after = ring.place_before(member.number)
            asyncio.get_running_loop().call_soon(member.pump)
        elif self._over:
            member.finish(self._failure)
        elif member.number > self._due:
            member.after = ring.last_pos
            self._make_ahead(member)
        else:
            self._make_level(member)

    async def _run(self) -> None:
        failure: Failure | None = None
        try:
            async with aclosing(self._way) as batches:
                async for batch in batches:
                    failure = await self._serve(batch)
                    if failure is not None:
                        break
        except Exception as error:
            failure = self._engine.broken(self._source.explain(error), self._operation)
        self._end(failure)

    async def _serve(self, batch: Sequence[Placed]) -> Failure | None:
        """Make answers for all who are level; return the failure that ends the stream."""
        self._executing = True
        try:
            failure = await self._execute(batch)
        finally:
            self._executing = False
        if failure is None:
            self._follow_up()
            self._merge()
            while not self._level and not self._ahead:
                self._taken.clear()
                await self._taken.wait()
            # A source that catches up and clients that keep pace never wait; others are to have a turn.
            await asyncio.sleep(0)
        return failure

    async def _execute(self, batch: Sequence[Placed]) -> Failure | None:
        ring, start, size = self._ring, self._ring.end, 0
        began = time.perf_counter()
        for event in batch:
            answer = await self._engine.execute_event(self._operation, self._source.root(event), self._context)
            if isinstance(answer, Failure):
                await self._write(start)
                return answer
            ring.append(event.pos, answer)
            size += size_of(answer)
            full = ring.end - start >= BLOCK_ANSWERS or size >= BLOCK_BYTES
            if full or time.perf_counter() - began > SLICE_SECONDS:
                await self._write(start)
                await asyncio.sleep(0)
                start, size, began = ring.end, 0, time.perf_counter()
        await self._write(start)
        return None

    async def _write(self, start: int) -> None:
        """Write the answers from a number on to all who are level."""
        ring = self._ring
        if start == ring.end:
            return
        while start < ring.end:
            block = ring.block(start)
            self._due = start + len(block)
            await self._write_block(block, start)
            start = self._due
        self._follow_up()
        if self._level:
            ring.trim(self._allowed())

    async def _write_block(self, block: Block, start: int) -> None:
        """Write a block to all who are level, letting others have a turn now and then."""
        before, level = self._ring.place_before(start), self._level
        served = 0
        began = time.perf_counter()
        for count, member in enumerate(tuple(level), 1):
            if member not in level:
                continue
            if member.sink.write(block, member.pump):
                served += 1
            else:
                del level[member]
                member.number, member.after = start, before
            if not count % _LOOK_AT_CLOCK and time.perf_counter() - began > SLICE_SECONDS:
                await asyncio.sleep(0)
                began = time.perf_counter()
        self._source.delivered(served * len(block))

    def _follow_up(self) -> None:
        """Let those go on who were ahead, when there is something for them or their place was reached."""
        for member in tuple(self._ahead):
            member.number = self._ring.number_after(member.after)
            if member.number < self._ring.end or member.after <= self.position:
                self._ahead.discard(member)
                self.pump(member)

    def _merge(self) -> None:
        """Send members to another stream that serves them as well, so that there is one where there were two."""
        position = self.position
        other = self._streams.other(self, position)
        if other is None:
            return
        for member in tuple(self._members):
            if member in self._level:
                member.after = position
            if other.takes(member.after):
                self._remove(member)
                other.add(member)

    def _make_level(self, member: Member) -> None:
        self._level[member] = None
        self._taken.set()

    def _make_ahead(self, member: Member) -> None:
        self._ahead.add(member)
        self._taken.set()

    def _remove(self, member: Member) -> None:
        self._members.discard(member)
        self._level.pop(member, None)
        self._ahead.discard(member)
        self._way.audience = len(self._members)
        member.stream = None
        if not self._members:
            self._end()
            self._ring.trim(0)
            self._task.cancel()

    def _end(self, failure: Failure | None = None) -> None:
        if self._over:
            return
        self._over = True
        self._failure = failure
        self._streams.forget(self)
        for member in tuple(self._members):
            if failure is not None and member in self._ahead:
                self._remove(member)
                self._streams.place(member)  # what it has seen lies beyond what failed here
            elif member in self._level or member in self._ahead:
                member.finish(failure)

    def _allowed(self) -> int:
        """Return how many bytes may be kept for those who are behind or will come."""
        if self._timeless and not self._way.live and not self._budget.is_spent:
            return _KEPT_CATCHING_UP
        return min(len(self._members) * _KEPT_BY_MEMBER, _KEPT)
