"""What a trace tells of a run: who asked, which phase and step did what, and which events each wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode

from domain.events import EventType
from domain.model import ANONYMOUS, RunStatus
from domain.ports import ExecutionContext
from domain.signals import Signal, StepFailed, StepFinished, StepStarted
from domain.store import RunScope
from domain.tracing import Tracer, within
from tests.engine.support import Engine, Execute, Script, ScriptedTeams, open_engine, types
from tests.tracing.spans import Collected, about, id_of, linked, outcome, parent_of, sequences, trace_of, wrote

pytestmark = pytest.mark.usefixtures("on_each_database")


async def run_to_the_end(path: Path, collected: Collected, execute: Execute) -> list[str]:
    """Run a script within a span named `asked`, approved by policy, and return the types of its events."""
    tracer = collected.tracer()
    async with open_engine(path / "mgx.db", ScriptedTeams(script=Script(execute=execute)), tracer=tracer) as engine:
        run_id = await asked_for(engine, tracer, auto_approve=True)
        return types(await engine.until(run_id))


async def asked_for(engine: Engine, tracer: Tracer, *, auto_approve: bool = False, **fields: Any) -> str:
    task = await engine.task(**fields)
    with spanning(tracer, "asked"):
        return (await engine.start(task, auto_approve=auto_approve)).id


@contextmanager
def spanning(tracer: Tracer, name: str) -> Iterator[None]:
    span = tracer.start(name)
    with within(span):
        yield
    span.end()


async def again(engine: Engine, run_id: str) -> None:
    """Wait until a run's second plan awaits a decision."""
    async with asyncio.timeout(30), aclosing(engine.feed.follow(ANONYMOUS, RunScope(run_id))) as batches:
        plans = 0
        async for events in batches:
            plans += types(events).count("APPROVAL_REQUIRED")
            if plans == 2:
                return


async def test_each_step_is_a_span_below_its_phase_in_the_trace_of_the_request(tmp_path: Path) -> None:
    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            yield StepStarted(key=step.key)
            yield StepFinished(key=step.key, skipped=step.key == "two")

    collected = Collected()
    told = await run_to_the_end(tmp_path, collected, execute)
    asked, plan, work = collected.one("asked"), collected.one("run.plan"), collected.one("run.execute")
    assert {trace_of(span) for span in collected.spans} == {trace_of(asked)}
    assert (parent_of(plan), parent_of(work)) == (id_of(asked), id_of(asked))
    assert (outcome(plan), outcome(work)) == ("PLANNED", "COMPLETED")
    steps = [collected.step("one"), collected.step("two")]
    assert [parent_of(step) for step in steps] == [id_of(work)] * 2
    assert [outcome(step) for step in steps] == ["COMPLETED", "SKIPPED"]
    assert [wrote(step) for step in steps] == [["PROGRESS", "PROGRESS"]] * 2
    assert wrote(asked) == ["RUN_CREATED"]
    assert wrote(plan) == ["PLAN_READY", "APPROVED"]
    assert wrote(work) == ["COMPLETION"]
    assert sequences(collected.spans) == list(range(1, len(told) + 1))


async def test_who_worked_on_what_is_told(tmp_path: Path) -> None:
    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            yield StepFinished(key=step.key)

    collected = Collected()
    await run_to_the_end(tmp_path, collected, execute)
    told = about(collected.one("run.execute"))
    assert told["mgx.run.id"].startswith("run_")
    assert told["mgx.task.id"].startswith("task_")
    assert {name: told[name] for name in ("mgx.team", "mgx.worker", "mgx.run.attempt")} == {
        "mgx.team": "script",
        "mgx.worker": "worker",
        "mgx.run.attempt": 1,
    }


async def test_taking_a_run_is_a_span_of_its_own(tmp_path: Path) -> None:
    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            yield StepFinished(key=step.key)

    collected = Collected()
    await run_to_the_end(tmp_path, collected, execute)
    taken = collected.one("run.analysis_start")
    assert parent_of(taken) == id_of(collected.one("asked"))
    assert wrote(taken) == ["ANALYSIS_START"]


async def test_a_step_that_fails_and_its_phase_are_errors_that_do_not_quote_the_team(tmp_path: Path) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        yield StepFailed(key="one", error="the customer's secret")

    collected = Collected()
    await run_to_the_end(tmp_path, collected, execute)
    step, work = collected.step("one"), collected.one("run.execute")
    assert (outcome(step), outcome(work)) == ("FAILED", "FAILED")
    assert (step.status.status_code, work.status.status_code) == (StatusCode.ERROR, StatusCode.ERROR)
    assert work.status.description == "STEP_FAILED"
    assert "secret" not in "".join(span.to_json() for span in collected.spans)


async def test_steps_at_the_same_time_are_told_apart(tmp_path: Path) -> None:
    async def execute(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        yield StepStarted(key="two")
        yield StepFinished(key="one")
        yield StepFinished(key="two")

    collected = Collected()
    await run_to_the_end(tmp_path, collected, execute)
    assert [wrote(collected.step(key)) for key in ("one", "two")] == [["PROGRESS", "PROGRESS"]] * 2


async def test_what_a_team_traces_itself_belongs_to_its_step(tmp_path: Path) -> None:
    collected = Collected()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(collected.exporter()))
    library = provider.get_tracer("a library of the team's")

    async def execute(context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            yield StepStarted(key=step.key)
            with library.start_as_current_span(f"call for {step.key}"):
                await asyncio.sleep(0)
            yield StepFinished(key=step.key)
        with library.start_as_current_span("call for all"):
            await asyncio.sleep(0)

    await run_to_the_end(tmp_path, collected, execute)
    for key in ("one", "two"):
        assert parent_of(collected.one(f"call for {key}")) == id_of(collected.step(key))
    assert parent_of(collected.one("call for all")) == id_of(collected.one("run.execute"))


async def test_work_that_is_halted_ends_its_spans_and_goes_on_in_the_same_trace(tmp_path: Path) -> None:
    async def stay(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        await asyncio.Event().wait()

    collected = Collected()
    tracer = collected.tracer()
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=stay)), tracer=tracer) as engine:
        run_id = await asked_for(engine, tracer, auto_approve=True)
        await engine.until(run_id, EventType.PROGRESS)
    assert outcome(collected.step("one")) == "HANDED_OVER"
    async with open_engine(tmp_path / "mgx.db", tracer=collected.tracer(), owner="another") as engine:
        await engine.until(run_id)
    before, after = collected.named("run.execute")
    assert (outcome(before), outcome(after)) == ("HANDED_OVER", "COMPLETED")
    assert [about(span)["mgx.worker"] for span in (before, after)] == ["worker", "another"]
    assert wrote(collected.one("run.resumed")) == ["RESUMED"]
    assert {trace_of(span) for span in collected.spans} == {trace_of(collected.one("asked"))}


async def test_a_cancel_is_told_where_it_was_asked_and_where_the_work_stopped(tmp_path: Path) -> None:
    async def stay(_: ExecutionContext) -> AsyncIterator[Signal]:
        yield StepStarted(key="one")
        await asyncio.Event().wait()

    collected = Collected()
    tracer = collected.tracer()
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(script=Script(execute=stay)), tracer=tracer) as engine:
        run_id = await asked_for(engine, tracer, auto_approve=True)
        await engine.until(run_id, EventType.PROGRESS)
        await engine.runs.cancel(ANONYMOUS, run_id, reason=None)
        await engine.until(run_id)
        assert (await engine.run(run_id)).status is RunStatus.CANCELLED
    work = collected.one("run.execute")
    assert outcome(work) == "CANCELLED"
    assert wrote(collected.step("one")) == ["PROGRESS", "CANCELLED"]


async def test_a_time_out_is_told_in_the_trace_of_the_run(tmp_path: Path) -> None:
    collected = Collected()
    tracer = collected.tracer()
    async with open_engine(tmp_path / "mgx.db", tracer=tracer) as engine:
        await engine.until(await asked_for(engine, tracer, approval_timeout=1))
    over = collected.one("run.timeout")
    assert trace_of(over) == trace_of(collected.one("asked"))
    assert wrote(over) == ["TIMEOUT"]


async def test_the_work_after_each_decision_is_linked_to_who_decided_last(tmp_path: Path) -> None:
    collected = Collected()
    tracer = collected.tracer()
    async with open_engine(tmp_path / "mgx.db", tracer=tracer) as engine:
        run_id = await asked_for(engine, tracer)
        await engine.until(run_id, EventType.APPROVAL_REQUIRED)
        with spanning(tracer, "sent back"):
            await engine.runs.request_changes(ANONYMOUS, run_id, feedback="Shorter.", plan_version=None)
        await again(engine, run_id)
        with spanning(tracer, "approved"):
            await engine.approve(run_id)
        await engine.until(run_id)
    first, second = collected.named("run.plan")
    assert linked(first) == []
    assert linked(second) == [id_of(collected.one("sent back"))]
    assert linked(collected.one("run.execute")) == [id_of(collected.one("approved"))]
    assert {trace_of(first), trace_of(second)} == {trace_of(collected.one("asked"))}


async def test_a_run_that_nobody_traced_is_worked_on_as_ever(tmp_path: Path) -> None:
    collected = Collected()
    async with open_engine(tmp_path / "mgx.db", tracer=collected.tracer()) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        await engine.until(run.id)
        assert (await engine.run(run.id)).status is RunStatus.COMPLETED
    assert parent_of(collected.one("run.execute")) is None
