"""What may happen to the steps of an approved plan, and how far its run has come by it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TypeAlias, assert_never

from domain import commands as c
from domain import events as e
from domain.errors import InvalidSignalError
from domain.fold import RunState
from domain.hearing import cut, plain
from domain.model import FINAL_STEP, Plan, PlanStep, Run, StepStatus, Usage
from domain.records import replaced

StepCommand: TypeAlias = c.StartStep | c.AdvanceStep | c.FinishStep | c.FailStep

_DONE = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})


def move(state: RunState, command: StepCommand) -> e.Progressed:
    """Return what a command does to its step.

    Raises:
        InvalidSignalError: The plan has no such step, or it is not where the command expects it.
    """
    run, plan, place = state.run, *_find(state, command.key)
    step = plan.steps[place]
    if step.status.is_final:
        raise InvalidSignalError(f"Step {step.key!r} is {step.status} already.")
    done = sum([other.status in FINAL_STEP for other in plan.steps])
    if isinstance(command, c.StartStep):
        started = replaced(step, status=StepStatus.RUNNING, starts=step.starts + 1)
        return _progress(run, plan, place, started, done=done, usage=run.usage)
    skipped = isinstance(command, c.FinishStep) and command.skipped
    if step.status is not StepStatus.RUNNING and not skipped:
        raise InvalidSignalError(f"Step {step.key!r} was not started.")
    usage = run.usage + command.usage
    match command:
        case c.AdvanceStep():
            return _progress(run, plan, place, step, done=done + _part(command), usage=usage)
        case c.FinishStep():
            status = StepStatus.SKIPPED if skipped else StepStatus.COMPLETED
            ended = replaced(step, status=status, output=plain(command.output))
            return _progress(run, plan, place, ended, done=done + 1, usage=usage)
        case c.FailStep():
            failed = replaced(step, status=StepStatus.FAILED, error=cut(command.error))
            return _progress(run, plan, place, failed, done=done, usage=usage)
        case _:
            assert_never(command)


def skip_carried(run: Run, plan: Plan) -> Sequence[e.Progressed]:
    """Tell of the steps that a retry from a step does not do again."""
    skipped = [(place, step) for place, step in enumerate(plan.steps) if step.status is StepStatus.SKIPPED]
    return [
        _progress(run, plan, place, step, done=done, usage=run.usage) for done, (place, step) in enumerate(skipped, 1)
    ]


def not_done(plan: Plan) -> Sequence[str]:
    """Return the keys of the steps that are neither complete nor skipped; a run with one is not done."""
    return [step.key for step in plan.steps if step.status not in _DONE]


def _find(state: RunState, key: str) -> tuple[Plan, int]:
    """Return the plan, and the place of a step in it."""
    place = state.plan.place(key) if state.plan else None
    if state.plan is None or place is None:
        raise InvalidSignalError(f"The plan has no step {key!r}.")
    return state.plan, place


def _part(command: c.AdvanceStep) -> float:
    if isnan(command.fraction):
        raise InvalidSignalError(f"The fraction of step {command.key!r} that is done must be a number from 0 to 1.")
    return min(max(command.fraction, 0.0), 1.0)


def _progress(run: Run, plan: Plan, place: int, step: PlanStep, *, done: float, usage: Usage) -> e.Progressed:
    """Tell how far a step is, of the one that was at its place in the plan."""
    total = len(plan.steps)
    return e.Progressed(
        step=step.key,
        step_status=step.status,
        step_index=place + 1,
        total_steps=total,
        attempt=step.starts,
        # A step that starts again has less behind it than before, but what people are shown never goes back.
        progress=max(done / total, run.progress or 0.0),
        output=step.output,
        error=step.error,
        usage=usage,
    )
