"""Use cases of workers: what needs doing, who does it, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from domain import commands as c
from domain.errors import NotClaimableError, NotFoundError, StaleAttemptError, StoreError
from domain.fold import RunState, with_run
from domain.lifecycle import decide, decide_all
from domain.model import ENGINE, Artifact, DecisionKind, RunStatus, Task
from domain.ports import Round
from domain.services.changes import RunChanges, lock_run
from domain.store import Store

_KEEPS_STATUS: Final = frozenset(
    {c.StartStep, c.AdvanceStep, c.FinishStep, c.FailStep, c.WriteLog, c.RecordMetrics, c.StoreArtifact}
)
"""Commands after which a run has the status it had, so that its task need not be locked."""

MOST_ROWS: Final = 250
"""Lines, samples and moves of steps that are still a short report; a team's talk of a quarter of a second has fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A run that a worker has claimed.

    Attributes:
        state: The run after the claim.
        rounds: Earlier versions of the plan with the feedback that sent them back, oldest first.
        attempt: The claim's number: what the worker writes counts only while no other claim came after.
        lease: How long the claim counts from each report or renewal on; None lasts as long as the worker's process.
    """

    task: Task
    state: RunState
    rounds: Sequence[Round]
    attempt: int
    lease: timedelta | None

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.state.run.id


class WorkService:
    """Hands out runs to workers and writes what they report."""

    def __init__(self, store: Store, changes: RunChanges) -> None:
        self._store = store
        self._changes = changes

    async def recover(self) -> None:
        """Let go of the runs of a process that is gone; for stores that only one process uses at a time."""
        async with self._store.write(ENGINE) as tx:
            await tx.runs.expire_leases(await tx.now())

    async def claimable(self, limit: int, teams: Collection[str] | None = None) -> Sequence[str]:
        """Return the runs that need a worker, of these teams or any, by priority and then age."""
        async with self._store.write(ENGINE) as tx:
            return await tx.runs.claimable(await tx.now(), limit, teams)

    async def renew(self, owner: str, run_ids: Collection[str], lease: timedelta) -> Mapping[str, RunStatus]:
        """Renew a worker's leases of these runs; return those that are still its own, and their status."""
        async with self._store.write(ENGINE) as tx:
            return await tx.runs.renew(owner, run_ids, await tx.now() + lease)

    async def expire_due(self, limit: int) -> int:
        """Do what the deadlines that have come ask for; return how many runs were due.

        Raises:
            ExceptionGroup: Some could not be expired; the others were.
        """
        async with self._store.write(ENGINE) as tx:
            due = await tx.runs.due(await tx.now(), limit)
        failures: list[Exception] = []
        for run_id in due:
            try:
                await self._expire(run_id)
            except StoreError:
                raise
            except Exception as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("runs could not be expired", failures)
        return len(due)

    async def next_deadline(self) -> tuple[datetime, timedelta] | None:
        """Return the next deadline and how long it is until then, None when nothing waits for one."""
        async with self._store.write(ENGINE) as tx:
            deadline = await tx.runs.next_deadline()
            return None if deadline is None else (deadline, deadline - await tx.now())

    async def claim(self, run_id: str, *, owner: str, lease: timedelta | None) -> Assignment | None:
        """Take a run; None when it needs no worker (any more).

        A run whose work was lost too often is failed instead (WORKER_LOST).
        """
        async with self._store.write(ENGINE) as tx:
            try:
                before = await lock_run(tx, run_id)
                now = await tx.now()
                claim = c.Claim(owner=owner, lease_until=None if lease is None else now + lease)
                transition = decide(before, claim, now)
            except (NotFoundError, NotClaimableError):
                return None
            run = await self._changes.save(tx, before, transition)
            if run.owner != owner:
                return None
            task = await tx.tasks.lock(run.task_id)
            assert task is not None, "a run's task can't go before the run"
            plans = (await tx.read.runs.plans([run_id])).get(run_id, ()) if run.revisions else ()
            feedback = {
                decision.plan_version: decision.feedback or ""
                for decision in before.decisions
                if decision.kind is DecisionKind.CHANGES_REQUESTED
            }
            rounds = [Round(plan=plan, feedback=feedback[plan.version]) for plan in plans if plan.version in feedback]
            return Assignment(task=task, state=transition.state, rounds=rounds, attempt=run.attempt, lease=lease)

    async def report(
        self, assignment: Assignment, commands: Sequence[c.WorkerCommand], contents: Mapping[str, bytes] | None = None
    ) -> RunState:
        """Write what a worker reports, all of it or nothing.

        Args:
            assignment: The claim under which it was done.
            commands: In order.
            contents: Bytes of the artifacts that are stored, by artifact id.

        Raises:
            StaleAttemptError: The run is gone or ended, or another claim has it.
            InvalidSignalError, InvalidPlanError: See `domain.lifecycle`.
        """
        run_id = assignment.run_id
        keeps_status = _KEEPS_STATUS.issuperset(map(type, commands))
        is_short = keeps_status and not contents and sum(map(_rows, commands)) <= MOST_ROWS
        async with self._store.write(ENGINE, short=is_short) as tx:
            before = await (tx.runs.lock(run_id) if keeps_status else tx.runs.lock_with_task(run_id))
            if before is None or before.run.owner is None or before.run.attempt != assignment.attempt:
                raise StaleAttemptError(f"Attempt {assignment.attempt} no longer has run {run_id}.")
            now = await tx.now()
            transition = decide_all(before, commands, now)
            if assignment.lease is not None and transition.state.run.owner is not None:
                renewed = with_run(transition.state, lease_until=now + assignment.lease)
                transition = replace(transition, state=renewed)
            await self._changes.save(tx, before, transition, contents)
            return transition.state

    async def artifacts(self, run_id: str) -> Sequence[Artifact]:
        """Return a run's artifacts, oldest first."""
        async with self._store.read(ENGINE) as tx:
            return (await tx.runs.artifacts_of([run_id])).get(run_id, ())

    async def content(self, run_id: str, name: str) -> bytes | None:
        """Return the bytes of a run's newest artifact of a name, None where there is none."""
        async with self._store.read(ENGINE) as tx:
            found = (await tx.runs.artifacts_of([run_id])).get(run_id, ())
            newest = next((artifact for artifact in reversed(found) if artifact.name == name), None)
            if newest is None:
                return None
            return b"".join([chunk async for chunk in tx.runs.content(newest)])

    async def _expire(self, run_id: str) -> None:
        async with self._store.write(ENGINE) as tx:
            try:
                before = await lock_run(tx, run_id)
            except NotFoundError:
                return
            await self._changes.save(tx, before, decide(before, c.Expire(), await tx.now()))


def _rows(command: c.WorkerCommand) -> int:
    match command:
        case c.WriteLog():
            return len(command.lines)
        case c.RecordMetrics():
            return len(command.metrics)
        case _:
            return 1
