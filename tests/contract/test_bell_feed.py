"""The feed of another process, which has only the bell and the clock to learn of what is committed here."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from domain import feed as feed_module
from domain.events import Event
from domain.feed import Feed
from domain.model import ANONYMOUS
from domain.ports import BellState
from domain.services.inputs import TaskChanges
from domain.store import AllScope
from graph.clock import SystemClock
from storage.bell import BroadcastBell, open_bell
from tests.backing import RedisServer
from tests.contract.bells import QUICK, WAIT_SECONDS, until_state
from tests.engine.support import Engine, open_engine


async def _next_event(feed: Feed, after: int) -> Event:
    async with asyncio.timeout(WAIT_SECONDS), aclosing(feed.follow(ANONYMOUS, AllScope(), after)) as batches:
        while not (batch := await anext(batches)):
            pass
        return batch[0]


async def _change(engine: Engine, task_id: str, bell: BroadcastBell | None) -> int:
    """Commit an event, ring for it or not, and return its place."""
    await engine.tasks.update(ANONYMOUS, TaskChanges(task_id=task_id, description=f"after {engine.feed.position}"))
    if bell is not None:
        bell.ring(engine.feed.position)
    return engine.feed.position


async def test_events_come_by_polling_while_the_bell_is_gone(tmp_path: Path, redis: RedisServer) -> None:
    async with open_engine(tmp_path / "mgx.db", working=False) as engine, open_bell(redis.url, timings=QUICK) as bell:
        task = await engine.task()
        there = Feed(engine.store, bell, SystemClock())
        async with there.serve():
            redis.kill()
            await until_state(bell, BellState.DEGRADED)
            for _ in range(3):
                before = engine.feed.position
                waiting = asyncio.create_task(_next_event(there, before))
                assert await _change(engine, task.id, bell) == (await waiting).pos


async def test_events_come_by_the_bell_alone_when_nothing_is_polled(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "POLL_SECONDS", 3600.0)
    async with (
        open_engine(tmp_path / "mgx.db", working=False) as engine,
        open_bell(redis.url) as here,
        open_bell(redis.url) as bell,
    ):
        task = await engine.task()
        there = Feed(engine.store, bell, SystemClock())
        async with there.serve():
            for _ in range(3):
                before = engine.feed.position
                waiting = asyncio.create_task(_next_event(there, before))
                assert await _change(engine, task.id, here) == (await waiting).pos


async def test_a_bell_that_comes_back_makes_the_feed_look_at_what_nobody_rang_for(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "POLL_SECONDS", 3600.0)
    async with open_engine(tmp_path / "mgx.db", working=False) as engine, open_bell(redis.url, timings=QUICK) as bell:
        task = await engine.task()
        there = Feed(engine.store, bell, SystemClock())
        async with there.serve():
            redis.kill()
            await until_state(bell, BellState.DEGRADED)
            waiting = asyncio.create_task(_next_event(there, engine.feed.position))
            pos = await _change(engine, task.id, None)
            redis.start()
            assert (await waiting).pos == pos
