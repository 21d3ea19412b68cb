"""An object shaped like MGXStyleTeam, registered by the operator, through whole runs of the engine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from domain.events import Event, EventType, Logged, PlanReady
from domain.model import ANONYMOUS, Run, RunStatus
from domain.store import RunScope
from teams.registry import Registry, parse_teams
from tests.engine.support import Engine, open_engine, types

MODULE = "operators_agents"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Teams with one that plans what it is asked for and stumbles when its config says so."""
    package = tmp_path / MODULE
    package.mkdir()
    (package / "__init__.py").touch()
    source = """
        import asyncio

        class Agents:
            def __init__(self, fails, hangs):
                self.fails, self.hangs = fails, hangs
                self.plan = None
                self.approved = False

            async def analyze_and_plan(self, task):
                print("Mike thinks about", task.splitlines()[0])
                more = "3. Write tests\\n" if "Write tests" in task else ""
                return (
                    '---JSON_START---\\n{"task": "Add a login page", "complexity": "S"}\\n---JSON_END---\\n'
                    f"PLAN:\\n1. Write the form\\n2. Review it\\n{more}"
                )

            def set_task_spec(self, task, complexity, plan):
                self.plan = plan

            def approve_plan(self):
                self.approved = True

            async def execute(self):
                if not self.approved:
                    return "❌ Not approved"
                for line in self.plan.splitlines():
                    print("Alex does", line)
                if self.hangs:
                    await asyncio.Event().wait()
                return "❌ The review failed" if self.fails else "✅ All done"

            def get_all_metrics(self):
                return [{"duration": "12.3s", "estimated_cost": "$0.0012", "success": "✅"}] if self.approved else []

            def get_progress(self):
                return {"current_step": 2} if self.approved else None

        def factory(config):
            return Agents(config.get("fails", False), config.get("hangs", False))
    """
    (package / "agents.py").write_text(dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Registry(parse_teams(f"mine={MODULE}.agents:factory"))
    for name in (MODULE, f"{MODULE}.agents"):
        sys.modules.pop(name, None)


@asynccontextmanager
async def awaiting(
    path: Path, registry: Registry, capsys: pytest.CaptureFixture[str], **config: bool
) -> AsyncIterator[tuple[Engine, Run]]:
    """A run of the team `mine` whose plan waits for a decision; nothing of it may get into the server's output."""
    async with open_engine(path / "engine.db", registry) as engine:
        run = await engine.start(await engine.task(team="mine", config=config))
        await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        yield engine, run
    assert not capsys.readouterr().out


def logged(events: list[Event]) -> list[tuple[str | None, str]]:
    return [
        (line.step, line.message)
        for event in events
        if isinstance(event.payload, Logged)
        for line in event.payload.lines
    ]


async def test_a_registered_factory_goes_through_a_whole_run(
    tmp_path: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    async with awaiting(tmp_path, registry, capsys) as (engine, run):
        await engine.approve(run.id)
        events = await engine.until(run.id)
        ended = await engine.run(run.id)
    assert ended.status is RunStatus.COMPLETED
    assert ended.results == {"text": "✅ All done"}
    assert ended.usage.cost_usd == 0.0012
    assert logged(events) == [
        (None, "Mike thinks about A task"),
        ("step-2", "Alex does 1. Write the form"),
        ("step-2", "Alex does 2. Review it"),
    ]
    said = types(events)
    assert said[:2] == ["RUN_CREATED", "ANALYSIS_START"]
    assert said.count("PROGRESS") == 4
    assert said.count("METRIC") == 1
    assert said[-1] == "COMPLETION"


async def test_feedback_is_planned_again(
    tmp_path: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    async with awaiting(tmp_path, registry, capsys) as (engine, run):
        await engine.runs.request_changes(ANONYMOUS, run.id, feedback="Write tests, please.", plan_version=1)
        await second_plan(engine, run)
        await engine.approve(run.id)
        events = await engine.until(run.id)
    assert ("step-2", "Alex does 3. Write tests") in logged(events)


async def second_plan(engine: Engine, run: Run) -> None:
    """Wait until the plan that was sent back has its second version."""
    async with asyncio.timeout(30), aclosing(engine.feed.follow(ANONYMOUS, RunScope(run.id))) as batches:
        async for events in batches:
            if any(isinstance(event.payload, PlanReady) and event.payload.plan.version == 2 for event in events):
                return


async def test_a_cross_mark_fails_the_run_at_its_step(
    tmp_path: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    async with awaiting(tmp_path, registry, capsys, fails=True) as (engine, run):
        await engine.approve(run.id)
        await engine.until(run.id)
        failure = (await engine.run(run.id)).failure
    assert failure is not None
    assert (failure.code, failure.message, failure.step) == ("TEAM_ERROR", "❌ The review failed", "step-2")


async def test_a_cancel_ends_the_run(tmp_path: Path, registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    async with awaiting(tmp_path, registry, capsys, hangs=True) as (engine, run):
        await engine.approve(run.id)
        await engine.until(run.id, EventType.LOG)
        await engine.runs.cancel(ANONYMOUS, run.id, reason=None)
        await engine.until(run.id)
        assert (await engine.run(run.id)).status is RunStatus.CANCELLED
