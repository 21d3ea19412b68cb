"""Who writes when, on the one connection that does; short transactions that come together are committed together.

A commit costs a sync of the disk, whatever is in it. While one is under way, others come and wait. Those that are
short then follow one another in one transaction of SQLite, each but the first from a savepoint, so that one which fails
takes back its own part alone. Nobody is told of anything, its end or its refusal, before all of it is committed.

No part waits for one that is not there yet, and a part with an event that must not wait, such as a decision or the end
of a run, is committed at once, with what came before it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Final

from domain.errors import StoreBusyError
from domain.events import Event, EventType
from storage.connections import Borrowed, ReadingPool
from storage.errors import translated
from storage.uninterrupted import settled
from storage.writing import WritingLink

WAITING: Final = frozenset(
    {EventType.TASK_CREATED, EventType.RUN_CREATED, EventType.PROGRESS, EventType.LOG, EventType.METRIC}
)
"""Events that may wait for the transactions behind them."""

MOST_PARTS: Final = 64
"""Transactions that are committed together at most."""

LONGEST: Final = 0.01
"""Seconds after which a group takes in nobody else, so that a throng of writers can't hold up the first of them."""


@dataclass(slots=True)
class _Waiter:
    """Somebody who waits for his turn."""

    is_short: bool
    turn: asyncio.Future[None]


@dataclass(slots=True)
class _Group:
    """What is committed together.

    Attributes:
        head: Place of the newest event, with those that are not committed yet.
        since: When it began, by the monotonic clock.
        told: What to do once it is committed, in order.
        outcome: Done when it is committed; raises the driver's error if it could not be.
    """

    head: int
    since: float
    outcome: asyncio.Future[None]
    told: list[tuple[Context, Callable[[], None]]] = field(default_factory=list)


class Writer:
    """Gives a connection to one transaction after the other.

    Attributes:
        lease: Of the connection, for whoever has his turn.
    """

    def __init__(self, link: WritingLink, readers: ReadingPool, head: int) -> None:
        """Take a connection that nobody else uses, those that read, and the place of the log's newest event."""
        self.lease = Borrowed(link)
        self._link = link
        self._readers = readers
        self._head = head
        self._waiting: deque[_Waiter] = deque()
        self._is_taken = False
        self._group: _Group | None = None

    async def begin(self, *, short: bool) -> int:
        """Begin a transaction once it is its turn; return the place of the newest event before it.

        Raises:
            StoreBusyError: Another process held the database for too long.
        """
        if self._is_taken:
            await self._wait_for_turn(short)
        self._is_taken = True
        try:
            if self._group is None:
                if short:
                    with translated():
                        await self._link.begin()
                self._group = _Group(self._head, time.monotonic(), asyncio.get_running_loop().create_future())
            if self._group.told:
                self._link.mark()
        except BaseException:
            self._pass_on()
            raise
        return self._group.head

    async def end(self, head: int, events: Sequence[Event], told: Callable[[], None], *, short: bool) -> None:
        """Commit what was begun, maybe together with those who wait for their turn.

        Args:
            head: Place of the newest event now.
            events: What was appended.
            told: Called once it is committed, before those who follow, in the caller's context.
            short: What `begin` was told.

        Raises:
            StoreError: It could not be committed.
        """
        group = self._group
        assert group is not None
        if short:
            try:
                with translated():
                    (self._link.keep if group.told else self._link.check)()
            except BaseException:
                await self.give_up()
                raise
        group.head = head
        group.told.append((copy_context(), told))
        if short and events and WAITING.issuperset([event.type for event in events]):
            await self._go_on(group)
        else:
            await self._commit(group)
        with translated():
            await settled(group.outcome)

    async def give_up(self) -> None:
        """Take back what was begun, and nothing else.

        It returns when what it may have seen of others is committed.

        Raises:
            StoreError: That could not be.
        """
        group = self._group
        assert group is not None
        if group.told and self._link.take_back():
            await self._go_on(group)
        else:
            await self._drop(group, StoreBusyError("It was to be saved with others, which failed; try again."))
        task = asyncio.current_task()
        if group.told and not (task is not None and task.cancelling()):
            with translated():
                await settled(group.outcome)

    async def _wait_for_turn(self, short: bool) -> None:
        waiter = _Waiter(short, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if not waiter.turn.cancelled():  # the turn had come
                await self._go_on(self._group)
            raise

    async def _go_on(self, group: _Group | None) -> None:
        """Let the next one have his turn; before that, commit a group that he does not join."""
        if group is None or self._has_room(group):
            self._pass_on()
        else:
            await self._commit(group)

    def _has_room(self, group: _Group) -> bool:
        """Whether whoever is next joins a group."""
        following = self._next()
        return (
            following is not None
            and following.is_short
            and len(group.told) < MOST_PARTS
            and time.monotonic() - group.since < LONGEST
        )

    def _next(self) -> _Waiter | None:
        while self._waiting and self._waiting[0].turn.done():
            self._waiting.popleft()  # he was cancelled
        return self._waiting[0] if self._waiting else None

    def _pass_on(self) -> None:
        following = self._next()
        if following is None:
            self._is_taken = False
        else:
            self._waiting.popleft()
            following.turn.set_result(None)

    async def _commit(self, group: _Group) -> None:
        try:
            if self._link.has_changed:
                self._readers.before_commit()
            await self._link.commit()
        except Exception as error:  # all who wait for it are told
            await self._drop(group, error)
            return
        finally:
            self._readers.after_commit()
        self._group = None
        self._head = group.head
        for context, told in group.told:
            context.run(told)
        group.outcome.set_result(None)
        self._pass_on()

    async def _drop(self, group: _Group, error: BaseException) -> None:
        """Take a whole group back."""
        self._group = None
        try:
            await self._link.roll_back()
        finally:
            if group.told:
                group.outcome.set_exception(error)
            self._pass_on()
