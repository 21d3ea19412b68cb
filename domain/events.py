"""What happened: one record for each type of event, and the envelope that the log keeps.

A payload is the complete record of its event: a run's state is the fold of its events (`domain.lifecycle.evolve`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from domain.codec import from_json
from domain.model import (
    Artifact,
    Decision,
    JsonObject,
    JsonValue,
    LogLine,
    Metric,
    Plan,
    RunFailure,
    RunSettings,
    RunStatus,
    StepStatus,
    Task,
    Usage,
)
from domain.records import replaced


class EventType(StrEnum):
    """What an event tells."""

    ANALYSIS_START = "ANALYSIS_START"
    PLAN_READY = "PLAN_READY"
    APPROVAL_REQUIRED = "APPROVAL_REQUIRED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    PROGRESS = "PROGRESS"
    COMPLETION = "COMPLETION"
    FAILURE = "FAILURE"
    CANCELLED = "CANCELLED"
    RUN_CREATED = "RUN_CREATED"
    RUN_DELETED = "RUN_DELETED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    TIMEOUT = "TIMEOUT"
    RESUMED = "RESUMED"
    LOG = "LOG"
    METRIC = "METRIC"
    ARTIFACT = "ARTIFACT"
    TASK_CREATED = "TASK_CREATED"
    TASK_UPDATED = "TASK_UPDATED"
    TASK_DELETED = "TASK_DELETED"


TERMINAL: Final = frozenset(
    {EventType.COMPLETION, EventType.FAILURE, EventType.REJECTED, EventType.CANCELLED, EventType.TIMEOUT}
)
"""The last event of a run is one of these, and only the last."""


class ResumeReason(StrEnum):
    """Why another claim goes on with a run's work."""

    WORKER_LOST = "WORKER_LOST"
    HANDED_OVER = "HANDED_OVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCreated:
    """A run was created; `plan` and `artifacts` are carried over by a retry from a step, which needs no planning."""

    number: int
    team: str
    config: JsonObject
    settings: RunSettings
    auto_approve: bool
    priority: int
    retry_of: str | None = None
    plan: Plan | None = None
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisStarted:
    """A worker took the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReady:
    """The team delivered a version of the plan; usage is the run's so far."""

    plan: Plan
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequired:
    """The plan waits for a decision, until `expires_at` where that is set."""

    plan: Plan
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The plan was approved, by a person or by policy."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The plan was rejected."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesRequested:
    """The plan was sent back with feedback."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A step started, moved or ended.

    Attributes:
        step_index: Place of the step in the plan, from 1.
        attempt: How often the step was started, 0 for one that never was.
        progress: The run's, 0..1.
        usage: The run's so far.
    """

    step: str
    step_status: StepStatus
    step_index: int
    total_steps: int
    attempt: int
    progress: float
    output: JsonValue = None
    error: str | None = None
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """Lines of the run's log."""

    lines: tuple[LogLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsRecorded:
    """Samples of the run."""

    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStored:
    """A file of the run, stored."""

    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Another claim goes on with the work; `lost_workers` counts those lost since anything was recorded complete."""

    reason: ResumeReason
    attempt: int
    lost_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """The run shall end; at `force_at` it does, whether or not its work has stopped."""

    actor: str
    reason: str | None
    force_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The run is done."""

    results: JsonValue
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The run failed."""

    failure: RunFailure
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The run was cancelled; `forced` when its work had not stopped by then."""

    actor: str
    reason: str | None
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """Nobody decided on the plan in time."""

    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDeleted:
    """A run was deleted with its events."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCreated:
    """A task was created."""

    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUpdated:
    """A task was changed; the names are those of the API."""

    task: Task
    changed_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDeleted:
    """A task was deleted with its runs and their events."""

    name: str


RunPayload: TypeAlias = (
    RunCreated
    | AnalysisStarted
    | PlanReady
    | ApprovalRequired
    | Approved
    | Rejected
    | ChangesRequested
    | Progressed
    | Logged
    | MetricsRecorded
    | ArtifactStored
    | Resumed
    | CancelRequested
    | Completed
    | Failed
    | Cancelled
    | TimedOut
)
TaskPayload: TypeAlias = RunDeleted | TaskCreated | TaskUpdated | TaskDeleted
Payload: TypeAlias = RunPayload | TaskPayload

PAYLOADS: Final[Mapping[EventType, type[Payload]]] = MappingProxyType(
    {
        EventType.RUN_CREATED: RunCreated,
        EventType.ANALYSIS_START: AnalysisStarted,
        EventType.PLAN_READY: PlanReady,
        EventType.APPROVAL_REQUIRED: ApprovalRequired,
        EventType.APPROVED: Approved,
        EventType.REJECTED: Rejected,
        EventType.CHANGES_REQUESTED: ChangesRequested,
        EventType.PROGRESS: Progressed,
        EventType.LOG: Logged,
        EventType.METRIC: MetricsRecorded,
        EventType.ARTIFACT: ArtifactStored,
        EventType.RESUMED: Resumed,
        EventType.CANCEL_REQUESTED: CancelRequested,
        EventType.COMPLETION: Completed,
        EventType.FAILURE: Failed,
        EventType.CANCELLED: Cancelled,
        EventType.TIMEOUT: TimedOut,
        EventType.RUN_DELETED: RunDeleted,
        EventType.TASK_CREATED: TaskCreated,
        EventType.TASK_UPDATED: TaskUpdated,
        EventType.TASK_DELETED: TaskDeleted,
    }
)
TYPES: Final[Mapping[type[Payload], EventType]] = MappingProxyType({cls: type_ for type_, cls in PAYLOADS.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry of the log.

    Attributes:
        pos: Place in the global order, given by the log; 0 before.
        message: One sentence for people.
        data: The payload as JSON.
        run_id: None for events of the task alone.
        sequence: 1, 2, 3 ... within the run; None for events outside a run's sequence (RUN_DELETED among them).
        status: The run's after what happened at once, of which the event may be a part; None where sequence is.
    """

    id: str
    pos: int = 0
    type: EventType
    timestamp: datetime
    message: str
    data: JsonObject
    tenant: str
    task_id: str
    run_id: str | None = None
    sequence: int | None = None
    status: RunStatus | None = None

    @property
    def payload(self) -> Payload:
        """The event's record, read from `data` alone."""
        return from_json(PAYLOADS[self.type], self.data)

    @property
    def is_terminal(self) -> bool:
        """Whether this is its run's last event."""
        return self.type in TERMINAL

    def at(self, pos: int) -> Event:
        """Return the event with its place in the global order."""
        return replaced(self, pos=pos)
