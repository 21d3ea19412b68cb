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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, assert_never

from domain.background import background
from domain.errors import CursorExpiredError, InvalidCursorError, StoreError, UnknownSubjectError
from domain.events import Event, EventType
from domain.hub import Hub, Inbox
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

_Batches: TypeAlias = AsyncGenerator[Sequence[Event]]
_LAST: Final = PageRequest(limit=1, backward=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStatistics:
    """What the feed of this process does.

    Attributes:
        subscribers: Those who follow now.
        delivered: Events handed to subscribers since the start, each counted for each of them.
        catching_up: Subscribers for whom the log is read now, instead of living on what is published.
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
        self._hub = Hub()
        self._rung = asyncio.Event()
        self._delivered = 0
        self._lag_ms = 0.0

    @property
    def position(self) -> int:
        """Place of the newest event published here; whatever is read from the store later is at least as new."""
        return self._position

    def statistics(self) -> FeedStatistics:
        """Return what the feed does now."""
        return FeedStatistics(
            subscribers=sum(inbox.audience for inbox in self._hub.inboxes),
            delivered=self._delivered,
            catching_up=sum(inbox.audience for inbox in self._hub.inboxes if not inbox.live),
            lag_ms=self._lag_ms,
        )

    def count_delivered(self, events: int) -> None:
        """Take note of events that were handed to subscribers."""
        self._delivered += events

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

    async def admit(self, principal: Principal, scope: Scope, after: int | None = None) -> int:
        """Check a subscriber before it follows, alone or with others.

        Args:
            principal: Who asks.
            scope: One run, one task, or everything.
            after: Place in the log after which to begin. None begins with a run's first event, and otherwise now.

        Returns:
            The place after which it begins.

        Raises:
            UnknownSubjectError: There is no such run or task.
            InvalidCursorError: `after` is beyond the log's head.
            CursorExpiredError: Not all of what comes next is kept.
        """
        start = await self._start(scope, after)
        async with self._store.read(principal) as tx:
            if not await _exists(tx, scope):
                raise _unknown(scope)
            self._check_kept(start, (await tx.events.extent(scope)).horizon)
        return start

    def follow(
        self,
        principal: Principal,
        scope: Scope,
        after: int | None = None,
        types: Collection[EventType] | None = None,
    ) -> Following:
        """Follow what happens, in order, with no gap and no repeat, until nothing can follow.

        Args:
            principal: Whose events.
            scope: One run, one task, or everything.
            after: As for `admit`.
            types: What is wanted; the end of a run or task ends the stream even when it is filtered out.
        """

        def batches(following: Following) -> _Batches:
            return self._follow(principal, following, after, types)

        return Following(self, Inbox(scope, principal.tenant, self._buffer), after or 0, batches)

    async def _follow(
        self, principal: Principal, following: Following, after: int | None, types: Collection[EventType] | None
    ) -> _Batches:
        inbox, scope = following.inbox, following.inbox.scope
        with self._hub.listening(inbox):
            following.last = await self._start(scope, after)
            first = True
            while True:
                inbox.reset()
                exists, ended = await self._look_up(principal, inbox)
                if first and not exists:
                    raise _unknown(scope)
                first = False
                async for events in self._replay(principal, scope, following.last, types):
                    following.last = events[-1].pos
                    if wanted := _wanted(scope, events, types):
                        yield wanted
                    if any(_closes(scope, event) for event in events):
                        return
                if ended:
                    return
                async for events in inbox.live_events(following.last):
                    if events:
                        following.last = events[-1].pos
                    wanted = _wanted(scope, events, types)
                    if wanted or not events:
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

    async def _look_up(self, principal: Principal, inbox: Inbox) -> tuple[bool, bool]:
        """Return whether what is followed exists, and whether it has ended so that the log holds all of it."""
        scope = inbox.scope
        if isinstance(scope, AllScope):
            return True, False
        async with self._store.read(principal) as tx:
            if not isinstance(scope, RunScope):
                return await _exists(tx, scope), False
            run = (await tx.runs.many([scope.run_id])).get(scope.run_id)
            if run is None:
                return False, True
            inbox.task_id = run.task_id
            return True, run.status in FINAL and await _is_whole(tx, run.id)

    async def _replay(
        self, principal: Principal, scope: Scope, last: int, types: Collection[EventType] | None
    ) -> AsyncIterator[Sequence[Event]]:
        # A horizon is a terminal event's place, and those come whatever types are wanted: so nobody who has
        # looked up to it is below it.
        while True:
            async with self._store.read(principal) as tx:
                self._check_kept(last, (await tx.events.extent(scope)).horizon)
                events = await tx.events.after(scope, last, limit=PAGE, types=types)
            if not events:
                return
            last = events[-1].pos
            yield events
            if len(events) < PAGE:
                return

    def _check_kept(self, last: int, horizon: int) -> None:
        if last < horizon:
            raise CursorExpiredError(encode_event_cursor(self._store.log_id, horizon))

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


class Following:
    """One way through the log: an asynchronous iterator of batches of events, to be closed by `aclose`.

    Nothing is missing between batches, nothing comes twice. An empty batch says that everything published so far was
    seen, and that what comes next is live.

    Iterating raises:
        UnknownSubjectError: There is no such run or task.
        InvalidCursorError: `after` is beyond the log's head.
        CursorExpiredError: Not all of what comes next is kept, be it at the start or later.
    """

    def __init__(self, feed: Feed, inbox: Inbox, last: int, batches: Callable[[Following], _Batches]) -> None:
        self.inbox = inbox
        self.last = last
        self._feed = feed
        self._batches = batches(self)

    @property
    def position(self) -> int:
        """Everything up to this place that is wanted was yielded."""
        return max(self.last, self._feed.position) if self.inbox.drained else self.last

    @property
    def live(self) -> bool:
        """Whether it lives on what is published, rather than on the log."""
        return self.inbox.live

    @property
    def audience(self) -> int:
        """How many subscribers it serves; 1 unless set."""
        return self.inbox.audience

    @audience.setter
    def audience(self, audience: int) -> None:
        self.inbox.audience = audience

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        return await anext(self._batches)

    async def aclose(self) -> None:
        """Follow no more."""
        await self._batches.aclose()


async def _exists(tx: ReadTx, scope: Scope) -> bool:
    match scope:
        case AllScope():
            return True
        case TaskScope(task_id):
            return bool(await tx.tasks.many([task_id]))
        case RunScope(run_id):
            return bool(await tx.runs.many([run_id]))
        case _:
            assert_never(scope)


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
