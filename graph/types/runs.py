"""Runs, and everything that belongs to one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self, TypeAlias

import strawberry
from strawberry import UNSET

from domain import model
from domain.lifecycle import allowed_actions
from domain.model import LogLevel, RunAction, RunStatus
from domain.paging import DEFAULT_LOG_PAGE, MAX_LOG_PAGE
from domain.store import LogFilter
from graph.context import Context, Info
from graph.errors import ErrorCode, RequestError
from graph.loaders import Loaders
from graph.marks import OF_CALLER
from graph.types import metrics
from graph.types.artifacts import Artifact
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
from graph.types.fields import attribute, contextual, edges_of, looked_up, nodes_of
from graph.types.filters import RunFilter, RunOrder, any_of, metric_filter, time_range
from graph.types.logs import LogConnection
from graph.types.metrics import MaxPoints, MetricConnection, MetricPoint, MetricSummary, Name, Names, Over
from graph.types.node import RUN, TASK, Node
from graph.types.plans import Decision, Plan, RunFailure, Usage
from graph.types.scalars import JSON

Which: TypeAlias = Annotated[RunFilter | None, strawberry.argument(name="filter", description="Which runs.")]
Order: TypeAlias = Annotated[
    RunOrder | None, strawberry.argument(description="How they are sorted; left out, newest first.")
]


def _no_task() -> RequestError:
    return RequestError(ErrorCode.BUSY, "The run's task was deleted while it was being read; ask again.")


def _allowed_actions(record: model.Run, context: Context) -> list[RunAction]:
    return list(allowed_actions(record, context.services.clock.now()))


async def _plans(root: Run, info: Info) -> list[Plan]:
    return [Plan.from_domain(plan) for plan in await info.context.loaders.plans(root.record.id)]


async def _plan_version(
    root: Run,
    info: Info,
    version: Annotated[int, strawberry.argument(description="1, 2, 3 ...; another one gives null.")],
) -> Plan | None:
    plans = await info.context.loaders.plans(root.record.id)
    return next((Plan.from_domain(plan) for plan in plans if plan.version == version), None)


async def _decisions(root: Run, info: Info) -> list[Decision]:
    return [Decision.from_domain(decision) for decision in await info.context.loaders.decisions(root.record.id)]


async def _metrics(
    root: Run,
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    which: metrics.Which = UNSET,
) -> MetricConnection:
    request = page_request(info, first, after, last, before)
    page = await info.context.loaders.metrics(root.record.id, request, metric_filter(which))
    return MetricConnection.from_domain(page)


async def _metric_summaries(root: Run, info: Info, names: Names = UNSET) -> list[MetricSummary]:
    return metrics.summaries(await info.context.loaders.run_summaries(root.record.id, any_of(names)))


async def _metric_series(
    root: Run,
    info: Info,
    *,
    name: Name,
    max_points: MaxPoints = metrics.DEFAULT_POINTS,
    over: Over = UNSET,
) -> list[MetricPoint]:
    limit = metrics.point_limit(max_points)
    return metrics.points(await info.context.loaders.run_series(root.record.id, name, limit, time_range(over)))


async def _logs(
    root: Run,
    info: Info,
    *,
    first: Annotated[
        int | None,
        strawberry.argument(description="How many from the beginning, or after `after`: 1..1000, default 200."),
    ] = UNSET,
    after: After = UNSET,
    last: Annotated[
        int | None,
        strawberry.argument(description="How many from the end, or before `before`: 1..1000; not with `first`."),
    ] = UNSET,
    before: Before = UNSET,
    min_level: Annotated[
        LogLevel | None, strawberry.argument(description="Lines of this level and above.")
    ] = LogLevel.INFO,
    step: Annotated[str | None, strawberry.argument(description="Lines of the step with this key only.")] = UNSET,
) -> LogConnection:
    request = page_request(info, first, after, last, before, default=DEFAULT_LOG_PAGE, maximum=MAX_LOG_PAGE)
    filter_ = LogFilter(min_level=min_level or LogLevel.INFO, step=given(step))
    return LogConnection.from_domain(await info.context.loaders.logs(root.record.id, request, filter_))


async def _artifacts(root: Run, info: Info) -> list[Artifact]:
    return [Artifact.from_domain(artifact) for artifact in await info.context.loaders.artifacts(root.record.id)]


async def _events(
    root: Run,
    info: Info,
    *,
    first: First = UNSET,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
    types: Types = UNSET,
) -> EventConnection:
    request = page_request(info, first, after, last, before)
    page = await info.context.loaders.run_events(root.record.id, request, any_of(types))
    return EventConnection.from_domain(page)


@strawberry.type(description="One attempt at a task.")
class Run(Node, shows=model.Run):
    """One attempt at a task."""

    record: strawberry.Private[model.Run]
    number: int = attribute("1, 2, 3 ... within the task.")
    task: Node = looked_up("The task.", "task_id", Loaders.tasks, Node.of, graphql_type=TASK, missing=_no_task)
    task_id: strawberry.ID = attribute("The task's id.")
    status: RunStatus = attribute("Where it stands.")
    allowed_actions: list[RunAction] = contextual(
        "What the caller may do now, so that clients need no state machine.",
        _allowed_actions,
        *("status", "deadline", "revisions", "settings"),
        graphql_type=list[RunAction],
        marks=OF_CALLER,
    )
    labels: list[str] = attribute("For finding it again.")
    config: JSON = attribute("The task's config when the run was created, with the run's own on top.")
    auto_approve: bool = attribute("Whether the plan is executed without a decision.")
    priority: int = attribute("Among runs that wait for a worker the higher goes first; -100..100, default 0.")
    plan: Plan | None = looked_up(
        "The newest version of the plan; null before the first is ready.",
        "id",
        Loaders.current_plans,
        Plan.from_domain,
        graphql_type=Plan | None,
        by_id=False,
    )
    plans: list[Plan] = strawberry.field(resolver=_plans, description="All versions of the plan, oldest first.")
    plan_version: Plan | None = strawberry.field(resolver=_plan_version, description="One version of the plan.")
    approval_expires_at: datetime | None = attribute(
        "When the plan's wait ends; null when nothing is awaited or it waits for ever."
    )
    decisions: list[Decision] = strawberry.field(
        resolver=_decisions, description="What was decided on the plan's versions, oldest first."
    )
    progress: float | None = attribute("0..1; null before execution.")
    current_step: str | None = attribute("Key of the step that was started last and is not done.")
    results: JSON | None = attribute("What the run led to.")
    failure: RunFailure | None = attribute("Why it failed.", show=RunFailure.from_domain)
    retry_of: Node | None = looked_up(
        "The run that this one retries; null when it is deleted.",
        "retry_of",
        Loaders.all_runs,
        Node.of,
        graphql_type=RUN | None,
    )
    round_count: int = attribute("Planning rounds so far.")
    created_at: datetime = attribute("When it was created.")
    started_at: datetime | None = attribute("When a worker took it.")
    completed_at: datetime | None = attribute("When it came to its end.")
    duration: float | None = attribute("Seconds from startedAt to completedAt.")
    metrics: MetricConnection = strawberry.field(resolver=_metrics, description="The run's samples, oldest first.")
    metric_summaries: list[MetricSummary] = strawberry.field(
        resolver=_metric_summaries, description="One row for each metric name, sorted by name."
    )
    metric_series: list[MetricPoint] = strawberry.field(
        resolver=_metric_series, description="Averages of the run's samples in buckets of equal width."
    )
    logs: LogConnection = strawberry.field(
        resolver=_logs, description="The run's log, oldest first. first defaults to 200 and is at most 1000."
    )
    artifacts: list[Artifact] = strawberry.field(resolver=_artifacts, description="Files of the run, oldest first.")
    usage: Usage = attribute("What its team spent so far.", show=Usage.from_domain)
    events: EventConnection = strawberry.field(resolver=_events, description="The run's events, oldest first.")
    event_cursor: str = event_cursor()

    @classmethod
    def from_domain(cls, record: model.Run) -> Self:
        """Show a run."""
        return cls(record=record)


@strawberry.type(description="A run and its place in the list.")
class RunEdge:
    """A run and its place in the list."""

    cursor: str = strawberry.field(description=CURSOR)
    node: Run = strawberry.field(description="The run.")


@strawberry.type(description="A page of runs.")
class RunConnection(CountedConnection):
    """A page of runs."""

    edges: list[RunEdge] = edges_of(EDGES, RunEdge, Run.from_domain)
    nodes: list[Run] = nodes_of(NODES, Run.from_domain)
