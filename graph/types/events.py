"""What happened: an interface with one concrete type for each type of event.

The typed fields are read from the event's own record, so that a replay says what was said live. Only `task` and `run`
are as of delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import strawberry

from domain import events
from domain.events import EventType
from domain.model import RunStatus, StepStatus
from graph.loaders import Loaders
from graph.marks import TIMELESS, Kinds
from graph.types.artifacts import Artifact
from graph.types.connections import CURSOR, EDGES, NODES, Connection
from graph.types.fields import attribute, computed, contextual, edges_of, looked_up, nodes_of
from graph.types.logs import LogLine, lines_of_run
from graph.types.metrics import Metric
from graph.types.node import RUN, TASK, Node
from graph.types.plans import Decision, Plan, RunFailure
from graph.types.scalars import JSON

Types: TypeAlias = Annotated[
    list[EventType] | None, strawberry.argument(description="Only these types; left out, all.")
]

EVENT_CURSOR: Final = "Where to subscribe after, to go on from this answer: never newer than the rest of it."

_PLAN: Final = "The plan as it was then, its steps included."
_DECISION: Final = "What was decided, on which version, and by whom."


def event_cursor() -> Any:
    """Declare the field that lets a client go on from an answer."""
    return contextual(EVENT_CURSOR, lambda _record, context: context.event_cursor, graphql_type=str)


def _from_payload(description: str, read: Callable[[Any], object]) -> Any:
    """Declare a field that is read from the event's payload."""
    return computed(description, lambda event: read(event.payload))


@strawberry.interface(
    description="An entry of the one append-only log. Clients should have a case for types that are added later."
)
class Event:
    """An entry of the log."""

    kinds: ClassVar[Kinds]
    record: strawberry.Private[events.Event]
    id: strawberry.ID = attribute("Stable; an event that is delivered again has the same.")
    cursor: str = contextual(
        "The event's place in the log, good in every event field and subscription.",
        lambda record, context: context.cursor_at(record.pos),
        "pos",
        graphql_type=str,
        marks=TIMELESS,
    )
    type: EventType = attribute("What it tells; the concrete type is named after it.")
    timestamp: datetime = attribute("When it happened.")
    message: str = attribute("One sentence for people.")
    data: JSON = attribute("The complete record of the event: a run's state can be rebuilt from its events.")
    task_id: strawberry.ID = attribute("The task.")
    task: Node | None = looked_up(
        "The task as it is now; null when it is deleted.",
        "task_id",
        Loaders.tasks,
        Node.of,
        graphql_type=TASK | None,
    )

    @staticmethod
    def from_domain(record: events.Event) -> Event:
        """Show an event, which has its place in the log, as its own type."""
        return _CONCRETE[record.type](record=record)

    @cached_property
    def payload(self) -> events.Payload:
        """The event's own record, read from its data alone."""
        return self.record.payload


@strawberry.interface(
    description=(
        "An event of a run. sequence counts a run's events 1, 2, 3 ... with no gap. "
        "status is the run's status after the event."
    )
)
class RunEvent(Event):
    """An event of a run."""

    run_id: strawberry.ID = attribute("The run.")
    run: Node | None = looked_up(
        "The run as it is now; null when it is deleted.",
        "run_id",
        Loaders.all_runs,
        Node.of,
        graphql_type=RUN | None,
    )
    sequence: int = attribute("1, 2, 3 ... within the run.")
    status: RunStatus = attribute("The run's after the event and what came with it at once.")


@strawberry.type(description="A run was created.")
class RunCreatedEvent(RunEvent):
    """RUN_CREATED."""


@strawberry.type(description="A worker took the run; its team begins to plan.")
class AnalysisStartEvent(RunEvent):
    """ANALYSIS_START."""


@strawberry.type(description="The team delivered a version of the plan.")
class PlanReadyEvent(RunEvent):
    """PLAN_READY."""

    plan: Plan = _from_payload(_PLAN, lambda payload: Plan.from_domain(payload.plan))


@strawberry.type(description="The plan waits for a decision.")
class ApprovalRequiredEvent(RunEvent):
    """APPROVAL_REQUIRED."""

    plan: Plan = _from_payload(_PLAN, lambda payload: Plan.from_domain(payload.plan))
    expires_at: datetime | None = _from_payload(
        "When the wait ends; null waits for ever.", lambda payload: payload.expires_at
    )


@strawberry.type(description="The plan was approved, by a person or by policy.")
class ApprovedEvent(RunEvent):
    """APPROVED."""

    decision: Decision = _from_payload(_DECISION, lambda payload: Decision.from_domain(payload.decision))


@strawberry.type(description="The plan was rejected. The run's last event.")
class RejectedEvent(RunEvent):
    """REJECTED."""

    decision: Decision = _from_payload(_DECISION, lambda payload: Decision.from_domain(payload.decision))


@strawberry.type(description="The plan was sent back with feedback.")
class ChangesRequestedEvent(RunEvent):
    """CHANGES_REQUESTED."""

    decision: Decision = _from_payload(_DECISION, lambda payload: Decision.from_domain(payload.decision))


@strawberry.type(
    description=(
        "A step started, moved or ended. step is the step's key, stepIndex counts from 1, attempt counts the starts of "
        "this step."
    )
)
class ProgressEvent(RunEvent):
    """PROGRESS."""

    step: str | None = _from_payload("The step's key.", lambda payload: payload.step)
    step_status: StepStatus | None = _from_payload("Where the step stands.", lambda payload: payload.step_status)
    step_index: int = _from_payload("The step's place in the plan, from 1.", lambda payload: payload.step_index)
    total_steps: int = _from_payload("How many steps the plan has.", lambda payload: payload.total_steps)
    attempt: int = _from_payload(
        "How often the step was started; 0 for one that was skipped.", lambda payload: payload.attempt
    )
    progress: float = _from_payload("The run's, 0..1.", lambda payload: payload.progress)


@strawberry.type(description="The run's team said something.")
class LogEvent(RunEvent):
    """LOG."""

    lines: list[LogLine] = computed(
        "What was said, oldest first; up to 100 lines.",
        lambda event: lines_of_run(event.record.run_id, event.payload.lines),
    )


@strawberry.type(description="Samples of the run were recorded.")
class MetricEvent(RunEvent):
    """METRIC."""

    metrics: list[Metric] = _from_payload(
        "The samples.", lambda payload: [Metric.from_domain(metric) for metric in payload.metrics]
    )


@strawberry.type(description="The run made a file.")
class ArtifactEvent(RunEvent):
    """ARTIFACT."""

    artifact: Artifact = _from_payload("The file.", lambda payload: Artifact.from_domain(payload.artifact))


@strawberry.type(description="Another worker goes on with the run; the step under way starts again.")
class ResumedEvent(RunEvent):
    """RESUMED."""


@strawberry.type(description="The run shall end; its work is given time to stop.")
class CancelRequestedEvent(RunEvent):
    """CANCEL_REQUESTED."""


@strawberry.type(description="The run completed. Its last event.")
class CompletionEvent(RunEvent):
    """COMPLETION."""

    results: JSON = _from_payload(
        "What the run led to; an empty object when its team said nothing.", lambda payload: payload.results
    )


@strawberry.type(description="The run failed. Its last event.")
class FailureEvent(RunEvent):
    """FAILURE."""

    failure: RunFailure = _from_payload("Why.", lambda payload: RunFailure.from_domain(payload.failure))


@strawberry.type(description="The run was cancelled. Its last event.")
class CancelledEvent(RunEvent):
    """CANCELLED."""


@strawberry.type(description="Nobody decided on the plan in time. The run's last event.")
class TimeoutEvent(RunEvent):
    """TIMEOUT."""


@strawberry.type(description="A task was created.")
class TaskCreatedEvent(Event):
    """TASK_CREATED."""


@strawberry.type(description="A task was changed.")
class TaskUpdatedEvent(Event):
    """TASK_UPDATED."""

    changed_fields: list[str] = _from_payload(
        "Names of the task's fields that differ.", lambda payload: payload.changed_fields
    )


@strawberry.type(description="A task was deleted with its runs and all their events. The last event of its feed.")
class TaskDeletedEvent(Event):
    """TASK_DELETED."""


@strawberry.type(description="A run was deleted with its events. Outside the run's own sequence.")
class RunDeletedEvent(Event):
    """RUN_DELETED."""

    run_id: strawberry.ID = attribute("The run that is gone.")


_CONCRETE: Final[Mapping[EventType, type[Event]]] = MappingProxyType(
    {
        EventType.RUN_CREATED: RunCreatedEvent,
        EventType.ANALYSIS_START: AnalysisStartEvent,
        EventType.PLAN_READY: PlanReadyEvent,
        EventType.APPROVAL_REQUIRED: ApprovalRequiredEvent,
        EventType.APPROVED: ApprovedEvent,
        EventType.REJECTED: RejectedEvent,
        EventType.CHANGES_REQUESTED: ChangesRequestedEvent,
        EventType.PROGRESS: ProgressEvent,
        EventType.LOG: LogEvent,
        EventType.METRIC: MetricEvent,
        EventType.ARTIFACT: ArtifactEvent,
        EventType.RESUMED: ResumedEvent,
        EventType.CANCEL_REQUESTED: CancelRequestedEvent,
        EventType.COMPLETION: CompletionEvent,
        EventType.FAILURE: FailureEvent,
        EventType.CANCELLED: CancelledEvent,
        EventType.TIMEOUT: TimeoutEvent,
        EventType.TASK_CREATED: TaskCreatedEvent,
        EventType.TASK_UPDATED: TaskUpdatedEvent,
        EventType.TASK_DELETED: TaskDeletedEvent,
        EventType.RUN_DELETED: RunDeletedEvent,
    }
)
Event.kinds = Kinds("type", _CONCRETE)

EVENT_TYPES: Final = tuple(_CONCRETE.values())
"""All concrete types: nothing else in the schema names them."""


@strawberry.type(description="An event and its place in the log.")
class EventEdge:
    """An event and its place in the log."""

    cursor: str = strawberry.field(description=CURSOR)
    node: Event = strawberry.field(description="The event.")


@strawberry.type(description="A page of events, oldest first.")
class EventConnection(Connection):
    """A page of events."""

    edges: list[EventEdge] = edges_of(EDGES, EventEdge, Event.from_domain)
    nodes: list[Event] = nodes_of(NODES, Event.from_domain)
