"""What can be asked of a run, by people, by time and by the worker that has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from domain.model import NO_USAGE, Artifact, JsonValue, LogLevel, Metric, RunFailure, Usage
from domain.plan import PlanDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Approve or reject the plan.

    Attributes:
        plan_version: The version that the reviewer saw; None means the current one.
    """

    approved: bool
    feedback: str | None = None
    plan_version: int | None = None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChanges:
    """Send the plan back with feedback."""

    feedback: str
    plan_version: int | None = None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End the run; work under way gets `grace` to stop."""

    actor: str
    reason: str | None = None
    grace: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire:
    """Time has passed: do what the run's deadline asks for, if it has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker takes the run; `lease_until` None lasts as long as the worker's process."""

    owner: str
    lease_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """The worker gives the run back, to be gone on with by another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverPlan:
    """The team's plan is ready; usage is what planning it cost."""

    draft: PlanDraft
    created_by: str
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class StartStep:
    """A step starts, for the first time or again."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceStep:
    """A step moved on; `fraction` of it, 0..1, is done."""

    key: str
    fraction: float
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishStep:
    """A step is done, or skipped by its team."""

    key: str
    output: JsonValue = None
    skipped: bool = False
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class FailStep:
    """A step failed for good."""

    key: str
    error: str
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLine:
    """A log line before it is numbered."""

    message: str
    level: LogLevel = LogLevel.INFO
    step: str | None = None
    timestamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLog:
    """Lines for the run's log."""

    lines: tuple[NewLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMetrics:
    """Samples of the run, given by a caller, or taken by its team at work (`by_team`)."""

    metrics: tuple[Metric, ...]
    by_team: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreArtifact:
    """A file of the run, whose bytes are stored in the same transaction."""

    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """All steps are done."""

    results: JsonValue
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The work can't go on."""

    failure: RunFailure
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The work of a run that is being cancelled has stopped."""


UserCommand: TypeAlias = Review | RequestChanges | Cancel
WorkerCommand: TypeAlias = (
    HandOver
    | DeliverPlan
    | StartStep
    | AdvanceStep
    | FinishStep
    | FailStep
    | WriteLog
    | RecordMetrics
    | StoreArtifact
    | Finish
    | Fail
    | Stopped
)
Command: TypeAlias = UserCommand | Expire | Claim | WorkerCommand
