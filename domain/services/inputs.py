"""What use cases are given, before anything is checked.

In an update `UNSET` means that a field is left as it is; None means that null was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Literal, TypeAlias, TypeVar

from domain.model import ApprovalTimeoutPolicy, ConcurrencyPolicy, JsonValue, MetricType

T = TypeVar("T")


class _Unset(Enum):
    UNSET = "UNSET"


UNSET: Final = _Unset.UNSET
Unset: TypeAlias = Literal[_Unset.UNSET]
Change: TypeAlias = T | Unset | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to create; None means the operator's default for team and config, and no end for approval_timeout."""

    name: str
    description: str = ""
    team: str | None = None
    config: JsonValue = None
    labels: Sequence[str] = ()
    max_rounds: int = 5
    max_revision_rounds: int = 2
    memory_size: int = 50
    approval_timeout: int | None = 300
    on_approval_timeout: ApprovalTimeoutPolicy = ApprovalTimeoutPolicy.REJECT
    concurrency: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskChanges:
    """Changes to a task."""

    task_id: str
    name: Change[str] = UNSET
    description: Change[str] = UNSET
    team: Change[str] = UNSET
    config: Change[JsonValue] = UNSET
    labels: Change[Sequence[str]] = UNSET
    max_rounds: Change[int] = UNSET
    max_revision_rounds: Change[int] = UNSET
    memory_size: Change[int] = UNSET
    approval_timeout: Change[int] = UNSET
    on_approval_timeout: Change[ApprovalTimeoutPolicy] = UNSET
    concurrency: Change[ConcurrencyPolicy] = UNSET
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to create; `config` goes on top of the task's."""

    task_id: str
    config: JsonValue = None
    labels: Sequence[str] = ()
    auto_approve: bool = False
    priority: int = 0
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMetric:
    """A sample to record; None as timestamp means now."""

    name: str
    value: float
    type: MetricType = MetricType.GAUGE
    unit: str | None = None
    labels: JsonValue = None
    timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMetrics:
    """Samples to record, of a task, or of a run."""

    metrics: Sequence[NewMetric]
    task_id: str | None = None
    run_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChanges:
    """Changes to a sample."""

    metric_id: str
    value: Change[float] = UNSET
    unit: Change[str] = UNSET
    labels: Change[JsonValue] = UNSET


__all__ = ["UNSET", "Change", "MetricChanges", "NewMetric", "NewMetrics", "NewRun", "NewTask", "TaskChanges", "Unset"]
