"""What an event changes: a run's state is the fold of its events, so that it can be rebuilt from the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from domain import events as e
from domain.events import Event
from domain.model import Decision, Plan, Run, RunStatus, StepStatus
from domain.records import replaced

S = RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Everything that decides what may happen to a run.

    Attributes:
        plan: The newest version, with its steps as they stand. Before the first version is ready it is set only for a
            retry from a step, which carries its plan over.
        decisions: Oldest first.
    """

    run: Run
    plan: Plan | None = None
    decisions: tuple[Decision, ...] = ()


def evolve(state: RunState, payload: e.RunPayload, at: datetime) -> RunState:
    """Return the state after an event that happened at a time; the fold of a run's events is its state."""
    run = state.run
    match payload:
        case e.RunCreated():
            return _created(state, payload, at)
        case e.AnalysisStarted():
            return _next(state, status=S.ANALYZING, started_at=at, round_count=1)
        case e.PlanReady():
            return _next(state, payload.plan, plan_version=payload.plan.version, usage=payload.usage, lost_workers=0)
        case e.ApprovalRequired():
            return _next(state, status=S.AWAITING_APPROVAL, deadline=payload.expires_at)
        case e.Approved():
            state = _decided(state, payload.decision)
            return _next(state, status=S.RUNNING, deadline=None, progress=0.0, lost_workers=0)
        case e.ChangesRequested():
            state = _decided(state, payload.decision)
            rounds = {"revisions": run.revisions + 1, "round_count": run.round_count + 1}
            return _next(state, status=S.ANALYZING, deadline=None, **rounds)
        case e.Rejected():
            return _end(_decided(state, payload.decision), S.REJECTED, at)
        case e.TimedOut():
            return _end(_decided(state, payload.decision), S.TIMEOUT, at, deadline=run.deadline)
        case e.Progressed():
            return _progressed(state, payload, at)
        case e.Logged():
            return _next(state, log_count=run.log_count + len(payload.lines))
        case e.MetricsRecorded() | e.ArtifactStored():
            return _next(state)
        case e.Resumed():
            return _next(state, lost_workers=payload.lost_workers)
        case e.CancelRequested():
            return _next(state, status=S.CANCELLING, deadline=payload.force_at)
        case e.Completed():
            return _end(state, S.COMPLETED, at, results=payload.results, usage=payload.usage)
        case e.Failed():
            return _end(state, S.FAILED, at, failure=payload.failure, usage=payload.usage)
        case e.Cancelled():
            return _end(state, S.CANCELLED, at)
        case _:
            assert_never(payload)


def replay(blank: Run, events: Sequence[Event]) -> RunState:
    """Rebuild a run's state from its log.

    Args:
        blank: A run with the ids and labels of the one that is rebuilt; the log says everything else.
        events: All of the run's events, in order.
    """
    state = RunState(run=blank)
    for event in events:
        payload = event.payload
        assert isinstance(payload, e.RunPayload)
        state = evolve(state, payload, event.timestamp)
    return state


def _created(state: RunState, payload: e.RunCreated, at: datetime) -> RunState:
    return _next(
        state,
        payload.plan,
        number=payload.number,
        team=payload.team,
        config=payload.config,
        settings=payload.settings,
        auto_approve=payload.auto_approve,
        priority=payload.priority,
        retry_of=payload.retry_of,
        created_at=at,
    )


def _progressed(state: RunState, payload: e.Progressed, at: datetime) -> RunState:
    plan = state.plan
    place = plan.place(payload.step) if plan else None
    assert plan is not None
    assert place is not None
    before = plan.steps[place]
    status, is_final = payload.step_status, payload.step_status.is_final
    started = payload.attempt > before.starts
    after = replaced(
        before,
        status=status,
        starts=payload.attempt,
        started_at=at if started else before.started_at,
        completed_at=at if is_final else None,
        output=payload.output,
        error=payload.error,
    )
    plan = replaced(plan, steps=(*plan.steps[:place], after, *plan.steps[place + 1 :]))
    return _next(
        state,
        plan,
        progress=payload.progress,
        current_step=payload.step if started else _last_started(state.run, plan),
        usage=payload.usage,
        lost_workers=0 if is_final else state.run.lost_workers,
    )


def _last_started(run: Run, plan: Plan) -> str | None:
    """Return the key of the step that was started last and is not done, when none has just been started."""
    started = {s.key: s.started_at for s in plan.steps if s.status is StepStatus.RUNNING and s.started_at}
    return run.current_step if run.current_step in started else max(started, key=started.__getitem__, default=None)


def _end(state: RunState, status: RunStatus, at: datetime, **fields: object) -> RunState:
    """Close a run: a step that was running has failed, those that never started are skipped."""
    run = state.run
    if state.plan is not None:
        closed = {StepStatus.RUNNING: StepStatus.FAILED, StepStatus.PENDING: StepStatus.SKIPPED}
        steps = tuple(
            step
            if step.status.is_final
            else replace(
                step,
                status=closed[step.status],
                completed_at=at if step.status is StepStatus.RUNNING else None,
                error=f"The run ended as {status}." if step.status is StepStatus.RUNNING else None,
            )
            for step in state.plan.steps
        )
        state = replace(state, plan=replace(state.plan, steps=steps))
    # A clock that was set back must not make it negative.
    duration = max((at - run.started_at).total_seconds(), 0.0) if run.started_at else None
    return _next(
        state, **{"deadline": None, "current_step": None} | fields, status=status, completed_at=at, duration=duration
    )


def _decided(state: RunState, decision: Decision) -> RunState:
    return replace(state, decisions=(*state.decisions, decision))


def _next(state: RunState, plan: Plan | None = None, /, **fields: object) -> RunState:
    """Return the state after one more event, which replaces some of the run's fields, and the plan if one is given."""
    run = replaced(state.run, last_sequence=state.run.last_sequence + 1, **fields)
    return RunState(run=run, plan=plan or state.plan, decisions=state.decisions)


def with_run(state: RunState, **fields: object) -> RunState:
    """Return the state with some of the run's fields replaced."""
    return RunState(run=replaced(state.run, **fields), plan=state.plan, decisions=state.decisions)
