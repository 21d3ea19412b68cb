"""Use cases of runs, for the people who start, review and end them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain import commands as c
from domain import events as e
from domain import validation as check
from domain.codec import to_json_object
from domain.errors import InvalidInputError, LimitReachedError, NotFoundError
from domain.events import Event
from domain.fold import RunState
from domain.ids import IdFactory, Kind
from domain.lifecycle import Transition, create, decide, refuse
from domain.model import (
    Artifact,
    ConcurrencyPolicy,
    Decision,
    DecisionKind,
    Plan,
    PlanStep,
    Principal,
    Run,
    RunStatus,
    StepStatus,
    Task,
    TaskStatus,
)
from domain.ports import Teams
from domain.services.changes import TASK_STATUS, RunChanges, lock_run
from domain.services.idempotency import request_key
from domain.services.inputs import UNSET, Change, NewRun
from domain.store import IdempotencyKey, Store, WriteTx
from domain.tracing import asked, asked_again, told
from domain.transitions import ACTIVE, FINAL


class RunService:
    """Creates runs and decides about them."""

    def __init__(
        self, store: Store, changes: RunChanges, teams: Teams, ids: IdFactory, *, cancel_grace: timedelta
    ) -> None:
        self._store = store
        self._changes = changes
        self._teams = teams
        self._ids = ids
        self._cancel_grace = cancel_grace

    async def create(self, principal: Principal, new: NewRun) -> Run:
        """Create a run and start it in the background, as its task's concurrency policy allows.

        Raises:
            NotFoundError: There is no such task.
            InvalidInputError: A field is out of range, or the team refuses the config.
            LimitReachedError: The policy is REFUSE and a run is active.
            IdempotencyKeyReusedError: The key came before with another input.
        """
        given = new.idempotency_key
        key = None if given is None else request_key("createRun", given, replace(new, idempotency_key=None))
        values: dict[str, Any] = {
            "labels": check.labels(new.labels, "labels"),
            "priority": check.whole(new.priority, "priority", minimum=-100, maximum=100),
            "auto_approve": new.auto_approve,
        }
        config = None if new.config is None else check.config(new.config, "config")
        async with self._store.write(principal, short=key is None) as tx:
            if key is not None and (ids := await tx.idempotency.find(key)) is not None:
                return await _existing(tx, ids[0])
            task = await tx.tasks.lock(new.task_id)
            if task is None:
                raise NotFoundError("task", new.task_id, path=("task_id",))
            merged = task.config if config is None else check.config({**task.config, **config}, "config")
            self._teams.validate(task.team, merged)
            run = await self._begin(tx, task, team=task.team, config=merged, **values)
            return await _kept(tx, key, run)

    async def retry(
        self, principal: Principal, run_id: str, *, from_step: str | None, idempotency_key: str | None = None
    ) -> Run:
        """Make a new run of one that failed, was rejected or cancelled, or timed out.

        Args:
            principal: Who asks.
            run_id: The run to try again.
            from_step: Key of the step to begin with, under the same approved plan; None plans afresh.
            idempotency_key: The client's key.

        Raises:
            NotFoundError: There is no such run.
            InvalidStateError: The run is active or completed.
            InvalidInputError: The plan was not approved, or has no such step.
            LimitReachedError, IdempotencyKeyReusedError: As for create.
        """
        key = request_key("retryRun", idempotency_key, {"run_id": run_id, "from_step": from_step})
        async with self._store.write(principal) as tx:
            if key is not None and (ids := await tx.idempotency.find(key)) is not None:
                return await _existing(tx, ids[0])
            old = await lock_run(tx, run_id, "run_id")
            if old.run.status in ACTIVE or old.run.status is RunStatus.COMPLETED:
                raise refuse(old.run, await tx.now(), "retried")
            task = await tx.tasks.lock(old.run.task_id)
            assert task is not None
            self._teams.validate(old.run.team, old.run.config)
            plan = None if from_step is None else _carried(old, from_step)
            run = await self._begin(
                tx,
                task,
                plan=plan,
                artifacts=await _carried_artifacts(tx, run_id, plan),
                team=old.run.team,
                config=old.run.config,
                labels=old.run.labels,
                priority=old.run.priority,
                auto_approve=old.run.auto_approve,
                retry_of=run_id,
            )
            return await _kept(tx, key, run)

    async def review(
        self,
        principal: Principal,
        run_id: str,
        *,
        approved: bool,
        feedback: str | None,
        plan_version: int | None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Approve or reject the plan that the reviewer saw.

        Raises:
            NotFoundError: There is no such run.
            ApprovalExpiredError, InvalidStateError, ConflictError: See `domain.lifecycle`.
        """
        if feedback is not None:
            feedback = check.text(feedback, "feedback", maximum=check.MAX_FEEDBACK)
        command = c.Review(approved=approved, feedback=feedback, plan_version=plan_version, actor=principal.actor)
        key = request_key("approveRun", idempotency_key, [run_id, command])
        return await self._decide(principal, run_id, command, key)

    async def request_changes(
        self,
        principal: Principal,
        run_id: str,
        *,
        feedback: str,
        plan_version: int | None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Send the plan back with feedback.

        Raises:
            NotFoundError: There is no such run.
            InvalidInputError: The feedback is blank or too long.
            LimitReachedError: It was sent back as often as the task allows.
            ApprovalExpiredError, InvalidStateError, ConflictError: See `domain.lifecycle`.
        """
        feedback = check.text(feedback, "feedback", minimum=1, maximum=check.MAX_FEEDBACK)
        command = c.RequestChanges(feedback=feedback, plan_version=plan_version, actor=principal.actor)
        key = request_key("requestPlanChanges", idempotency_key, [run_id, command])
        return await self._decide(principal, run_id, command, key)

    async def cancel(self, principal: Principal, run_id: str, *, reason: str | None) -> Run:
        """End a run: at once when nothing works on it, else within the grace period.

        Raises:
            NotFoundError: There is no such run.
            InvalidStateError: The run ended otherwise.
        """
        if reason is not None:
            reason = check.text(reason, "reason", maximum=check.MAX_REASON)
        return await self._decide(principal, run_id, self._cancel(principal, reason), None)

    async def set_labels(self, principal: Principal, run_id: str, labels: Change[Sequence[str]]) -> Run:
        """Replace a run's labels; UNSET leaves them.

        Raises:
            NotFoundError: There is no such run.
            InvalidInputError: A label is blank or too long, or there are too many.
        """
        kept = None if labels is UNSET else check.labels(labels, "labels")
        async with self._store.write(principal) as tx:
            run = (await lock_run(tx, run_id, "run_id")).run
            if kept is None or kept == run.labels:
                return run
            await tx.runs.set_labels(run_id, kept)
            return replace(run, labels=kept)

    async def delete(self, principal: Principal, run_id: str) -> str:
        """Delete a final run with its events.

        Raises:
            NotFoundError: There is no such run.
            InvalidStateError: The run is not final.
        """
        async with self._store.write(principal) as tx:
            run = (await lock_run(tx, run_id, "run_id")).run
            now = await tx.now()
            if run.status not in FINAL:
                raise refuse(run, now, "deleted")
            await tx.runs.delete(run_id)
            await self._forget(tx, run)
            event = Event(
                id=f"event_{run.id.removeprefix('run_')}_deleted",
                type=e.EventType.RUN_DELETED,
                timestamp=now,
                message=f"Run {run.number} was deleted.",
                data=to_json_object(e.RunDeleted(number=run.number)),
                tenant=run.tenant,
                task_id=run.task_id,
                run_id=run.id,
            )
            told(tx, await tx.events.append([event]))
            return run_id

    async def _decide(
        self, principal: Principal, run_id: str, command: c.UserCommand, key: IdempotencyKey | None
    ) -> Run:
        async with self._store.write(principal) as tx:
            if key is not None and (ids := await tx.idempotency.find(key)) is not None:
                return await _existing(tx, ids[0])
            state = await lock_run(tx, run_id, "run_id")
            transition = decide(state, command, await tx.now())
            if transition.events:
                transition = _traced(transition)
            run = await self._changes.save(tx, state, transition)
            return await _kept(tx, key, run)

    async def _begin(
        self, tx: WriteTx, task: Task, *, plan: Plan | None = None, artifacts: Sequence[Artifact] = (), **values: Any
    ) -> Run:
        """Create a run of a locked task, under its concurrency policy.

        The bytes of artifacts that are carried over are shared, so the run that they come from may go.
        """
        held = await self._make_way(tx, task)
        # Making way may have changed the task's counters.
        task = await tx.tasks.lock(task.id) or task
        now = await tx.now()
        run = Run(
            id=self._ids.new(Kind.RUN),
            tenant=task.tenant,
            task_id=task.id,
            number=task.total_runs + 1,
            settings=task.settings,
            created_at=now,
            held=held,
            traces=asked(),
            **values,
        )
        carried = tuple(replace(kept, id=self._ids.new(Kind.ARTIFACT), run_id=run.id) for kept in artifacts)
        transition = create(run, now, plan=plan, artifacts=carried)
        await self._changes.insert(tx, task, transition)
        for artifact in carried:
            await tx.runs.add_artifact(artifact, None)
        return transition.state.run

    async def _make_way(self, tx: WriteTx, task: Task) -> bool:
        """Apply the concurrency policy; return whether the new run must wait for an earlier one to end."""
        if task.concurrency is ConcurrencyPolicy.ALLOW:
            return False
        active = await tx.runs.active(task.id)
        if not active:
            return False
        if task.concurrency is ConcurrencyPolicy.REFUSE:
            newest = active[-1]
            raise LimitReachedError(
                f"Run {newest.number} ({newest.id}) of the task is {newest.status}; wait for it, or cancel it.",
                path=("task_id",),
            )
        if task.concurrency is ConcurrencyPolicy.QUEUE:
            return True
        cancel = self._cancel(tx.principal, "A newer run of the task was created.")
        # Newest first: a run that is held must be cancelled before the end of an earlier one lets it go.
        for run in reversed(active):
            state = await tx.runs.lock(run.id)
            assert state is not None
            await self._changes.save(tx, state, decide(state, cancel, await tx.now()))
        return bool(await tx.runs.active(task.id))

    def _cancel(self, principal: Principal, reason: str | None) -> c.Cancel:
        return c.Cancel(actor=principal.actor, reason=reason, grace=self._cancel_grace)

    async def _forget(self, tx: WriteTx, run: Run) -> None:
        """Let the task follow the run before the deleted one, if that was its latest."""
        task = await tx.tasks.lock(run.task_id)
        assert task is not None
        if task.latest_run_id == run.id:
            latest = await tx.runs.latest(task.id)
            status = TASK_STATUS[latest.status] if latest else TaskStatus.PENDING
            await tx.tasks.save(
                replace(
                    task,
                    latest_run_id=latest.id if latest else None,
                    last_run_at=latest.created_at if latest else None,
                    status=status,
                )
            )


def _traced(transition: Transition) -> Transition:
    """Have the run keep which request decided, for the trace of the work that follows."""
    state = transition.state
    traces = asked_again(state.run.traces)
    return replace(transition, state=replace(state, run=replace(state.run, traces=traces)))


def _carried(old: RunState, from_step: str) -> Plan:
    """Return the approved plan of a run, with the steps before one skipped and their outputs kept."""
    plan = old.plan
    if plan is None or not any(_approves(decision, plan) for decision in old.decisions):
        raise InvalidInputError("The run's plan was not approved; retry it without fromStep.", path=("from_step",))
    keys = [step.key for step in plan.steps]
    if from_step not in keys:
        raise InvalidInputError(
            f"The plan has no step {from_step!r}; its steps are {', '.join(keys)}.", path=("from_step",)
        )
    before = keys.index(from_step)
    steps = tuple(_carried_step(step, skipped=place < before) for place, step in enumerate(plan.steps))
    return replace(plan, version=1, steps=steps, changes=(), feedback=None)


async def _carried_artifacts(tx: WriteTx, run_id: str, plan: Plan | None) -> Sequence[Artifact]:
    """Return the files that the skipped steps of a retry made in the old run."""
    if plan is None:
        return ()
    skipped = {step.key for step in plan.steps if step.status is StepStatus.SKIPPED}
    made = (await tx.read.runs.artifacts_of([run_id])).get(run_id, ())
    return [artifact for artifact in made if artifact.step in skipped]


def _approves(decision: Decision, plan: Plan) -> bool:
    approvals = {DecisionKind.APPROVED, DecisionKind.AUTO_APPROVED}
    return decision.kind in approvals and decision.plan_version == plan.version


def _carried_step(step: PlanStep, *, skipped: bool) -> PlanStep:
    fresh = PlanStep(key=step.key, title=step.title, detail=step.detail, assignee=step.assignee, spec=step.spec)
    return replace(fresh, status=StepStatus.SKIPPED, output=step.output) if skipped else fresh


async def _kept(tx: WriteTx, key: IdempotencyKey | None, run: Run) -> Run:
    if key is not None:
        await tx.idempotency.keep(key, [run.id])
    return run


async def _existing(tx: WriteTx, run_id: str) -> Run:
    found = await tx.read.runs.many([run_id])
    if run_id not in found:
        raise NotFoundError("run", run_id)
    return found[run_id]
