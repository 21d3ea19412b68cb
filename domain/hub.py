"""Who follows what: what is published goes into the inboxes of those whom it concerns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import assert_never

from domain.events import Event, EventType
from domain.store import AllScope, RunScope, Scope, TaskScope


class Inbox:
    """What was published for one follower and is not yet taken.

    Attributes:
        scope: What is followed.
        tenant: Whose events; None takes everyone's.
        task_id: The task of a run that is followed, once it is known.
        audience: How many subscribers the follower serves.
    """

    def __init__(self, scope: Scope, tenant: str | None, limit: int) -> None:
        self.scope = scope
        self.tenant = tenant
        self.task_id: str | None = None
        self.audience = 1
        self._limit = limit
        self._events: deque[Event] = deque()
        self._overflowed = False
        self._living = False
        self._woken = asyncio.Event()

    @property
    def live(self) -> bool:
        """Whether the follower lives on what is put here, rather than on the log."""
        return self._living and not self._overflowed

    @property
    def drained(self) -> bool:
        """Whether the follower has taken everything that was ever put here."""
        return self.live and not self._events

    def reset(self) -> None:
        """Forget what was published: it will be read from the log."""
        self._events.clear()
        self._overflowed = self._living = False

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

    async def live_events(self, last: int) -> AsyncGenerator[Sequence[Event]]:
        """Yield what is published after a place, until the buffer overflows.

        An empty batch comes once, when there is nothing more to take for the first time.
        """
        self._living = True
        told = False
        while not self._overflowed:
            events = [event for event in self._events if event.pos > last]
            self._events.clear()
            if events:
                last = events[-1].pos
                yield events
            elif not told:
                told = True
                yield events
            else:
                self._woken.clear()
                await self._woken.wait()


class Hub:
    """The inboxes of those who follow."""

    def __init__(self) -> None:
        self._all: set[Inbox] = set()
        self._of_task: dict[str, set[Inbox]] = {}
        self._of_run: dict[str, set[Inbox]] = {}

    @property
    def inboxes(self) -> Iterable[Inbox]:
        """All of them."""
        return chain(self._all, *self._of_task.values(), *self._of_run.values())

    @contextmanager
    def listening(self, inbox: Inbox) -> Iterator[None]:
        """Deliver to an inbox until the block ends."""
        inboxes = self._inboxes(inbox.scope)
        inboxes.add(inbox)
        try:
            yield
        finally:
            inboxes.discard(inbox)
            self._forget_empty(inbox.scope)

    def deliver(self, event: Event) -> None:
        """Give an event to all that follow it."""
        for inbox in self._all:
            inbox.put(event)
        for inbox in self._of_task.get(event.task_id, ()):
            inbox.put(event)
        if event.run_id is not None:
            for inbox in self._of_run.get(event.run_id, ()):
                inbox.put(event)
        elif event.type is EventType.TASK_DELETED:
            for inboxes in self._of_run.values():
                for inbox in inboxes:
                    if inbox.task_id == event.task_id:
                        inbox.put(event)

    def interrupt(self) -> None:
        """Send all that follow anything back to the log."""
        for inbox in self.inboxes:
            inbox.interrupt()

    def _inboxes(self, scope: Scope) -> set[Inbox]:
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
