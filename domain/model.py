"""The things that the product is about, as frozen records.

Times are aware datetimes in UTC with microseconds, durations are seconds, money is US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"

POLICY: Final = "policy"
"""The actor of decisions that nobody took by hand."""


class RunStatus(StrEnum):
    """Where a run stands."""

    PENDING = "PENDING"
    ANALYZING = "ANALYZING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"


class TaskStatus(StrEnum):
    """State of a task's latest run, in the words of the dashboard."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"


class RunAction(StrEnum):
    """What a caller may do to a run."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    REQUEST_CHANGES = "REQUEST_CHANGES"
    CANCEL = "CANCEL"
    RETRY = "RETRY"
    DELETE = "DELETE"


class ApprovalTimeoutPolicy(StrEnum):
    """What happens when nobody decides in time."""

    REJECT = "REJECT"
    APPROVE = "APPROVE"


class ConcurrencyPolicy(StrEnum):
    """What happens when a run is created while another of its task is active."""

    ALLOW = "ALLOW"
    QUEUE = "QUEUE"
    REFUSE = "REFUSE"
    CANCEL_PREVIOUS = "CANCEL_PREVIOUS"


class StepStatus(StrEnum):
    """Where a step of a plan stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"

    @property
    def is_final(self) -> bool:
        """Whether the step will not change any more."""
        return self in FINAL_STEP


FINAL_STEP: Final = frozenset({StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED})
"""Of steps that will not change any more."""


class ChangeKind(StrEnum):
    """How a step of a plan differs from the version before."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    MODIFIED = "MODIFIED"
    MOVED = "MOVED"


class DecisionKind(StrEnum):
    """How a plan was decided on."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    EXPIRED = "EXPIRED"
    AUTO_APPROVED = "AUTO_APPROVED"


class MetricType(StrEnum):
    """What a metric's value measures."""

    COUNTER = "COUNTER"
    GAUGE = "GAUGE"
    HISTOGRAM = "HISTOGRAM"
    TIMER = "TIMER"
    STATUS = "STATUS"
    ERROR_RATE = "ERROR_RATE"
    THROUGHPUT = "THROUGHPUT"
    LATENCY = "LATENCY"
    CUSTOM = "CUSTOM"


class LogLevel(StrEnum):
    """Severity of a log line, lowest first."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Role(StrEnum):
    """What a caller may do at all."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who acts, and in whose data.

    Attributes:
        actor: Name that decisions carry.
        tenant: Whose rows are seen and written; None, for the engine itself, sees all of them.
        role: What the caller may do.
    """

    actor: str = "anonymous"
    tenant: str | None = "default"
    role: Role = Role.ADMIN


ANONYMOUS: Final = Principal()
ENGINE: Final = Principal(actor="engine", tenant=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """A task's rules for its runs; each run keeps those of its creation.

    Attributes:
        max_rounds: Rounds a team may work, 1..100.
        max_revision_rounds: How often feedback may send a plan back, 0..50.
        memory_size: Messages a team keeps in memory, 1..1000.
        approval_timeout: Seconds a plan waits for a decision; None waits for ever.
        on_approval_timeout: What happens then.
    """

    max_rounds: int = 5
    max_revision_rounds: int = 2
    memory_size: int = 50
    approval_timeout: int | None = 300
    on_approval_timeout: ApprovalTimeoutPolicy = ApprovalTimeoutPolicy.REJECT


DEFAULT_SETTINGS: Final = RunSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done, by which team, under which rules.

    Attributes:
        status: State of the latest run.
        total_runs: Runs ever created; the latest run's number. Like the three below it never goes down.
        finished_runs: Runs that came to any final status.
        last_run_at: When the latest run was created.
        last_run_duration: Seconds of the run that finished last, None when it never started.
        last_error: Why the run that finished last failed; None when it did not fail.
        version: 1, raised by every update.
    """

    id: str
    tenant: str
    name: str
    description: str = ""
    team: str
    config: JsonObject = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    settings: RunSettings = DEFAULT_SETTINGS
    concurrency: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW
    status: TaskStatus = TaskStatus.PENDING
    latest_run_id: str | None = None
    total_runs: int = 0
    successful_runs: int = 0
    failed_runs: int = 0
    finished_runs: int = 0
    last_run_at: datetime | None = None
    last_run_duration: float | None = None
    last_error: str | None = None
    version: int = 1
    created_at: datetime
    updated_at: datetime

    @property
    def success_rate(self) -> float:
        """Percent of the finished runs that completed, 0.0 when none has finished."""
        return 100.0 * self.successful_runs / self.finished_runs if self.finished_runs else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One step: what will be done, and how far it is.

    Attributes:
        key: Stable across versions of the plan.
        spec: What the team needs to execute exactly this step; part of the plan's digest.
        starts: How often the step was started.
    """

    key: str
    title: str
    detail: str = ""
    assignee: str | None = None
    spec: JsonObject = field(default_factory=dict)
    status: StepStatus = StepStatus.PENDING
    starts: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    output: JsonValue = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """How one step differs from the version before, as texts to show."""

    kind: ChangeKind
    step_key: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A version of what a team wants to do; its content never changes, only how far its steps are.

    Attributes:
        digest: SHA-256 of the content's canonical JSON, lower-case hexadecimal.
        spec: What the team needs beside its steps; part of the digest.
        changes: What differs from the version before.
        feedback: The feedback that this version answers.
    """

    version: int
    digest: str
    summary: str
    complexity: str | None = None
    steps: tuple[PlanStep, ...]
    spec: JsonObject = field(default_factory=dict)
    changes: tuple[PlanChange, ...] = ()
    feedback: str | None = None
    created_by: str
    created_at: datetime

    def step(self, key: str) -> PlanStep | None:
        """Return the step with a key, None when there is none."""
        place = self.place(key)
        return None if place is None else self.steps[place]

    def place(self, key: str) -> int | None:
        """Return the place of the step with a key, 0 for the first, None when there is none."""
        for place, step in enumerate(self.steps):
            if step.key == key:
                return place
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided on a version of the plan, and by whom."""

    kind: DecisionKind
    plan_version: int
    feedback: str | None = None
    actor: str
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money that a run's team spent so far."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        if other is NO_USAGE:
            return self
        return Usage(
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


NO_USAGE: Final = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailure:
    """Why a run failed: a stable code, a sentence, the step at fault, and whether a retry may help."""

    code: str
    message: str
    step: str | None = None
    retryable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at a task.

    Attributes:
        number: 1, 2, 3 ... within the task.
        config: The task's config at creation with the run's own on top.
        deadline: When the current wait ends by itself: the approval's while AWAITING_APPROVAL (kept when it ended as
            TIMEOUT), the grace period's while CANCELLING; None waits for ever.
        plan_version: Version of the newest plan, 0 before the first.
        revisions: How often feedback sent the plan back.
        round_count: Planning rounds so far: 1 with the first, one more each time the plan was sent back.
        progress: 0..1, None before execution.
        current_step: Key of the step that was started last and is not done.
        last_sequence: Sequence of the run's newest event.
        log_count: Log lines so far; the newest line's number.
        lost_workers: Workers lost since anything was last recorded complete.
        duration: Seconds from started_at to completed_at.
        held: Waits for an earlier run of its task to end. This and what follows belong to the engine, not to the log.
        owner: The worker that has the run, None when nobody has.
        lease_until: When the ownership lapses; None, with an owner, lasts as long as the owner's process.
        attempt: Counts claims; a write by an older claim is refused.
        begun: Whether a claim has begun on the current phase.
        traces: Traceparents of the request that created the run and of the latest that decided about it, for the traces
            of the work that they caused (`domain.tracing`).
    """

    id: str
    tenant: str
    task_id: str
    number: int
    team: str
    status: RunStatus = RunStatus.PENDING
    labels: tuple[str, ...] = ()
    config: JsonObject = field(default_factory=dict)
    settings: RunSettings = DEFAULT_SETTINGS
    auto_approve: bool = False
    priority: int = 0
    retry_of: str | None = None
    deadline: datetime | None = None
    plan_version: int = 0
    revisions: int = 0
    round_count: int = 0
    progress: float | None = None
    current_step: str | None = None
    results: JsonValue = None
    failure: RunFailure | None = None
    usage: Usage = NO_USAGE
    last_sequence: int = 0
    log_count: int = 0
    lost_workers: int = 0
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration: float | None = None
    held: bool = False
    owner: str | None = None
    lease_until: datetime | None = None
    attempt: int = 0
    begun: bool = False
    traces: tuple[str, ...] = ()

    @property
    def approval_expires_at(self) -> datetime | None:
        """When the plan's wait ends; None when nothing is awaited or it waits for ever."""
        return self.deadline if self.status is RunStatus.AWAITING_APPROVAL else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a run's log; `number` counts from 1 within the run."""

    number: int
    level: LogLevel
    message: str
    step: str | None = None
    timestamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One sample, of a task or of one of its runs."""

    id: str
    tenant: str
    task_id: str
    run_id: str | None = None
    name: str
    type: MetricType = MetricType.GAUGE
    value: float
    unit: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    timestamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One metric name over many samples."""

    name: str
    unit: str | None
    count: int
    min: float
    max: float
    avg: float
    last: float
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """The average of a bucket of samples; `timestamp` is the bucket's start."""

    timestamp: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a run made.

    Attributes:
        step: Key of the step that made it.
        size: Bytes.
        sha256: Of the bytes, lower-case hexadecimal.
    """

    id: str
    tenant: str
    task_id: str
    run_id: str
    step: str | None = None
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime
