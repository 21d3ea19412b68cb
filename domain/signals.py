"""What a team says while it works; the executor turns it into commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from domain.model import JsonValue, LogLevel, MetricType, Usage
from domain.plan import PlanDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSaid:
    """A line for the run's log; its time is when it was said."""

    message: str
    level: LogLevel = LogLevel.INFO
    step: str | None = None
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesSaid:
    """Many lines at once; `dropped` counts further ones of the step that were not kept."""

    lines: Sequence[LineSaid]
    dropped: int = 0
    step: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTaken:
    """A metric's sample."""

    name: str
    value: float
    type: MetricType = MetricType.GAUGE
    unit: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactMade:
    """A file that a step made."""

    name: str
    media_type: str
    content: bytes
    step: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensUsed:
    """What the team spent since it last said so."""

    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step starts, or starts again after the team's own retry."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMoved:
    """A fraction of a step, 0..1, is done."""

    key: str
    fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """A step is done; `skipped` when the team found that it need not be."""

    key: str
    output: JsonValue = None
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """A step failed for good, and the run with it."""

    key: str
    error: str
    retryable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReady:
    """The run's results; without it they are the outputs of the steps by key."""

    results: JsonValue


Signal: TypeAlias = (
    PlanDraft
    | LineSaid
    | LinesSaid
    | SampleTaken
    | ArtifactMade
    | TokensUsed
    | StepStarted
    | StepMoved
    | StepFinished
    | StepFailed
    | ResultReady
)
