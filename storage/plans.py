"""Plans with their steps, and decisions: what a run's row does not hold of its state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import and_, bindparam, func, insert, select, update

from domain.fold import RunState
from domain.model import Decision, Plan, PlanStep, Run
from domain.records import values_of
from storage.session import Session
from storage.shapes import DECISION, PLAN, STEP
from storage.sql import one_of, owned
from storage.statements import AnyRow
from storage.tables import decisions, plans, runs, steps

_DELIVERED: Final = and_(runs.c.id == plans.c.run_id, plans.c.version <= runs.c.plan_version)
"""A run that retries from a step has its plan from the start, but it counts from PLAN_READY on."""

_PLANS: Final = (
    select(*PLAN.columns(), plans.c.run_id)
    .join(runs, _DELIVERED)
    .where(one_of(plans.c.run_id, "run_ids"), owned(plans.c.tenant))
    .order_by(plans.c.run_id, plans.c.version)
)
_STEPS: Final = (
    select(*STEP.columns(), steps.c.run_id, steps.c.plan_version)
    .where(one_of(steps.c.run_id, "run_ids"), owned(steps.c.tenant))
    .order_by(steps.c.run_id, steps.c.plan_version, steps.c.position)
)
_CURRENT: Final = and_(runs.c.id == plans.c.run_id, plans.c.version == runs.c.plan_version)
_CURRENT_PLANS: Final = (
    select(*PLAN.columns(), plans.c.run_id)
    .join(runs, _CURRENT)
    .where(one_of(plans.c.run_id, "run_ids"), owned(plans.c.tenant))
)
_CURRENT_STEPS: Final = (
    select(*STEP.columns(), steps.c.run_id, steps.c.plan_version)
    .join(runs, and_(runs.c.id == steps.c.run_id, steps.c.plan_version == runs.c.plan_version))
    .where(one_of(steps.c.run_id, "run_ids"), owned(steps.c.tenant))
    .order_by(steps.c.run_id, steps.c.position)
)
_DECISIONS: Final = (
    select(*DECISION.columns(), decisions.c.run_id)
    .where(one_of(decisions.c.run_id, "run_ids"), owned(decisions.c.tenant))
    .order_by(decisions.c.run_id, decisions.c.number)
)

_newest: Final = select(func.max(plans.c.version)).where(plans.c.run_id == bindparam("run_id")).scalar_subquery()
_PLAN_OF: Final = select(*PLAN.columns()).where(plans.c.run_id == bindparam("run_id"), plans.c.version == _newest)
_STEPS_OF: Final = (
    select(*STEP.columns())
    .where(steps.c.run_id == bindparam("run_id"), steps.c.plan_version == _newest)
    .order_by(steps.c.position)
)
_DECISIONS_OF: Final = (
    select(*DECISION.columns()).where(decisions.c.run_id == bindparam("run_id")).order_by(decisions.c.number)
)

_INSERT_PLAN: Final = insert(plans)
_INSERT_STEP: Final = insert(steps)
_PROGRESS: Final = ("status", "starts", "started_at", "completed_at", "output", "error")
_PROGRESS_OF: Final = values_of(*_PROGRESS)
_UPDATE_STEP: Final = (
    update(steps)
    .where(
        steps.c.run_id == bindparam("of_run"),
        steps.c.plan_version == bindparam("of_version"),
        steps.c.position == bindparam("at"),
    )
    .values({name: bindparam(name) for name in _PROGRESS})
)
_INSERT_DECISION: Final = insert(decisions)


async def of_runs(session: Session, run_ids: Collection[str]) -> Mapping[str, Sequence[Plan]]:
    """Return all versions of each run's plan that were delivered, oldest first."""
    ids = list(run_ids)
    found: dict[str, list[Plan]] = {run_id: [] for run_id in ids}
    rows = await session.rows(_PLANS, run_ids=ids)
    steps_of = _group(await session.rows(_STEPS, run_ids=ids)) if rows else {}
    for row in rows:
        version, run_id = row[0], row[-1]
        found[run_id].append(PLAN.read(row, steps=tuple(steps_of.get((run_id, version), ()))))
    return found


async def current(session: Session, run_ids: Collection[str]) -> Mapping[str, Plan]:
    """Return the newest version of each run's plan that was delivered."""
    ids = list(run_ids)
    rows = await session.rows(_CURRENT_PLANS, run_ids=ids)
    steps_of = _group(await session.rows(_CURRENT_STEPS, run_ids=ids)) if rows else {}
    return {row[-1]: PLAN.read(row, steps=tuple(steps_of.get((row[-1], row[0]), ()))) for row in rows}


async def decisions_of_runs(session: Session, run_ids: Collection[str]) -> Mapping[str, Sequence[Decision]]:
    """Return each run's decisions, oldest first."""
    found: dict[str, list[Decision]] = {run_id: [] for run_id in run_ids}
    for row in await session.rows(_DECISIONS, run_ids=list(run_ids)):
        found[row[-1]].append(DECISION.read(row))
    return found


async def state_of(session: Session, run: Run) -> RunState:
    """Return everything that decides about a run whose row was just read."""
    if run.plan_version == 0 and run.retry_of is None:
        return RunState(run=run)
    found, kept, taken = await session.together(_PLAN_OF, _STEPS_OF, _DECISIONS_OF, run_id=run.id)
    if not found:
        return RunState(run=run)
    return RunState(
        run=run,
        plan=PLAN.read(found[0], steps=tuple(map(STEP.read, kept))),
        decisions=tuple(map(DECISION.read, taken)),
    )


async def save(session: Session, before: RunState, after: RunState) -> None:
    """Write a new plan, changed steps and new decisions."""
    run = after.run
    if after.plan is not None:
        if before.plan is None or before.plan.version != after.plan.version:
            await insert_plan(session, run, after.plan)
        elif before.plan.steps is not after.plan.steps:
            await _save_steps(session, run, before.plan, after.plan)
    new = after.decisions[len(before.decisions) :]
    if new:
        key = {"tenant": run.tenant, "run_id": run.id}
        numbered = enumerate(new, len(before.decisions) + 1)
        await session.execute(
            _INSERT_DECISION, *[DECISION.values(item, **key, number=number) for number, item in numbered]
        )


async def insert_plan(session: Session, run: Run, plan: Plan) -> None:
    """Add a version of a run's plan."""
    key = {"tenant": run.tenant, "run_id": run.id}
    await session.execute(_INSERT_PLAN, PLAN.values(plan, **key))
    await session.execute(
        _INSERT_STEP,
        *[
            STEP.values(step, **key, plan_version=plan.version, position=position)
            for position, step in enumerate(plan.steps, 1)
        ],
    )


async def _save_steps(session: Session, run: Run, before: Plan, after: Plan) -> None:
    changed = [
        {"of_run": run.id, "of_version": after.version, "at": position} | _PROGRESS_OF(step)
        for position, (old, step) in enumerate(zip(before.steps, after.steps, strict=True), 1)
        if old is not step and old != step
    ]
    if changed:
        await session.execute(_UPDATE_STEP, *changed)


def _group(rows: Iterable[AnyRow]) -> dict[tuple[str, int], list[PlanStep]]:
    found: dict[tuple[str, int], list[PlanStep]] = {}
    for row in rows:
        found.setdefault((row[-2], row[-1]), []).append(STEP.read(row))
    return found
