"""Which runs are worked on, when, and what a restart changes: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from domain import runner
from domain.errors import InvalidInputError, InvalidStateError, LimitReachedError, StoreBusyError
from domain.events import Event, EventType, RunCreated
from domain.model import ANONYMOUS, ApprovalTimeoutPolicy, ConcurrencyPolicy, RunStatus, StepStatus
from domain.ports import ExecutionContext, PlanContext
from domain.services.work import WorkService
from domain.signals import ArtifactMade, Signal, StepFailed, StepFinished, StepStarted
from domain.store import RunScope
from tests.engine.support import Script, ScriptedTeams, draft, open_engine, types

pytestmark = pytest.mark.usefixtures("on_each_database")


class Gate:
    """A team whose planning waits until it is let through; counts how many are inside."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered: list[str] = []
        self.inside = 0
        self.most = 0

    async def plan(self, context: PlanContext) -> AsyncIterator[Signal]:
        self.entered.append(str(context.run.config.get("name", context.run.id)))
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.open.wait()
            yield draft("one")
        finally:
            self.inside -= 1


async def test_at_most_so_many_runs_work_at_once(tmp_path: Path) -> None:
    gate = Gate()
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(plan=gate.plan)), slots=2) as engine:
        task = await engine.task()
        runs = [await engine.start(task) for _ in range(6)]
        while gate.inside < 2:
            await asyncio.sleep(0)
        gate.open.set()
        for run in runs:
            await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        assert gate.most == 2


async def test_what_waits_is_worked_on_by_priority_and_then_age(tmp_path: Path) -> None:
    gate = Gate()
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(plan=gate.plan)), slots=1) as engine:
        task = await engine.task()
        runs = [await engine.start(task, config={"name": "first"})]
        while not gate.inside:
            await asyncio.sleep(0)
        for name, priority in (("low", -1), ("old", 0), ("young", 0), ("high", 9)):
            runs.append(await engine.start(task, config={"name": name}, priority=priority))
        gate.open.set()
        for run in runs:
            await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        assert gate.entered == ["first", "high", "old", "young", "low"]


async def test_a_deadline_that_passes_rejects_the_plan(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        run = await engine.start(await engine.task(approval_timeout=1))
        assert types(await engine.until(run.id))[-1] == "TIMEOUT"
        assert (await engine.run(run.id)).status is RunStatus.TIMEOUT


async def test_a_deadline_that_passed_while_nothing_ran_fires_at_the_next_start(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        task = await engine.task(approval_timeout=1, on_approval_timeout=ApprovalTimeoutPolicy.APPROVE)
        run = await engine.start(task)
        await engine.until(run.id, EventType.APPROVAL_REQUIRED)
    async with open_engine(tmp_path / "mgx.db") as engine:
        events = await engine.until(run.id)
        assert types(events)[-1] == "COMPLETION"
        assert next(e for e in events if e.type is EventType.APPROVED).data["decision"]["actor"] == "policy"  # type: ignore[index,call-overload]


async def test_an_error_of_ours_while_runs_are_looked_up_stops_no_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimable = WorkService.claimable
    failures = iter([RuntimeError("a bug"), StoreBusyError("busy")])

    async def sometimes(work: WorkService, limit: int) -> Sequence[str]:
        for failure in failures:
            raise failure
        return await claimable(work, limit)

    monkeypatch.setattr(WorkService, "claimable", sometimes)
    monkeypatch.setattr(runner, "REST", 0.0)
    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
    async with open_engine(tmp_path / "mgx.db") as engine:
        assert types(await engine.until(run.id))[-1] == "COMPLETION"


async def test_a_shutdown_hands_the_work_over_and_the_next_start_goes_on(tmp_path: Path) -> None:
    reached = asyncio.Event()
    started: list[str] = []

    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            if step.status.is_final:
                continue
            started.append(step.key)
            yield StepStarted(key=step.key)
            if step.key == "two" and not reached.is_set():
                reached.set()
                await asyncio.Event().wait()
            yield StepFinished(key=step.key)

    teams = ScriptedTeams(script=Script(execute=execute))
    async with open_engine(tmp_path / "mgx.db", teams) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await reached.wait()
    async with open_engine(tmp_path / "mgx.db", teams, owner="another") as engine:
        events = await engine.until(run.id)
    assert started == ["one", "two", "two"]
    resumed = next(event for event in events if event.type is EventType.RESUMED)
    assert resumed.data == {"reason": "HANDED_OVER", "attempt": 2, "lostWorkers": 0}
    attempts = [event.data["attempt"] for event in events if event.data.get("step") == "two"]
    assert attempts == [1, 2, 2]
    assert types(events)[-1] == "COMPLETION"


async def test_feedback_sends_the_plan_back_and_the_team_sees_it(tmp_path: Path) -> None:
    seen: list[tuple[int, str]] = []

    async def plan(context: PlanContext) -> AsyncIterator[Signal]:
        seen.extend((previous.plan.version, previous.feedback) for previous in context.rounds)
        yield draft("one", *(f"extra-{i}" for i in range(len(context.rounds))))

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(plan=plan))) as engine:
        run = await engine.start(await engine.task(max_revision_rounds=1))
        await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        await engine.runs.request_changes(ANONYMOUS, run.id, feedback="More!", plan_version=1)
        events = await engine.until(run.id, EventType.CHANGES_REQUESTED)
        async with engine.store.read(ANONYMOUS) as tx:
            assert (await tx.runs.decisions([run.id]))[run.id][0].feedback == "More!"
        async for batch in engine.feed.follow(ANONYMOUS, RunScope(run.id), events[-1].pos):
            if any(event.type is EventType.APPROVAL_REQUIRED for event in batch):
                break
        assert seen == [(1, "More!")]
        current = await engine.run(run.id)
        assert (current.plan_version, current.round_count, current.revisions) == (2, 2, 1)
        with pytest.raises(LimitReachedError):
            await engine.runs.request_changes(ANONYMOUS, run.id, feedback="Again!", plan_version=2)


async def test_queued_runs_start_one_after_the_other(tmp_path: Path) -> None:
    gate = Gate()
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(plan=gate.plan))) as engine:
        task = await engine.task(concurrency=ConcurrencyPolicy.QUEUE)
        first, second, third = [await engine.start(task, auto_approve=True) for _ in range(3)]
        assert [first.held, second.held, third.held] == [False, True, True]
        gate.open.set()
        assert types(await engine.until(third.id))[-1] == "COMPLETION"
        assert gate.most == 1
        assert gate.entered == [first.id, second.id, third.id]


async def test_a_new_run_is_refused_while_one_is_active_if_the_task_says_so(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        task = await engine.task(concurrency=ConcurrencyPolicy.REFUSE)
        first = await engine.start(task)
        with pytest.raises(LimitReachedError, match=first.id):
            await engine.start(task)


async def test_a_new_run_cancels_the_previous_ones_if_the_task_says_so(tmp_path: Path) -> None:
    gate = Gate()
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(plan=gate.plan))) as engine:
        task = await engine.task(concurrency=ConcurrencyPolicy.CANCEL_PREVIOUS)
        first = await engine.start(task, auto_approve=True)
        await engine.until(first.id, EventType.ANALYSIS_START)
        second = await engine.start(task, auto_approve=True)
        third = await engine.start(task, auto_approve=True)
        gate.open.set()
        assert types(await engine.until(first.id))[-1] == "CANCELLED"
        assert types(await engine.until(second.id)) == ["RUN_CREATED", "CANCELLED"]
        assert types(await engine.until(third.id))[-1] == "COMPLETION"
        async with engine.store.read(ANONYMOUS) as tx:
            counted = (await tx.tasks.many([task.id]))[task.id]
        assert (counted.total_runs, counted.finished_runs, counted.successful_runs, counted.failed_runs) == (3, 3, 1, 0)


async def test_a_retry_from_a_step_keeps_the_plan_the_outputs_and_the_files(tmp_path: Path) -> None:
    broken = True
    read: list[bytes | None] = []

    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            if step.status.is_final:
                continue
            yield StepStarted(key=step.key)
            if step.key == "one":
                yield ArtifactMade(name="data", media_type="text/csv", content=b"a,b", step="one")
            elif broken:
                yield StepFailed(key="two", error="broken")
                return
            else:
                read.append(await context.artifacts("data"))
            yield StepFinished(key=step.key, output=step.key)

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        task = await engine.task()
        first = await engine.start(task, auto_approve=True)
        assert types(await engine.until(first.id))[-1] == "FAILURE"
        broken = False
        with pytest.raises(InvalidInputError):
            await engine.runs.retry(ANONYMOUS, first.id, from_step="three")
        retried = await engine.runs.retry(ANONYMOUS, first.id, from_step="two")
        await engine.runs.delete(ANONYMOUS, first.id)
        events = await engine.until(retried.id)
        assert types(events) == [
            "RUN_CREATED",
            "ANALYSIS_START",
            "PLAN_READY",
            "APPROVED",
            "PROGRESS",
            "PROGRESS",
            "PROGRESS",
            "COMPLETION",
        ]
        assert [artifact.name for artifact in _created(events[0]).artifacts] == ["data"], "the log is complete"
        assert (events[4].data["stepStatus"], events[4].data["attempt"]) == ("SKIPPED", 0)
        assert read == [b"a,b"]
        done = await engine.run(retried.id)
        assert done.results == {"one": "one", "two": "two"}
        async with engine.store.read(ANONYMOUS) as tx:
            plan = (await tx.runs.current_plans([retried.id]))[retried.id]
        assert [step.status for step in plan.steps] == [StepStatus.SKIPPED, StepStatus.COMPLETED]
        with pytest.raises(InvalidStateError):
            await engine.runs.retry(ANONYMOUS, retried.id, from_step=None)


async def test_deleting_a_task_by_force_stops_its_runs_and_ends_its_streams(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        try:
            yield StepStarted(key="one")
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        task = await engine.task()
        run = await engine.start(task, auto_approve=True)
        await engine.until(run.id, EventType.PROGRESS)
        attached = asyncio.Event()

        async def follow() -> None:
            async with aclosing(engine.feed.follow(ANONYMOUS, RunScope(run.id))) as batches:
                async for _ in batches:
                    attached.set()

        following = asyncio.create_task(follow())
        await attached.wait()
        with pytest.raises(InvalidStateError):
            await engine.tasks.delete(ANONYMOUS, task.id, force=False)
        await engine.tasks.delete(ANONYMOUS, task.id, force=True)
        await stopped.wait()
        await following
        async with engine.store.read(ANONYMOUS) as tx:
            assert await tx.runs.many([run.id]) == {}
            assert await tx.tasks.many([task.id]) == {}


async def test_a_run_whose_team_is_gone_fails_with_a_clear_code(tmp_path: Path) -> None:
    teams = ScriptedTeams(script=Script())
    async with open_engine(tmp_path / "mgx.db", teams) as engine:
        run = await engine.start(await engine.task())
        await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        await engine.approve(run.id)
        await engine.until(run.id)
        task = await engine.task()
        del teams.scripts["script"]
        with pytest.raises(InvalidInputError):
            await engine.start(task)


def _created(event: Event) -> RunCreated:
    assert isinstance(event.payload, RunCreated)
    return event.payload
