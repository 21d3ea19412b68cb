"""What becomes of a run while its team works, well or badly."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.errors import TeamError
from domain.events import EventType, Logged, MetricsRecorded
from domain.model import ANONYMOUS, LogLevel, RunStatus, StepStatus, Usage
from domain.paging import PageRequest
from domain.ports import ExecutionContext, PlanContext
from domain.signals import (
    ArtifactMade,
    LineSaid,
    LinesSaid,
    ResultReady,
    SampleTaken,
    Signal,
    StepFailed,
    StepFinished,
    StepMoved,
    StepStarted,
    TokensUsed,
)
from domain.store import LogFilter
from tests.engine.support import Engine, Execute, Planning, Script, ScriptedTeams, draft, open_engine, types

pytestmark = pytest.mark.usefixtures("on_each_database")


async def outcome(path: Path, script: Script, **options: Any) -> tuple[Engine, list[str], Any]:
    """Run a script to its end, approved as soon as it has a plan; return its events' types and the run."""
    async with open_engine(path / "mgx.db", ScriptedTeams(script=script), **options) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        events = await engine.until(run.id)
        return engine, types(events), await engine.run(run.id)


async def test_a_run_goes_from_creation_to_completion_by_way_of_approval(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        run = await engine.start(await engine.task())
        before = await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        assert types(before) == ["RUN_CREATED", "ANALYSIS_START", "PLAN_READY", "APPROVAL_REQUIRED"]
        await engine.approve(run.id)
        events = await engine.until(run.id)
        assert types(events)[4:] == ["APPROVED", *["PROGRESS"] * 4, "COMPLETION"]
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        done = await engine.run(run.id)
        assert done.status is RunStatus.COMPLETED
        assert done.results == {"one": {"did": "one"}, "two": {"did": "two"}}
        assert done.progress == 1.0
        assert done.owner is None


async def test_results_and_usage_are_what_the_team_reports(tmp_path: Path) -> None:
    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            yield StepStarted(key=step.key)
            yield TokensUsed(usage=Usage(requests=1, cost_usd=0.5))
            yield StepFinished(key=step.key)
        yield ResultReady(results="done")

    _, _, run = await outcome(tmp_path, Script(execute=execute))
    assert run.results == "done"
    assert run.usage == Usage(requests=2, cost_usd=1.0)


async def test_results_of_a_team_that_has_none_are_an_empty_object(tmp_path: Path) -> None:
    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            yield StepStarted(key=step.key)
            yield StepFinished(key=step.key)
        yield ResultReady(results=None)

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        events = await engine.until(run.id)
        assert ((await engine.run(run.id)).results, events[-1].data["results"]) == ({}, {})


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TeamError("No key.", code="BUDGET", retryable=False), "BUDGET", "No key."),
        (ValueError("boom"), "TEAM_ERROR", "The team failed: ValueError: boom"),
    ],
)
async def test_a_team_that_raises_fails_its_run(tmp_path: Path, error: Exception, code: str, message: str) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        raise error

    _, seen, run = await outcome(tmp_path, Script(execute=execute))
    assert seen[-1] == "FAILURE"
    assert run.failure is not None
    assert (run.failure.code, run.failure.message, run.failure.step) == (code, message, "one")


async def _no_plan(_: PlanContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="I have no idea")


async def _empty_plan(_: PlanContext) -> AsyncIterator[Signal]:
    yield draft()


async def _garbage_plan(_: PlanContext) -> AsyncIterator[Signal]:
    yield draft("one", "one")


async def _raises(_: PlanContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="before the error")
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (_no_plan, "INVALID_PLAN"),
        (_empty_plan, "INVALID_PLAN"),
        (_garbage_plan, "INVALID_PLAN"),
        (_raises, "TEAM_ERROR"),
    ],
)
async def test_a_team_without_a_usable_plan_fails_its_run(tmp_path: Path, plan: Planning, code: str) -> None:
    _, seen, run = await outcome(tmp_path, Script(plan=plan))
    assert seen[-1] == "FAILURE"
    assert run.failure is not None
    assert run.failure.code == code


async def _unknown_step(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="before the mistake")
    yield StepStarted(key="three")


async def _unknown_progress(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="before the mistake")
    yield StepMoved(key="three", fraction=0.5)
    yield StepStarted(key="one")


async def _unfinished(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="before the mistake")
    yield StepStarted(key="one")


async def _no_json(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="before the mistake")
    yield StepStarted(key="one")
    yield StepFinished(key="one", output=object())  # type: ignore[arg-type]  # garbage on purpose


@pytest.mark.parametrize("execute", [_unknown_step, _unknown_progress, _unfinished, _no_json])
async def test_a_team_that_contradicts_its_plan_fails_its_run_and_keeps_its_lines(
    tmp_path: Path, execute: Execute
) -> None:
    _, seen, run = await outcome(tmp_path, Script(execute=execute))
    assert seen[-1] == "FAILURE"
    assert "LOG" in seen
    assert run.failure is not None
    assert run.failure.code == "TEAM_ERROR"


async def _garbage(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield "garbage"  # type: ignore[misc]  # garbage on purpose


async def _garbage_line(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="a line", level="LOUD")  # type: ignore[arg-type]  # garbage on purpose


async def _garbage_lines(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LinesSaid(lines=[LineSaid(message="a line", timestamp=datetime(2026, 1, 1))])  # noqa: DTZ001 - on purpose


async def _garbage_usage(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield TokensUsed(usage=Usage(requests="many"))  # type: ignore[arg-type]  # garbage on purpose


async def _text_as_file(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield ArtifactMade(name="a.txt", media_type="text/plain", content="text")  # type: ignore[arg-type]  # on purpose


async def _header_in_media_type(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield ArtifactMade(name="a.txt", media_type="text/plain\r\nset-cookie: a=b", content=b"text")


async def _unspeakable_step(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield LineSaid(message="a line")
    raise TeamError("no", step=object())  # type: ignore[arg-type]  # garbage on purpose


async def _cancels_itself(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield StepStarted(key="one")
    part = asyncio.ensure_future(asyncio.Event().wait())
    part.cancel()
    await part


async def _exits(_: ExecutionContext) -> AsyncIterator[Signal]:
    yield StepStarted(key="one")
    sys.exit(3)


async def _exits_while_closed(_: ExecutionContext) -> AsyncIterator[Signal]:
    try:
        yield StepStarted(key="three")
    finally:
        sys.exit(3)


@pytest.mark.parametrize(
    "execute",
    [
        _garbage,
        _garbage_line,
        _garbage_lines,
        _garbage_usage,
        _text_as_file,
        _header_in_media_type,
        _unspeakable_step,
        _cancels_itself,
        _exits,
        _exits_while_closed,
    ],
)
async def test_a_team_that_misbehaves_fails_its_own_run_and_no_other(tmp_path: Path, execute: Execute) -> None:
    teams = ScriptedTeams(script=Script(execute=execute), other=Script())
    async with open_engine(tmp_path / "mgx.db", teams, slots=1) as engine:
        bad = await engine.start(await engine.task(), auto_approve=True)
        good = await engine.start(await engine.task(team="other"), auto_approve=True)
        assert types(await engine.until(bad.id))[-1] == "FAILURE"
        assert types(await engine.until(good.id))[-1] == "COMPLETION"
        failure = (await engine.run(bad.id)).failure
        assert failure is not None
        assert failure.code == "TEAM_ERROR"


async def test_a_failed_step_fails_the_run_and_skips_the_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        yield StepFailed(key="one", error="exit code 3", retryable=False)

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await engine.until(run.id)
        done = await engine.run(run.id)
        assert done.failure is not None
        assert (done.failure.code, done.failure.step, done.failure.retryable) == ("STEP_FAILED", "one", False)
        async with engine.store.read(ANONYMOUS) as tx:
            plan = (await tx.runs.current_plans([run.id]))[run.id]
        assert [step.status for step in plan.steps] == [StepStatus.FAILED, StepStatus.SKIPPED]
        assert plan.steps[0].error == "exit code 3"
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


async def test_a_team_that_falls_silent_fails_its_run(tmp_path: Path) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        await asyncio.Event().wait()

    _, _, run = await outcome(tmp_path, Script(execute=execute), silence=0.2)
    assert run.failure is not None
    assert run.failure.code == "TEAM_TIMEOUT"


async def test_lines_and_samples_come_in_events_of_at_most_a_hundred(tmp_path: Path) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        yield LinesSaid(lines=[LineSaid(message=f"line {i}", step="one") for i in range(250)], step="one")
        for i in range(150):
            yield SampleTaken(name="rows", value=float(i))
        yield StepFinished(key="one")
        yield StepFinished(key="two", skipped=True)

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        events = await engine.until(run.id)
    lines = [len(p.lines) for event in events if isinstance(p := event.payload, Logged)]
    samples = [len(p.metrics) for event in events if isinstance(p := event.payload, MetricsRecorded)]
    assert sum(lines) == 250
    assert max(lines) <= 100
    assert sum(samples) == 150
    assert max(samples) <= 100
    kinds = types(events)
    last_piece = max(i for i, kind in enumerate(kinds) if kind in {"LOG", "METRIC"})
    completed = [i for i, event in enumerate(events) if event.data.get("stepStatus") == "COMPLETED"]
    assert last_piece < completed[0], "what a step said is written before its end"


async def test_a_step_keeps_ten_thousand_lines_and_counts_the_rest(tmp_path: Path) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        for _i in range(11):
            yield LinesSaid(lines=[LineSaid(message="x", step="one")] * 1000, step="one")
        yield LinesSaid(lines=[], dropped=7, step="one")
        yield StepFinished(key="one")
        yield StepFinished(key="two", skipped=True)

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await engine.until(run.id)
        assert (await engine.run(run.id)).log_count == 10_001
        async with engine.store.read(ANONYMOUS) as tx:
            request = PageRequest(limit=1, backward=True)
            page = (await tx.runs.logs([run.id], request, LogFilter(min_level=LogLevel.WARNING)))[run.id]
    assert [line.message for line in page.items] == ["1007 further lines of this step were not kept."]


async def test_artifacts_are_stored_once_and_given_to_later_steps(tmp_path: Path) -> None:
    read: list[bytes | None] = []

    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        for content in (b"first", b"second", b"second"):
            yield ArtifactMade(name="report", media_type="text/plain", content=content, step="one")
        yield StepFinished(key="one")
        read.append(await context.artifacts("report"))
        read.append(await context.artifacts("nothing"))
        yield StepFinished(key="two", skipped=True)

    _, seen, _ = await outcome(tmp_path, Script(execute=execute))
    assert read == [b"second", None]
    assert seen.count("ARTIFACT") == 2


@pytest.mark.parametrize("sizes", [[1001], [900, 900]])
async def test_artifacts_beyond_their_limits_fail_the_run(tmp_path: Path, sizes: list[int]) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        for place, size in enumerate(sizes):
            yield ArtifactMade(name=f"file-{place}", media_type="text/plain", content=b"x" * size, step="one")
        yield StepFinished(key="one")

    _, _, run = await outcome(tmp_path, Script(execute=execute))
    assert run.failure is not None
    assert run.failure.code == "ARTIFACT_TOO_LARGE"


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancel_that_comes_as_the_team_ends_by_itself_is_no_later_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def plan(_: PlanContext) -> AsyncIterator[Signal]:
        begun.set()
        await go_on.wait()
        if fails:
            raise TeamError("No plan came to mind.")
        yield draft("one")

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(plan=plan))) as engine:
        run = await engine.start(await engine.task())
        await begun.wait()
        monkeypatch.setattr(engine.queue, "cancel", lambda _: None)  # the news does not get there in time
        await engine.runs.cancel(ANONYMOUS, run.id, reason=None)
        go_on.set()
        events = await engine.until(run.id)
        assert types(events)[-3:] == ["CANCEL_REQUESTED", "LOG", "CANCELLED"]
        assert events[-1].data["forced"] is False


async def test_the_end_of_a_step_is_written_with_what_follows_it_immediately(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        *_, _, end_of_one, start_of_two, end_of_two, end = await engine.until(run.id)
        assert types([end_of_one, start_of_two, end_of_two, end]) == [*["PROGRESS"] * 3, "COMPLETION"]
        assert end_of_one.timestamp == start_of_two.timestamp < end_of_two.timestamp == end.timestamp


async def test_the_end_of_a_step_is_written_while_its_team_does_something_else(tmp_path: Path) -> None:
    seen = asyncio.Event()

    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        yield StepFinished(key="one")
        await seen.wait()
        yield StepFinished(key="two", skipped=True)

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await engine.until(run.id, EventType.PROGRESS)
        while (await engine.run(run.id)).progress != 0.5:
            await asyncio.sleep(0)
        seen.set()
        assert types(await engine.until(run.id))[-1] == "COMPLETION"


async def test_the_end_of_a_step_stays_when_what_follows_immediately_is_a_mistake(tmp_path: Path) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        yield LineSaid(message="done", step="one")
        yield StepFinished(key="one")
        yield StepStarted(key="unknown")

    _, seen, run = await outcome(tmp_path, Script(execute=execute))
    assert seen[-4:] == ["PROGRESS", "LOG", "PROGRESS", "FAILURE"]
    assert run.progress == 0.5
    assert run.failure is not None
    assert run.failure.code == "TEAM_ERROR"
    assert "unknown" in run.failure.message


async def test_cancelled_work_gets_to_clean_up(tmp_path: Path) -> None:
    cleaned = asyncio.Event()

    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        try:
            yield StepStarted(key="one")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=execute))) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await engine.until(run.id, EventType.PROGRESS)
        cancelling = await engine.runs.cancel(ANONYMOUS, run.id, reason="enough")
        assert cancelling.status is RunStatus.CANCELLING
        events = await engine.until(run.id)
        assert types(events)[-2:] == ["CANCEL_REQUESTED", "CANCELLED"]
        assert events[-1].data["forced"] is False
        assert cleaned.is_set()
        again = await engine.runs.cancel(ANONYMOUS, run.id, reason=None)
        assert again.status is RunStatus.CANCELLED


async def test_work_that_does_not_stop_is_closed_by_force(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    teams = ScriptedTeams(script=Script(execute=execute), other=Script())
    async with open_engine(tmp_path / "mgx.db", teams, slots=1, grace=0.2) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await engine.until(run.id, EventType.PROGRESS)
        await engine.runs.cancel(ANONYMOUS, run.id, reason=None)
        events = await engine.until(run.id)
        assert events[-1].data["forced"] is True
        # The slot is free again although the team still hangs.
        other = await engine.start(await engine.task(team="other"), auto_approve=True)
        assert types(await engine.until(other.id))[-1] == "COMPLETION"
        release.set()
