"""What can be followed: the events of a run, of a task, or all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, TypeAlias

import strawberry
from strawberry import UNSET

from domain.events import EventType
from domain.paging import decode_event_cursor
from domain.store import AllScope, RunScope, Scope, TaskScope
from graph.context import Context, Info
from graph.domain_errors import translated
from graph.types.connections import given
from graph.types.events import Event, RunEvent, Types
from graph.types.filters import any_of

AfterEvent: TypeAlias = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor of the last event seen, from any query or subscription: what follows it is replayed first."
    ),
]


async def follow(
    context: Context, scope: Scope, after: str | None, types: Sequence[EventType] | None
) -> AsyncGenerator[Event, None]:
    """Yield events as they happen.

    Each one is answered as of its delivery, so that what was read for the one before is forgotten.

    Raises:
        graph.errors.RequestError: NOT_FOUND for an unknown id, BAD_USER_INPUT for a foreign, cut or edited cursor,
            CURSOR_EXPIRED for one that is older than what is kept.
    """
    services = context.services
    with translated():
        pos = None if after is None else decode_event_cursor(context.log_id, after)
        async with aclosing(services.feed.follow(context.principal, scope, pos, any_of(types))) as batches:
            async for batch in batches:
                for event in batch:
                    context.refresh()
                    yield Event.from_domain(event, context.log_id)


async def run_events(
    info: Info,
    run_id: Annotated[strawberry.ID, strawberry.argument(description="The run.")],
    after: AfterEvent = UNSET,
    types: Types = UNSET,
) -> AsyncGenerator[RunEvent, None]:
    """Follow a run."""
    async with aclosing(follow(info.context, RunScope(run_id), given(after), types)) as events:
        async for event in events:
            assert isinstance(event, RunEvent)
            yield event


def task_events(
    info: Info,
    task_id: Annotated[strawberry.ID, strawberry.argument(description="The task.")],
    after: AfterEvent = UNSET,
    types: Types = UNSET,
) -> AsyncGenerator[Event, None]:
    """Follow a task and all its runs."""
    return follow(info.context, TaskScope(task_id), given(after), types)


def all_events(info: Info, after: AfterEvent = UNSET, types: Types = UNSET) -> AsyncGenerator[Event, None]:
    """Follow everything."""
    return follow(info.context, AllScope(), given(after), types)


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
