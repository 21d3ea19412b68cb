"""What can be asked. An id that names nothing, or a thing of another kind, is null and no error."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, TypeAlias

import strawberry
from strawberry import UNSET

from domain.errors import InvalidArgumentError
from domain.ids import Kind, kind_of
from graph.context import Info
from graph.domain_errors import translated
from graph.selection import look_ahead
from graph.types import metrics as metric_types
from graph.types import runs as run_types
from graph.types import tasks as task_types
from graph.types.connections import After, Before, First, Last, page_request
from graph.types.events import EVENT_CURSOR, EventConnection, Types
from graph.types.filters import any_of, metric_filter, run_filter, run_order, task_filter, task_order
from graph.types.metrics import Metric, MetricConnection
from graph.types.node import Node, NodeRecord
from graph.types.runs import Run, RunConnection
from graph.types.server import FeedStats, Team
from graph.types.tasks import Task, TaskConnection

MAX_NODES: Final = 100

Id: TypeAlias = Annotated[strawberry.ID, strawberry.argument(name="id", description="What is looked for.")]


async def _find(info: Info, id_: str) -> Node | None:
    loaders = info.context.loaders
    record: NodeRecord | None
    match kind_of(id_):
        case Kind.TASK:
            record = await loaders.tasks().one(id_)
        case Kind.RUN:
            record = await loaders.all_runs().one(id_)
        case Kind.METRIC:
            record = await loaders.all_metrics().one(id_)
        case Kind.ARTIFACT:
            record = await loaders.all_artifacts().one(id_)
        case None:
            record = None
    return Node.of(record) if record else None


async def node(info: Info, id_: Id) -> Node | None:
    """Find anything by its id."""
    return await _find(info, id_)


async def nodes(
    info: Info,
    ids: Annotated[list[strawberry.ID], strawberry.argument(description=f"At most {MAX_NODES}.")],
) -> list[Node | None]:
    """Find many things at once, in the order of their ids."""
    with translated():
        if len(ids) > MAX_NODES:
            raise InvalidArgumentError(f"nodes takes at most {MAX_NODES} ids.")
    return await asyncio.gather(*(_find(info, id_) for id_ in ids))


async def task(info: Info, id_: Id) -> Task | None:
    """Find a task."""
    seen = look_ahead(info)
    record = await info.context.loaders.tasks(seen.fields, seen.related).one(id_)
    return Task.from_domain(record) if record else None


async def run(info: Info, id_: Id) -> Run | None:
    """Find a run."""
    seen = look_ahead(info)
    record = await info.context.loaders.all_runs(seen.fields, seen.related).one(id_)
    return Run.from_domain(record) if record else None


async def metric(info: Info, id_: Id) -> Metric | None:
    """Find a sample."""
    seen = look_ahead(info)
    record = await info.context.loaders.all_metrics(seen.fields, seen.related).one(id_)
    return Metric.from_domain(record) if record else None


async def tasks(
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    which: task_types.Which = UNSET,
    order_by: task_types.Order = UNSET,
) -> TaskConnection:
    """List tasks."""
    request = page_request(info, first, after, last, before)
    filter_, order = task_filter(which), task_order(order_by)
    page = await info.context.loaders.read(lambda tx: tx.tasks.page(request, filter_, order))
    return TaskConnection.from_domain(page)


async def runs(
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    which: run_types.Which = UNSET,
    order_by: run_types.Order = UNSET,
) -> RunConnection:
    """List runs of all tasks."""
    request = page_request(info, first, after, last, before)
    filter_, order = run_filter(which), run_order(order_by)
    page = await info.context.loaders.read(lambda tx: tx.runs.page(request, filter_, order))
    return RunConnection.from_domain(page)


async def metrics(
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    which: metric_types.Which = UNSET,
) -> MetricConnection:
    """List samples."""
    request = page_request(info, first, after, last, before)
    filter_ = metric_filter(which)
    page = await info.context.loaders.read(lambda tx: tx.metrics.page(request, filter_))
    return MetricConnection.from_domain(page)


async def events(
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    types: Types = UNSET,
) -> EventConnection:
    """List everything that happened."""
    request = page_request(info, first, after, last, before)
    wanted = any_of(types)
    page = await info.context.loaders.read(lambda tx: tx.events.page(request, wanted))
    return EventConnection.from_domain(page)


def _event_cursor(info: Info) -> str:
    return info.context.event_cursor


def teams(info: Info) -> list[Team]:
    """List the teams."""
    return [Team.from_domain(team) for team in info.context.services.teams.describe()]


def feed(info: Info) -> FeedStats:
    """Tell how the feed of this instance does."""
    services = info.context.services
    return FeedStats.from_domain(
        services.feed.statistics(),
        instance=services.instance,
        connections=services.connections(),
        bell=services.bell.status.state,
    )


@strawberry.type(description="What can be asked. An id that names nothing, or a thing of another kind, is null.")
class Query:
    """The root of queries."""

    node: Node | None = strawberry.field(resolver=node, description="Anything, by its id.")
    nodes: list[Node | None] = strawberry.field(
        resolver=nodes, description="Many things at once, in the order of their ids; null for one that is not there."
    )
    task: Task | None = strawberry.field(resolver=task, description="A task, by its id.")
    run: Run | None = strawberry.field(resolver=run, description="A run, by its id.")
    metric: Metric | None = strawberry.field(resolver=metric, description="A sample, by its id.")
    tasks: TaskConnection = strawberry.field(
        resolver=tasks,
        description=(
            "Tasks. first defaults to 10 and is at most 100, here and in every connection but logs (200, 1000)."
        ),
    )
    runs: RunConnection = strawberry.field(resolver=runs, description="Runs of all tasks.")
    metrics: MetricConnection = strawberry.field(resolver=metrics, description="Samples, oldest first.")
    events: EventConnection = strawberry.field(resolver=events, description="Everything that happened, oldest first.")
    event_cursor: str = strawberry.field(resolver=_event_cursor, description=EVENT_CURSOR)
    teams: list[Team] = strawberry.field(resolver=teams, description="The teams that tasks can name, sorted by name.")
    feed: FeedStats = strawberry.field(resolver=feed, description="Subscribers, queues and lag of this instance.")
