"""Following the log: nothing lost, nothing twice, in order, and an end only where nothing can follow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from domain.errors import InvalidCursorError, UnknownSubjectError
from domain.events import Event, EventType
from domain.feed import Feed
from domain.model import ANONYMOUS, Principal
from domain.ports import ExecutionContext
from domain.services.inputs import TaskChanges
from domain.signals import LineSaid, Signal, StepFinished, StepStarted
from domain.store import AllScope, RunScope, Scope, TaskScope
from graph.clock import SystemClock
from storage.bell import open_bell
from tests.engine.support import Engine, Script, ScriptedTeams, open_engine, types

pytestmark = pytest.mark.usefixtures("on_each_database")


async def talk(context: ExecutionContext) -> AsyncIterator[Signal]:
    for step in context.plan.steps:
        yield StepStarted(key=step.key)
        for i in range(150):
            yield LineSaid(message=f"{step.key} {i}", step=step.key)
            await asyncio.sleep(0)
        yield StepFinished(key=step.key)


TEAMS = {"script": Script(execute=talk)}


async def collect(feed: Feed, scope: Scope, after: int | None = None, stop: int | None = None) -> list[Event]:
    seen: list[Event] = []
    async with asyncio.timeout(30), aclosing(feed.follow(ANONYMOUS, scope, after)) as batches:
        async for events in batches:
            seen += events
            if stop is not None and len(seen) >= stop:
                break
    return seen


async def change(engine: Engine, task_id: str, count: int) -> None:
    for _ in range(count):
        changes = TaskChanges(task_id=task_id, description=f"after {engine.feed.position}")
        await engine.tasks.update(ANONYMOUS, changes)


@pytest.mark.parametrize("seed", range(5))
async def test_a_follower_that_is_cut_and_resumes_at_random_sees_each_event_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(**TEAMS)) as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        seen: list[Event] = []
        while not seen or not seen[-1].is_terminal:
            after = seen[-1].pos if seen else None
            seen += await collect(engine.feed, RunScope(run.id), after, stop=chance.randint(1, 5))
        assert [event.sequence for event in seen] == list(range(1, (await engine.run(run.id)).last_sequence + 1))
        assert await collect(engine.feed, RunScope(run.id), seen[-1].pos) == [], "nothing can follow the end"


async def test_many_followers_agree_whenever_they_come(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(**TEAMS)) as engine:
        run = await engine.start(await engine.task())
        early = [asyncio.create_task(collect(engine.feed, RunScope(run.id))) for _ in range(5)]
        await engine.until(run.id, EventType.APPROVAL_REQUIRED)
        await engine.approve(run.id)
        middle = [asyncio.create_task(collect(engine.feed, RunScope(run.id))) for _ in range(5)]
        streams = await asyncio.gather(*early, *middle)
        late = await collect(engine.feed, RunScope(run.id))
        assert all(stream == late for stream in streams), "replay equals live"


async def test_a_follower_that_does_not_keep_up_goes_on_from_the_log(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        task = await engine.task()
        async with open_bell() as bell:
            feed = Feed(engine.store, bell, SystemClock(), buffer=3)
            async with feed.serve(), aclosing(feed.follow(ANONYMOUS, TaskScope(task.id))) as batches:
                assert await anext(batches) == [], "there is nothing yet"
                first = asyncio.ensure_future(anext(batches))
                await change(engine, task.id, 1)
                bell.ring(engine.feed.position)
                seen = list(await first)
                # The follower takes nothing while more is published than its buffer holds.
                await change(engine, task.id, 20)
                bell.ring(engine.feed.position)
                while feed.position < engine.feed.position:
                    await asyncio.sleep(0)
                while len(seen) < 21:
                    seen += await anext(batches)
        assert [event.data["task"]["version"] for event in seen] == list(range(2, 23))  # type: ignore[index,call-overload]


async def test_a_task_is_followed_from_now_on_and_until_it_is_deleted(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        task = await engine.task()
        following = asyncio.create_task(collect(engine.feed, TaskScope(task.id)))
        await _following(engine.feed)
        run = await engine.start(task, auto_approve=True)
        await engine.until(run.id)
        await engine.runs.delete(ANONYMOUS, run.id)
        await engine.tasks.delete(ANONYMOUS, task.id, force=False)
        seen = types(await following)
        assert seen[0] == "RUN_CREATED"
        assert seen[-2:] == ["RUN_DELETED", "TASK_DELETED"]


async def test_everything_is_followed_in_the_order_of_the_log(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db", ScriptedTeams(**TEAMS)) as engine:
        async with aclosing(engine.feed.follow(ANONYMOUS, AllScope(), 0)) as batches:
            for _ in range(3):
                await engine.until((await engine.start(await engine.task(), auto_approve=True)).id)
            seen: list[Event] = []
            while types(seen).count("COMPLETION") < 3:
                seen += await anext(batches)
        assert [event.pos for event in seen] == list(range(1, len(seen) + 1))


async def test_a_run_that_is_deleted_while_it_is_followed_ends_its_stream(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        task = await engine.task()
        run = await engine.start(task)
        following = asyncio.create_task(collect(engine.feed, RunScope(run.id)))
        await _following(engine.feed)
        await engine.tasks.delete(ANONYMOUS, task.id, force=True)
        assert types(await following) == ["RUN_CREATED"]


async def test_what_is_filtered_out_ends_the_stream_all_the_same(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db") as engine:
        run = await engine.start(await engine.task(), auto_approve=True)
        seen = [
            event
            async for events in engine.feed.follow(ANONYMOUS, RunScope(run.id), types={EventType.APPROVED})
            for event in events
        ]
        assert types(seen) == ["APPROVED"]


@pytest.mark.parametrize("scope", [RunScope("run_none"), TaskScope("task_none")])
async def test_what_does_not_exist_can_not_be_followed(tmp_path: Path, scope: Scope) -> None:
    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        with pytest.raises(UnknownSubjectError):
            await collect(engine.feed, scope)


async def test_another_tenant_sees_nothing(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        task = await engine.task()
        with pytest.raises(UnknownSubjectError):
            await anext(engine.feed.follow(Principal(tenant="other"), TaskScope(task.id)))


async def test_a_cursor_beyond_the_head_is_refused(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        await engine.task()
        with pytest.raises(InvalidCursorError):
            await collect(engine.feed, AllScope(), after=engine.feed.position + 1)


async def _following(feed: Feed) -> None:
    """Wait until somebody follows, and has read what was there."""
    while not feed.statistics().subscribers or feed.statistics().catching_up:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
