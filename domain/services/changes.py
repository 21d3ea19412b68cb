"""Writing what a decision led to: the run, its events and rows, its task, and who must be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from domain import events as e
from domain.errors import NotFoundError
from domain.fold import RunState
from domain.lifecycle import Transition
from domain.model import Run, RunStatus, Task, TaskStatus
from domain.ports import WorkQueue
from domain.records import replaced
from domain.store import WriteTx
from domain.tracing import NO_TRACER, Tracer, told, told_of_run
from domain.transitions import FINAL, WORKING

TASK_STATUS: Final[Mapping[RunStatus, TaskStatus]] = {
    RunStatus.PENDING: TaskStatus.PENDING,
    RunStatus.ANALYZING: TaskStatus.RUNNING,
    RunStatus.AWAITING_APPROVAL: TaskStatus.RUNNING,
    RunStatus.RUNNING: TaskStatus.RUNNING,
    RunStatus.CANCELLING: TaskStatus.RUNNING,
    RunStatus.COMPLETED: TaskStatus.COMPLETED,
    RunStatus.FAILED: TaskStatus.FAILED,
    RunStatus.REJECTED: TaskStatus.CANCELLED,
    RunStatus.CANCELLED: TaskStatus.CANCELLED,
    RunStatus.TIMEOUT: TaskStatus.TIMEOUT,
}


async def lock_run(tx: WriteTx, run_id: str, *path: str) -> RunState:
    """Lock a run's task, then the run.

    Raises:
        NotFoundError: There is no such run.
    """
    state = await tx.runs.lock_with_task(run_id)
    if state is None:
        raise NotFoundError("run", run_id, path=path)
    return state


class RunChanges:
    """Writes transitions of runs; every change of a run's state goes through here."""

    def __init__(self, queue: WorkQueue, tracer: Tracer = NO_TRACER) -> None:
        self._queue = queue
        self._tracer = tracer

    async def insert(self, tx: WriteTx, task: Task, transition: Transition) -> None:
        """Add a new run to its locked task."""
        run = transition.state.run
        await tx.runs.insert(transition.state)
        told(tx, await tx.events.append(transition.events))
        await tx.tasks.save(
            replaced(
                task,
                total_runs=run.number,
                latest_run_id=run.id,
                last_run_at=run.created_at,
                status=TASK_STATUS[run.status],
            )
        )
        if not run.held:
            await self._queue.submit(tx, run)

    async def save(
        self, tx: WriteTx, before: RunState, transition: Transition, contents: Mapping[str, bytes] | None = None
    ) -> Run:
        """Write what a command led to.

        Args:
            tx: A transaction that has locked the run, and before it the run's task where its status may change.
            before: The run as it was locked.
            transition: What the command led to.
            contents: Bytes of the artifacts that were stored, by artifact id.
        """
        after = transition.state
        if not transition.events and after == before:
            return after.run
        is_end = after.run.status in FINAL and before.run.status not in FINAL
        # Asked before anything is changed: what is asked after that may have to wait for it.
        others = await _others(tx, after.run) if is_end else ()
        await tx.runs.save(before, after)
        if transition.events:
            told_of_run(tx, self._tracer, before.run, await tx.events.append(transition.events))
        await _add_rows(tx, transition, contents or {})
        if before.run.status is not after.run.status:
            await self._follow(tx, after.run, others)
        await self._dispatch(tx, before.run, after.run)
        return after.run

    async def _follow(self, tx: WriteTx, run: Run, others: Sequence[Run]) -> None:
        """Keep the task in step with its run, and let the next one go when it ended and all others are held."""
        task = await tx.tasks.lock(run.task_id)
        assert task is not None, "a run's task can't go before the run"
        followed = _followed(task, run)
        if followed != task:
            await tx.tasks.save(followed)
        if others and all(other.held for other in others):
            released = await tx.runs.release_next(run.task_id)
            if released is not None:
                await self._queue.submit(tx, released)

    async def _dispatch(self, tx: WriteTx, before: Run, after: Run) -> None:
        """Tell the queue what the run needs next."""
        if after.deadline is not None and after.deadline != before.deadline and after.status not in FINAL:
            await self._queue.submit(tx, after, at=after.deadline)
        if _is_waiting(after) and not (_is_waiting(before) and before.status is after.status):
            await self._queue.submit(tx, after)
        ended = after.status in FINAL or after.status is RunStatus.CANCELLING
        if before.owner is not None and before.status is not after.status and ended:
            tx.after_commit(partial(self._queue.cancel, after.id))


async def _others(tx: WriteTx, run: Run) -> Sequence[Run]:
    """Return the runs of a run's task that have not ended, without that run."""
    return [other for other in await tx.runs.active(run.task_id) if other.id != run.id]


def _is_waiting(run: Run) -> bool:
    """Return whether a run needs a worker and has none."""
    return run.status in WORKING and run.owner is None and not run.held


def _followed(task: Task, run: Run) -> Task:
    """Return the task as it stands after its run changed its status."""
    if run.id == task.latest_run_id:
        task = replace(task, status=TASK_STATUS[run.status])
    if run.status not in FINAL:
        return task
    error = run.failure.message if run.failure else None
    if run.status is RunStatus.TIMEOUT:
        error = "Nobody decided on the plan in time."
    return replace(
        task,
        finished_runs=task.finished_runs + 1,
        successful_runs=task.successful_runs + (run.status is RunStatus.COMPLETED),
        failed_runs=task.failed_runs + (run.status in {RunStatus.FAILED, RunStatus.TIMEOUT}),
        last_run_duration=run.duration,
        last_error=error,
    )


async def _add_rows(tx: WriteTx, transition: Transition, contents: Mapping[str, bytes]) -> None:
    """Add the rows that events speak of and that are queried on their own."""
    for payload in transition.payloads:
        match payload:
            case e.Logged():
                await tx.runs.add_lines(transition.state.run, payload.lines)
            case e.MetricsRecorded():
                await tx.metrics.add(payload.metrics)
            case e.ArtifactStored():
                await tx.runs.add_artifact(payload.artifact, contents.get(payload.artifact.id))
            case _:
                pass
