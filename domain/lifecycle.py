"""The life of a run: what may happen in which status, and what follows.

`decide` is the only place that knows the rules: a run's state and a command give events, or a typed refusal. What
an event changes is `domain.fold`, the table that both follow is `domain.transitions`. All are pure; time comes in as
`now`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Final, assert_never, cast

from domain import commands as c
from domain import events as e
from domain.errors import (
    ApprovalExpiredError,
    ConflictError,
    InvalidSignalError,
    InvalidStateError,
    LimitReachedError,
    NotClaimableError,
)
from domain.events import Event
from domain.fold import RunState, evolve, with_run
from domain.hearing import cut, overhear, plain
from domain.model import (
    POLICY,
    ApprovalTimeoutPolicy,
    Artifact,
    Decision,
    DecisionKind,
    JsonObject,
    LogLevel,
    LogLine,
    Plan,
    Run,
    RunAction,
    RunFailure,
    RunStatus,
)
from domain.narration import describe
from domain.plan import number
from domain.steps import move, not_done, skip_carried
from domain.transitions import ACTIVE, FINAL, WORKING

MAX_LOST_WORKERS: Final = 5
"""A run whose work kills five workers in a row, with nothing recorded in between, would kill the sixth."""

S = RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What a command led to: the state after it, and what happened, as payloads and as the log's events."""

    state: RunState
    payloads: tuple[e.RunPayload, ...] = ()
    events: tuple[Event, ...] = ()


def create(run: Run, now: datetime, *, plan: Plan | None = None, artifacts: tuple[Artifact, ...] = ()) -> Transition:
    """Begin a run's life; `plan` and `artifacts` are carried over by a retry from a step."""
    payload = e.RunCreated(
        number=run.number,
        team=run.team,
        config=run.config,
        settings=run.settings,
        auto_approve=run.auto_approve,
        priority=run.priority,
        retry_of=run.retry_of,
        plan=plan,
        artifacts=artifacts,
    )
    state = evolve(RunState(run=run, plan=plan), payload, now)
    return Transition(state=state, payloads=(payload,), events=tuple(_events(state.run, [payload], now)))


def decide(state: RunState, command: c.Command, now: datetime) -> Transition:
    """Apply a command to a run.

    Raises:
        UserFacingError: A person's command is refused, with the reason.
        NotClaimableError: A claim comes to a run that needs no worker.
        InvalidSignalError: A worker's command does not fit the run.
        InvalidPlanError: The team's plan breaks a rule.
    """
    return decide_all(state, (command,), now)


def decide_all(state: RunState, commands: Sequence[c.Command], now: datetime) -> Transition:
    """Apply commands in order, all of them or none."""
    payloads: list[e.RunPayload] = []
    events: list[Event] = []
    for command in commands:
        new = _answer(state, command, now)
        state = _operate(reduce(lambda folded, payload: evolve(folded, payload, now), new, state), command)
        payloads += new
        events += _events(state.run, new, now)
    return Transition(state=state, payloads=tuple(payloads), events=tuple(events))


def allowed_actions(run: Run, now: datetime) -> tuple[RunAction, ...]:
    """Return what a caller may do to a run now, in the order of RunAction."""
    match run.status:
        case S.AWAITING_APPROVAL if run.deadline is not None and run.deadline <= now:
            return (RunAction.CANCEL,)
        case S.AWAITING_APPROVAL if run.revisions >= run.settings.max_revision_rounds:
            return (RunAction.APPROVE, RunAction.REJECT, RunAction.CANCEL)
        case S.AWAITING_APPROVAL:
            return (RunAction.APPROVE, RunAction.REJECT, RunAction.REQUEST_CHANGES, RunAction.CANCEL)
        case S.PENDING | S.ANALYZING | S.RUNNING:
            return (RunAction.CANCEL,)
        case S.CANCELLING:
            return ()
        case S.COMPLETED:
            return (RunAction.DELETE,)
        case S.FAILED | S.REJECTED | S.CANCELLED | S.TIMEOUT:
            return (RunAction.RETRY, RunAction.DELETE)
        case _:
            assert_never(run.status)


def refuse(run: Run, now: datetime, what: str) -> InvalidStateError:
    """Return the refusal of something that a run's status does not allow; `what` completes "can't be ..."."""
    return InvalidStateError(
        f"A run that is {run.status} can't be {what}.",
        current=run.status,
        allowed=allowed_actions(run, now),
        path=("run_id",),
    )


# What a command leads to


def _answer(state: RunState, command: c.Command, now: datetime) -> list[e.RunPayload]:
    match command:
        case c.Review():
            return _review(state, command, now)
        case c.RequestChanges():
            return _request_changes(state, command, now)
        case c.Cancel():
            return _cancel(state, command, now)
        case c.Expire():
            return _expire(state, now)
        case c.Claim():
            return _claim(state, now)
        case _:
            return _work(state, command, now)


def _review(state: RunState, command: c.Review, now: datetime) -> list[e.RunPayload]:
    run = state.run
    kind = DecisionKind.APPROVED if command.approved else DecisionKind.REJECTED
    version = run.plan_version if command.plan_version is None else command.plan_version
    if any((d.kind, d.plan_version, d.actor) == (kind, version, command.actor) for d in state.decisions):
        return []
    _check_decidable(run, command.plan_version, now, kind.lower())
    decision = Decision(
        kind=kind, plan_version=run.plan_version, feedback=command.feedback, actor=command.actor, decided_at=now
    )
    return [e.Approved(decision=decision) if command.approved else e.Rejected(decision=decision)]


def _request_changes(state: RunState, command: c.RequestChanges, now: datetime) -> list[e.RunPayload]:
    run = state.run
    _check_decidable(run, command.plan_version, now, "sent back")
    limit = run.settings.max_revision_rounds
    if run.revisions >= limit:
        raise LimitReachedError(
            f"The plan can be sent back no more than {limit} times; approve or reject it.", path=("run_id",)
        )
    decision = Decision(
        kind=DecisionKind.CHANGES_REQUESTED,
        plan_version=run.plan_version,
        feedback=command.feedback,
        actor=command.actor,
        decided_at=now,
    )
    return [e.ChangesRequested(decision=decision)]


def _check_decidable(run: Run, plan_version: int | None, now: datetime, what: str) -> None:
    """Refuse a decision: first for the status, then for the deadline, then for the plan's version."""
    expired = run.status is S.AWAITING_APPROVAL and run.deadline is not None and run.deadline <= now
    if run.deadline is not None and (expired or run.status is S.TIMEOUT):
        raise ApprovalExpiredError(expired_at=run.deadline, current=run.status, path=("run_id",))
    if run.status is not S.AWAITING_APPROVAL:
        raise refuse(run, now, what)
    if plan_version is not None and plan_version != run.plan_version:
        raise ConflictError("plan", expected=plan_version, actual=run.plan_version, path=("plan_version",))


def _cancel(state: RunState, command: c.Cancel, now: datetime) -> list[e.RunPayload]:
    run = state.run
    cancelled = e.Cancelled(actor=command.actor, reason=command.reason)
    match run.status:
        case S.CANCELLING | S.CANCELLED:
            return []
        case S.PENDING | S.AWAITING_APPROVAL:
            return [cancelled]
        case S.ANALYZING | S.RUNNING:
            requested = e.CancelRequested(actor=command.actor, reason=command.reason, force_at=now + command.grace)
            return [requested] if run.owner is not None else [requested, cancelled]
        case _:
            raise refuse(run, now, "cancelled")


def _expire(state: RunState, now: datetime) -> list[e.RunPayload]:
    run = state.run
    if run.deadline is None or run.deadline > now:
        return []
    if run.status is S.CANCELLING:
        return [e.Cancelled(actor=POLICY, reason="The work did not stop within the grace period.", forced=True)]
    if run.status is not S.AWAITING_APPROVAL:
        return []
    if run.settings.on_approval_timeout is ApprovalTimeoutPolicy.APPROVE:
        return [e.Approved(decision=_policy_decision(DecisionKind.AUTO_APPROVED, run.plan_version, now))]
    return [e.TimedOut(decision=_policy_decision(DecisionKind.EXPIRED, run.plan_version, now))]


def _claim(state: RunState, now: datetime) -> list[e.RunPayload]:
    run = state.run
    alive = run.owner is not None and (run.lease_until is None or run.lease_until > now)
    if run.status not in WORKING or run.held or alive:
        raise NotClaimableError(f"Run {run.id} needs no worker: it is {run.status}.")
    if run.status is S.PENDING:
        return [e.AnalysisStarted(), *(_carry_over(state, state.plan, now) if state.plan else ())]
    if not run.begun:
        return []
    lost = run.owner is not None
    lost_workers = run.lost_workers + lost
    if lost_workers >= MAX_LOST_WORKERS and run.status is not S.CANCELLING:
        message = f"The work was given up: {lost_workers} workers were lost on it in a row."
        failure = RunFailure(code="WORKER_LOST", message=message, step=run.current_step)
        return [e.Failed(failure=failure, usage=run.usage)]
    reason = e.ResumeReason.WORKER_LOST if lost else e.ResumeReason.HANDED_OVER
    return [e.Resumed(reason=reason, attempt=run.attempt + 1, lost_workers=lost_workers)]


def _carry_over(state: RunState, plan: Plan, now: datetime) -> list[e.RunPayload]:
    """Take over the approved plan of the run that is retried from a step."""
    decision = _policy_decision(DecisionKind.AUTO_APPROVED, plan.version, now)
    ready = e.PlanReady(plan=plan, usage=state.run.usage)
    return [ready, e.Approved(decision=decision), *skip_carried(state.run, plan)]


def _work(state: RunState, command: c.WorkerCommand, now: datetime) -> list[e.RunPayload]:
    """Answer the worker that has the run."""
    run = state.run
    match command, run.status:
        case c.HandOver(), _:
            return []
        case (c.RecordMetrics(by_team=False), status) if status in ACTIVE:
            return [e.MetricsRecorded(metrics=command.metrics)]
        case c.WriteLog(), S.ANALYZING | S.RUNNING | S.CANCELLING:
            return [_log(run, command.lines)]
        case c.Stopped(), S.CANCELLING:
            return [e.Cancelled(actor=POLICY, reason=None)]
        case _, S.CANCELLING:
            line = c.NewLine(message=overhear(command), level=LogLevel.INFO, step=run.current_step, timestamp=now)
            return [_log(run, (line,))]
        case c.RecordMetrics(by_team=True), S.ANALYZING | S.RUNNING:
            return [e.MetricsRecorded(metrics=command.metrics)]
        case c.StoreArtifact(), S.ANALYZING | S.RUNNING:
            return [e.ArtifactStored(artifact=command.artifact)]
        case c.Fail(), S.ANALYZING | S.RUNNING:
            failure = replace(command.failure, message=cut(command.failure.message))
            return [e.Failed(failure=failure, usage=run.usage + command.usage)]
        case c.DeliverPlan(), S.ANALYZING:
            return _deliver(state, command, now)
        case ((c.StartStep() | c.AdvanceStep() | c.FinishStep() | c.FailStep()), S.RUNNING):
            return [move(state, command)]
        case c.Finish(), S.RUNNING:
            return _finish(state, command)
        case _:
            raise InvalidSignalError(f"{type(command).__name__} does not fit a run that is {run.status}.")


def _deliver(state: RunState, command: c.DeliverPlan, now: datetime) -> list[e.RunPayload]:
    run = state.run
    feedback = next((d.feedback for d in reversed(state.decisions) if d.kind is DecisionKind.CHANGES_REQUESTED), None)
    plan = number(command.draft, previous=state.plan, feedback=feedback, created_by=command.created_by, now=now)
    ready = e.PlanReady(plan=plan, usage=run.usage + command.usage)
    if run.auto_approve:
        decision = _policy_decision(DecisionKind.AUTO_APPROVED, plan.version, now)
        return [ready, e.Approved(decision=decision)]
    timeout = run.settings.approval_timeout
    expires_at = None if timeout is None else now + timedelta(seconds=timeout)
    return [ready, e.ApprovalRequired(plan=plan, expires_at=expires_at)]


def _finish(state: RunState, command: c.Finish) -> list[e.RunPayload]:
    missing = not_done(state.plan) if state.plan else ()
    if missing:
        raise InvalidSignalError(f"The team ended before these steps were done: {', '.join(missing)}.")
    # Null is "no results yet", as clients read it.
    results = {} if command.results is None else plain(command.results)
    return [e.Completed(results=results, usage=state.run.usage + command.usage)]


def _log(run: Run, lines: Sequence[c.NewLine]) -> e.Logged:
    return e.Logged(
        lines=tuple(
            LogLine(
                number=run.log_count + place,
                level=line.level,
                message=cut(line.message),
                step=line.step,
                timestamp=line.timestamp,
            )
            for place, line in enumerate(lines, 1)
        )
    )


def _policy_decision(kind: DecisionKind, plan_version: int, now: datetime) -> Decision:
    return Decision(kind=kind, plan_version=plan_version, actor=POLICY, decided_at=now)


# What the engine keeps beside the log


def _operate(state: RunState, command: c.Command) -> RunState:
    """Update who has the run: a claim takes it, a hand-over, a wait and the end let go of it."""
    run = state.run
    if run.status in FINAL or run.status is S.AWAITING_APPROVAL:
        return with_run(state, owner=None, lease_until=None, begun=False)
    match command:
        case c.Claim():
            return with_run(
                state, owner=command.owner, lease_until=command.lease_until, attempt=run.attempt + 1, begun=True
            )
        case c.HandOver():
            return with_run(state, owner=None, lease_until=None)
        case _:
            return state


# How it is told


def _events(run: Run, payloads: Sequence[e.RunPayload], now: datetime) -> list[Event]:
    """Return the log's events of what happened at once, after which the run is as given."""
    first = run.last_sequence - len(payloads) + 1
    return [
        Event(
            id=f"event_{run.id.removeprefix('run_')}_{sequence}",
            type=e.TYPES[type(payload)],
            timestamp=now,
            message=describe(payload),
            data=cast("JsonObject", plain(payload)),
            tenant=run.tenant,
            task_id=run.task_id,
            run_id=run.id,
            sequence=sequence,
            status=run.status,
        )
        for sequence, payload in enumerate(payloads, first)
    ]
