"""Tasks, their runs, and what all of these say together."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry
from strawberry import UNSET

from domain import model
from domain.model import ApprovalTimeoutPolicy, ConcurrencyPolicy, TaskStatus
from graph.context import Info
from graph.loaders import Loaders
from graph.types import metrics, runs
from graph.types.connections import (
    CURSOR,
    EDGES,
    NODES,
    After,
    Before,
    CountedConnection,
    First,
    Last,
    given,
    page_request,
)
from graph.types.events import EventConnection, Types, event_cursor
from graph.types.fields import attribute, edges_of, looked_up, nodes_of
from graph.types.filters import TaskFilter, TaskOrder, any_of, run_filter, run_order, time_range
from graph.types.metrics import MaxPoints, MetricPoint, MetricSummary, Name, Names, Over
from graph.types.node import Node
from graph.types.runs import Run, RunConnection
from graph.types.scalars import JSON

Which: TypeAlias = Annotated[TaskFilter | None, strawberry.argument(name="filter", description="Which tasks.")]
Order: TypeAlias = Annotated[
    TaskOrder | None, strawberry.argument(description="How they are sorted; left out, newest first.")
]


async def _runs(
    root: Task,
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    which: runs.Which = UNSET,
    order_by: runs.Order = UNSET,
) -> RunConnection:
    request = page_request(info, first, after, last, before)
    page = await info.context.loaders.runs(root.record.id, request, run_filter(which), run_order(order_by))
    return RunConnection.from_domain(page)


async def _metric_summaries(
    root: Task,
    info: Info,
    names: Names = UNSET,
    since: Annotated[datetime | None, strawberry.argument(description="Only samples taken then or later.")] = UNSET,
) -> list[MetricSummary]:
    rows = await info.context.loaders.task_summaries(root.record.id, any_of(names), given(since))
    return metrics.summaries(rows)


async def _metric_series(
    root: Task,
    info: Info,
    *,
    name: Name,
    max_points: MaxPoints = metrics.DEFAULT_POINTS,
    over: Over = UNSET,
) -> list[MetricPoint]:
    limit = metrics.point_limit(max_points)
    return metrics.points(await info.context.loaders.task_series(root.record.id, name, limit, time_range(over)))


async def _events(
    root: Task,
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    types: Types = UNSET,
) -> EventConnection:
    request = page_request(info, first, after, last, before)
    page = await info.context.loaders.task_events(root.record.id, request, any_of(types))
    return EventConnection.from_domain(page)


@strawberry.type(description="What is to be done, by which team, under which rules.")
class Task(Node, shows=model.Task):
    """What is to be done."""

    record: strawberry.Private[model.Task]
    name: str = attribute("For people; 1..255 characters.")
    description: str = attribute("What the team shall do, in the words of a person.")
    status: TaskStatus = attribute(
        "State of the task's latest run, in the words of the dashboard; never set by a client."
    )
    team: str = attribute("Which team plans and executes its runs, one of the names in `teams`.")
    config: JSON = attribute("What the team needs to know: its own settings, validated by the team.")
    labels: list[str] = attribute("For finding it again.")
    max_rounds: int = attribute("Rounds that a team may work, 1..100, default 5.", "settings.max_rounds")
    max_revision_rounds: int = attribute(
        "How often feedback may send a plan back, 0..50, default 2.", "settings.max_revision_rounds"
    )
    memory_size: int = attribute(
        "How many messages a team keeps in memory, 1..1000, default 50.", "settings.memory_size"
    )
    approval_timeout: int | None = attribute(
        "Seconds a plan waits for a decision, default 300; null waits for ever.",
        "settings.approval_timeout",
    )
    on_approval_timeout: ApprovalTimeoutPolicy = attribute(
        "What happens when nobody decides in time.", "settings.on_approval_timeout"
    )
    concurrency: ConcurrencyPolicy = attribute("What happens when a run is created while another is active.")
    total_runs: int = attribute("Runs ever created; never goes down, not even when runs are deleted.")
    successful_runs: int = attribute("Those of them that completed.")
    failed_runs: int = attribute("Those of them that failed or whose plan nobody decided on in time.")
    success_rate: float = attribute("Percent of the finished runs that completed, 0.0 when none has finished.")
    last_run_at: datetime | None = attribute("When the latest run was created.")
    last_run_duration: float | None = attribute("Seconds that the run took that finished last.")
    last_error: str | None = attribute("Why the run that finished last failed; null when it did not fail.")
    version: int = attribute("Bumped by every update; hand it back as expectedVersion.")
    created_at: datetime = attribute("When it was created.")
    updated_at: datetime = attribute("When it was last changed by a client.")
    latest_run: Run | None = looked_up(
        "The run with the highest number.",
        "latest_run_id",
        Loaders.all_runs,
        Run.from_domain,
        graphql_type=Run | None,
    )
    runs: RunConnection = strawberry.field(resolver=_runs, description="The task's runs.")
    metric_summaries: list[MetricSummary] = strawberry.field(
        resolver=_metric_summaries, description="One row for each metric name, over all runs of the task."
    )
    metric_series: list[MetricPoint] = strawberry.field(
        resolver=_metric_series, description="Averages of the samples of all its runs, in buckets of equal width."
    )
    events: EventConnection = strawberry.field(
        resolver=_events, description="The events of the task and all its runs, oldest first."
    )
    event_cursor: str = event_cursor()

    @classmethod
    def from_domain(cls, record: model.Task) -> Self:
        """Show a task."""
        return cls(record=record)


@strawberry.type(description="A task and its place in the list.")
class TaskEdge:
    """A task and its place in the list."""

    cursor: str = strawberry.field(description=CURSOR)
    node: Task = strawberry.field(description="The task.")


@strawberry.type(description="A page of tasks.")
class TaskConnection(CountedConnection):
    """A page of tasks."""

    edges: list[TaskEdge] = edges_of(EDGES, TaskEdge, Task.from_domain)
    nodes: list[Task] = nodes_of(NODES, Task.from_domain)
