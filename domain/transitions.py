"""The life of a run as a table for people to read; `decide` follows it, and a test holds the two together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.events import EventType
from domain.model import RunStatus

S = RunStatus
T = EventType


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: from where, by what cause, to where, with which events in the same transaction."""

    sources: tuple[RunStatus | None, ...]
    cause: str
    target: RunStatus | None
    events: tuple[EventType, ...]


LIFE: Final = (
    Row((None,), "createRun", S.PENDING, (T.RUN_CREATED,)),
    Row((S.PENDING,), "a worker takes it", S.ANALYZING, (T.ANALYSIS_START,)),
    Row((S.PENDING,), "a worker takes a retry from a step", S.RUNNING, (T.ANALYSIS_START, T.PLAN_READY, T.APPROVED)),
    Row((S.ANALYZING,), "the team delivered a plan", S.AWAITING_APPROVAL, (T.PLAN_READY, T.APPROVAL_REQUIRED)),
    Row((S.ANALYZING,), "the same, and autoApprove", S.RUNNING, (T.PLAN_READY, T.APPROVED)),
    Row((S.AWAITING_APPROVAL,), "approveRun(approved: true)", S.RUNNING, (T.APPROVED,)),
    Row((S.AWAITING_APPROVAL,), "approveRun(approved: false)", S.REJECTED, (T.REJECTED,)),
    Row((S.AWAITING_APPROVAL,), "requestPlanChanges", S.ANALYZING, (T.CHANGES_REQUESTED,)),
    Row((S.AWAITING_APPROVAL,), "the deadline passed, policy REJECT", S.TIMEOUT, (T.TIMEOUT,)),
    Row((S.AWAITING_APPROVAL,), "the deadline passed, policy APPROVE", S.RUNNING, (T.APPROVED,)),
    Row((S.RUNNING,), "steps", S.RUNNING, (T.PROGRESS,)),
    Row((S.RUNNING,), "all steps done", S.COMPLETED, (T.COMPLETION,)),
    Row((S.ANALYZING, S.RUNNING), "error, or given up after repeated crashes", S.FAILED, (T.FAILURE,)),
    Row((S.PENDING, S.AWAITING_APPROVAL), "cancelRun", S.CANCELLED, (T.CANCELLED,)),
    Row((S.ANALYZING, S.RUNNING), "cancelRun", S.CANCELLING, (T.CANCEL_REQUESTED,)),
    Row((S.ANALYZING, S.RUNNING), "cancelRun while nobody works on it", S.CANCELLED, (T.CANCEL_REQUESTED, T.CANCELLED)),
    Row((S.CANCELLING,), "the work stopped, or the grace period ended", S.CANCELLED, (T.CANCELLED,)),
    Row((S.ANALYZING, S.RUNNING, S.CANCELLING), "its worker is gone, another takes over", None, (T.RESUMED,)),
    Row((S.ANALYZING, S.RUNNING, S.CANCELLING), "the team reports", None, (T.LOG,)),
    Row((S.ANALYZING, S.RUNNING), "the team reports", None, (T.METRIC,)),
    Row((S.ANALYZING, S.RUNNING), "the team reports", None, (T.ARTIFACT,)),
    Row((S.PENDING, S.ANALYZING, S.AWAITING_APPROVAL, S.RUNNING, S.CANCELLING), "createMetrics", None, (T.METRIC,)),
)
"""The life of a run; `target` None stays where it is. A retry from a step adds a PROGRESS for each step it skips."""

TRANSITIONS: Final = {
    status: frozenset(row.target for row in LIFE if status in row.sources and row.target not in {None, status})
    for status in RunStatus
}
"""Where a run can go next; a status from which it can't is final."""

FINAL: Final = frozenset(status for status, targets in TRANSITIONS.items() if not targets)
ACTIVE: Final = frozenset(RunStatus) - FINAL
WORKING: Final = frozenset({S.PENDING, S.ANALYZING, S.RUNNING, S.CANCELLING})
"""Statuses in which a worker has something to do."""
