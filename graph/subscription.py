"""What can be followed: the events of a run, of a task, or all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Sequence
from contextlib import aclosing
from typing import Annotated, Any, TypeAlias

import strawberry
from strawberry import UNSET

from domain import events
from domain.errors import RequestError, StoreError
from domain.events import EventType
from domain.paging import decode_event_cursor
from domain.store import AllScope, RunScope, Scope, TaskScope
from graph.context import Context, Info
from graph.domain_errors import top_level
from graph.fanout.sources import Placed, Way
from graph.marks import BEGINNING
from graph.types.connections import given
from graph.types.events import Event, RunEvent, Types
from graph.types.filters import any_of

AfterEvent: TypeAlias = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor of the last event seen, from any query or subscription: what follows it is replayed first.",
        metadata=BEGINNING,
    ),
]


class EventSource:
    """The events of a scope, for one subscriber or a group of them; see `graph.fanout.sources.Source`.

    Args:
        context: In which events are answered, each as of its delivery.
        scope: What is followed.
        after: Cursor of the last event seen.
        types: What is wanted.
    """

    def __init__(self, context: Context, scope: Scope, after: str | None, types: Sequence[EventType] | None) -> None:
        self._context = context
        self._scope = scope
        self._after = after
        self._types = any_of(types)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Follow alone, as any executor of the schema can."""
        try:
            async with aclosing(self.follow(await self.admit())) as batches:
                async for batch in batches:
                    for event in batch:
                        yield self.root(event)
        except Exception as error:
            raise self.explain(error) from error

    def rights(self, *, personal: bool) -> Hashable:
        """Return the tenant and the role, and the actor if the answers depend on it."""
        principal = self._context.principal
        return principal.tenant, principal.role, principal.actor if personal else None

    async def admit(self) -> int:
        """Check that there is such a thing and that what follows is kept.

        Raises:
            UnknownSubjectError: There is not.
            InvalidCursorError: The cursor is foreign, cut or edited.
            CursorExpiredError: It is older than what is kept.
        """
        context = self._context
        pos = None if self._after is None else decode_event_cursor(context.log_id, self._after)
        return await context.services.feed.admit(context.principal, self._scope, pos)

    def follow(self, after: int) -> Way:
        """Follow what comes after a place."""
        context = self._context
        return context.services.feed.follow(context.principal, self._scope, after, self._types)

    def explain(self, error: Exception) -> Exception:
        """Return a refusal of the domain's as clients see it, anything else as it is."""
        return top_level(error) if isinstance(error, RequestError | StoreError) else error

    def root(self, event: Placed) -> Event:
        """Show an event; what was read for the one before is forgotten."""
        assert isinstance(event, events.Event)
        self._context.refresh()
        return Event.from_domain(event)

    def delivered(self, answers: int) -> None:
        """Count what was handed to subscribers."""
        self._context.services.feed.count_delivered(answers)


# Strawberry wants to read that a subscription returns a generator; what makes one of the source is the fan-out.


def run_events(
    info: Info,
    run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],
    after: AfterEvent = UNSET,
    types: Types = UNSET,
) -> AsyncGenerator[RunEvent, None]:
    """Follow a run."""
    source: AsyncGenerator[RunEvent, None] = _source(info, RunScope(run_id), after, types)
    return source


def task_events(
    info: Info,
    task_id: Annotated[strawberry.ID, strawberry.argument(description="The task.")],
    after: AfterEvent = UNSET,
    types: Types = UNSET,
) -> AsyncGenerator[Event, None]:
    """Follow a task and all its runs."""
    source: AsyncGenerator[Event, None] = _source(info, TaskScope(task_id), after, types)
    return source


def all_events(info: Info, after: AfterEvent = UNSET, types: Types = UNSET) -> AsyncGenerator[Event, None]:
    """Follow everything."""
    source: AsyncGenerator[Event, None] = _source(info, AllScope(), after, types)
    return source


def _source(
    info: Info, scope: Scope, after: str | None, types: Sequence[EventType] | None
) -> AsyncGenerator[Any, None]:
    return EventSource(info.context, scope, given(after), types)  # type: ignore[return-value]  # see above


@strawberry.type(
    description=(
        "What can be followed. after: replays what follows the cursor, then goes live, in order, with no gap and no "
        "repeat. A subscription completes when nothing can ever follow, and only then."
    )
)
class Subscription:
    """The root of subscriptions."""

    run_events: AsyncGenerator[RunEvent, None] = strawberry.subscription(
        resolver=run_events, description="Without after, from the run's first event. Completes after its last."
    )
    task_events: AsyncGenerator[Event, None] = strawberry.subscription(
        resolver=task_events, description="Without after, only what happens from now on. Completes after TASK_DELETED."
    )
    all_events: AsyncGenerator[Event, None] = strawberry.subscription(
        resolver=all_events, description="Without after, only what happens from now on."
    )
