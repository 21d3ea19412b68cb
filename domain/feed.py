"""The event feed: subscribers read the log, and the bell only says that there is more of it.

A follower listens first, then is replayed what it missed from the log in pages, then lives on what is published in
this process, dropping what it was already sent. Its buffer is bounded: one that overflows is emptied, and the follower
goes on from the log at its own pace. So nothing is lost or repeated, and a slow subscriber costs a page of memory.

History of runs that are long over may be removed from the log. Whoever would go on from below the horizon is told so:
each page is read together with the horizon, and a hole between what was published last and what comes next sends all
followers back to the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Final, assert_never

from domain.background import background
from domain.errors import CursorExpiredError, InvalidCursorError, StoreError, UnknownSubjectError
from domain.events import Event, EventType
from domain.model import ENGINE, Principal
from domain.paging import PageRequest, encode_event_cursor
from domain.ports import Bell, Clock
from domain.store import AllScope, ReadTx, RunScope, Scope, Store, TaskScope
from domain.transitions import FINAL

logger = logging.getLogger(__name__)

PAGE: Final = 200
BUFFER: Final = 256
POLL_SECONDS: Final = 1.0
"""How late an event may come when the bell is silent."""

_LAST: Final = PageRequest(limit=1, backward=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatistics:
    """What the feed of this process does.

    Attributes:
        subscribers: Followers now.
        delivered: Events handed to followers since the start.
        catching_up: Followers that read the log now instead of living on what is published.
        lag_ms: Milliseconds from the newest event's time until it was published here.
    """

    subscribers: int
    delivered: int
    catching_up: int
    lag_ms: float


class Feed:
    """Follows the log and fans it out."""

    def __init__(self, store: Store, bell: Bell, clock: Clock, *, buffer: int = BUFFER) -> None:
        self._store = store
        self._bell = bell
        self._clock = clock
        self._buffer = buffer
        self._position = 0
        self._hub = _Hub()
        self._rung = asyncio.Event()
        self._delivered = 0
        self._catching_up = 0
        self._lag_ms = 0.0

    @property
    def position(self) -> int:
        """Place of the newest event published here; whatever is read from the store later is at least as new."""
        return self._position

    def statistics(self) -> FeedStatistics:
        """Return what the feed does now."""
        return FeedStatistics(
            subscribers=len(self._hub),
            delivered=self._delivered,
            catching_up=self._catching_up,
            lag_ms=self._lag_ms,
        )

    def publish(self, events: Sequence[Event]) -> None:
        """Hand committed events to their followers, in the order of the log.

        The store calls this at each commit; events that do not follow on the last published ones are left to the tail,
        which reads what is between.
        """
        if not events:
            return
        if events[0].pos != self._position + 1:
            self._rung.set()
            return
        self._position = events[-1].pos
        self._lag_ms = max((self._clock.now() - events[-1].timestamp).total_seconds() * 1000, 0.0)
        for event in events:
            self._hub.deliver(event)

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Follow the log until the block ends."""
        async with self._store.read(ENGINE) as tx:
            self._position = await tx.events.head()
        async with background(self._listen(), self._tail()):
            yield

    async def follow(
        self,
        principal: Principal,
        scope: Scope,
        after: int | None = None,
        types: Collection[EventType] | None = None,
    ) -> AsyncGenerator[Sequence[Event]]:
        """Yield what happens, in order, with no gap and no repeat, until nothing can follow.

        Args:
            principal: Whose events.
            scope: One run, one task, or everything.
            after: Place in the log after which to begin. None begins with a run's first event, and otherwise now.
            types: What is wanted; the end of a run or task ends the stream even when it is filtered out.

        Raises:
            UnknownSubjectError: There is no such run or task.
            InvalidCursorError: `after` is beyond the log's head.
            CursorExpiredError: Not all of what comes next is kept, be it at the start or later.
        """
        follower = _Follower(scope, principal.tenant, self._buffer)
        with self._hub.listening(follower):
            last = await self._start(scope, after)
            first = True
            while True:
                follower.reset()
                exists, ended = await self._look_up(principal, follower)
                if first and not exists:
                    raise _unknown(scope)
                first = False
                async for events in self._replay(principal, scope, last, types):
                    last = events[-1].pos
                    if wanted := _wanted(scope, events, types):
                        self._delivered += len(wanted)
                        yield wanted
                    if any(_closes(scope, event) for event in events):
                        return
                if ended:
                    return
                async for events in follower.live(last):
                    last = events[-1].pos
                    if wanted := _wanted(scope, events, types):
                        self._delivered += len(wanted)
                        yield wanted
                    if any(_closes(scope, event) for event in events):
                        return

    async def _start(self, scope: Scope, after: int | None) -> int:
        if after is None:
            return 0 if isinstance(scope, RunScope) else self._position
        if after > self._position:
            async with self._store.read(ENGINE) as tx:
                if after > await tx.events.head():
                    raise InvalidCursorError("The cursor is beyond the end of the log; take one from this server.")
        return after

    async def _look_up(self, principal: Principal, follower: _Follower) -> tuple[bool, bool]:
        """Return whether what is followed exists, and whether it has ended so that the log holds all of it."""
        match follower.scope:
            case AllScope():
                return True, False
            case TaskScope(task_id):
                async with self._store.read(principal) as tx:
                    return bool(await tx.tasks.many([task_id])), False
            case RunScope(run_id):
                async with self._store.read(principal) as tx:
                    run = (await tx.runs.many([run_id])).get(run_id)
                    if run is None:
                        return False, True
                    follower.task_id = run.task_id
                    return True, run.status in FINAL and await _is_whole(tx, run_id)
            case _:
                assert_never(follower.scope)

    async def _replay(
        self, principal: Principal, scope: Scope, last: int, types: Collection[EventType] | None
    ) -> AsyncIterator[Sequence[Event]]:
        # A horizon is a terminal event's place, and those come whatever types are wanted: so nobody who has
        # looked up to it is below it.
        self._catching_up += 1
        try:
            while True:
                async with self._store.read(principal) as tx:
                    horizon = (await tx.events.extent(scope)).horizon
                    if last < horizon:
                        raise CursorExpiredError(encode_event_cursor(self._store.log_id, horizon))
                    events = await tx.events.after(scope, last, limit=PAGE, types=types)
                if not events:
                    return
                last = events[-1].pos
                yield events
                if len(events) < PAGE:
                    return
        finally:
            self._catching_up -= 1

    async def _listen(self) -> None:
        async for pos in self._bell.listen():
            if pos is None or pos > self._position:
                self._rung.set()

    async def _tail(self) -> None:
        """Publish what others committed: woken by the bell, and by the clock where the bell was lost."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._rung.wait()
            self._rung.clear()
            try:
                await self._catch_up()
            except StoreError as error:
                logger.warning("the log can't be read now: %s", error)
                await asyncio.sleep(POLL_SECONDS)
            except Exception:
                logger.exception("the log could not be read")
                await asyncio.sleep(POLL_SECONDS)

    async def _catch_up(self) -> None:
        more = True
        while more:
            before = self._position
            async with self._store.read(ENGINE) as tx:
                events = await tx.events.after(AllScope(), before, limit=PAGE)
                whole = bool(events) and events[-1].pos - before == len(events)
                horizon = 0 if whole else (await tx.events.extent(AllScope())).horizon
            more = len(events) == PAGE
            if horizon > self._position:
                self._hub.interrupt()
                self._position = horizon
            fresh = [event for event in events if event.pos > self._position]
            if fresh:
                self._position = fresh[0].pos - 1
                self.publish(fresh)


class _Follower:
    """One subscriber's place: what it follows, and what was published and is not yet sent."""

    def __init__(self, scope: Scope, tenant: str | None, buffer: int) -> None:
        self.scope = scope
        self.tenant = tenant
        self.task_id: str | None = None
        self._limit = buffer
        self._events: deque[Event] = deque()
        self._overflowed = False
        self._woken = asyncio.Event()

    def reset(self) -> None:
        """Forget what was published: it will be read from the log."""
        self._events.clear()
        self._overflowed = False

    def put(self, event: Event) -> None:
        """Take an event, or give up on the buffer when it is full."""
        if self._overflowed or (self.tenant is not None and event.tenant != self.tenant):
            return
        if len(self._events) >= self._limit:
            self.interrupt()
        else:
            self._events.append(event)
            self._woken.set()

    def interrupt(self) -> None:
        """Give up on what was published: something between is missing, and the log tells what."""
        self._events.clear()
        self._overflowed = True
        self._woken.set()

    async def live(self, last: int) -> AsyncIterator[Sequence[Event]]:
        """Yield what is published after a place, until the buffer overflows."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            events = [event for event in self._events if event.pos > last]
            self._events.clear()
            if self._overflowed:
                return
            if events:
                last = events[-1].pos
                yield events


class _Hub:
    """Who follows what."""

    def __init__(self) -> None:
        self._all: set[_Follower] = set()
        self._of_task: dict[str, set[_Follower]] = {}
        self._of_run: dict[str, set[_Follower]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @contextmanager
    def listening(self, follower: _Follower) -> Iterator[None]:
        """Deliver to a follower until the block ends."""
        self._size += 1
        followers = self._followers(follower.scope)
        followers.add(follower)
        try:
            yield
        finally:
            self._size -= 1
            followers.discard(follower)
            self._forget_empty(follower.scope)

    def deliver(self, event: Event) -> None:
        """Give an event to all that follow it."""
        for follower in self._all:
            follower.put(event)
        for follower in self._of_task.get(event.task_id, ()):
            follower.put(event)
        if event.run_id is not None:
            for follower in self._of_run.get(event.run_id, ()):
                follower.put(event)
        elif event.type is EventType.TASK_DELETED:
            for followers in self._of_run.values():
                for follower in followers:
                    if follower.task_id == event.task_id:
                        follower.put(event)

    def interrupt(self) -> None:
        """Send all that follow anything back to the log."""
        for follower in (*self._all, *chain.from_iterable((*self._of_task.values(), *self._of_run.values()))):
            follower.interrupt()

    def _followers(self, scope: Scope) -> set[_Follower]:
        match scope:
            case AllScope():
                return self._all
            case TaskScope(task_id):
                return self._of_task.setdefault(task_id, set())
            case RunScope(run_id):
                return self._of_run.setdefault(run_id, set())
            case _:
                assert_never(scope)

    def _forget_empty(self, scope: Scope) -> None:
        match scope:
            case TaskScope(task_id) if not self._of_task.get(task_id, True):
                del self._of_task[task_id]
            case RunScope(run_id) if not self._of_run.get(run_id, True):
                del self._of_run[run_id]
            case _:
                pass


async def _is_whole(tx: ReadTx, run_id: str) -> bool:
    """Whether the log has had a final run's last event: it may get its place there after the commit that wrote it."""
    newest = (await tx.events.pages_of_runs([run_id], _LAST, None))[run_id].items
    if newest:
        return newest[-1].is_terminal
    return (await tx.events.extent(RunScope(run_id))).horizon > 0


def _wanted(scope: Scope, events: Sequence[Event], types: Collection[EventType] | None) -> Sequence[Event]:
    """Leave out what was not asked for, and the news of a run's deletion, which is not one of the run's own events."""
    own = isinstance(scope, RunScope)
    return [
        event for event in events if (types is None or event.type in types) and not (own and event.sequence is None)
    ]


def _closes(scope: Scope, event: Event) -> bool:
    """Whether nothing can follow an event in what is followed."""
    match scope:
        case RunScope():
            return event.is_terminal or event.type in {EventType.RUN_DELETED, EventType.TASK_DELETED}
        case TaskScope():
            return event.type is EventType.TASK_DELETED
        case _:
            return False


def _unknown(scope: Scope) -> UnknownSubjectError:
    match scope:
        case RunScope(run_id):
            return UnknownSubjectError("run", run_id)
        case TaskScope(task_id):
            return UnknownSubjectError("task", task_id)
        case _:
            raise AssertionError("everything always exists")
