"""Whoever follows or lists while history goes sees an exact part of the log without a hole, or is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import CursorExpiredError
from domain.events import Event, EventType
from domain.feed import Feed, Following
from domain.model import ANONYMOUS, ENGINE, Run, Task
from domain.paging import PageRequest, encode_event_cursor
from domain.store import AllScope, RunScope, Scope, TaskScope
from storage.bell import open_bell
from storage.postgres import PostgresSettings
from storage.store import SqliteSettings, open_store
from tests.contract.world import SetClock, World, task_event
from tests.unit.lives import CANCEL, CLAIM

KEPT: Final = timedelta(seconds=10)


@dataclass
class Followed(World):
    """A store that is followed; `delivered` is its log as it ever was."""

    feed: Feed = field(init=False)

    @property
    def log(self) -> list[Event]:
        return sorted((event for batch in self.delivered for event in batch), key=lambda event: event.pos)

    async def forget(self, rows: int = 1000) -> int | None:
        async with self.store.write(ENGINE) as tx:
            return await tx.history.forget(KEPT, rows)

    async def forget_all(self) -> None:
        self.clock.time += KEPT
        while await self.forget() is not None:
            pass

    async def gone(self, among: Iterable[Run]) -> set[str]:
        """Return the runs whose history is gone."""
        async with self.store.read(ENGINE) as view:
            return {run.id for run in among if (await view.events.extent(RunScope(run.id))).horizon}

    async def ended(self, of: Task, number: int = 1) -> Run:
        return (await self.do((await self.add_run(of, number)).run.id, CANCEL)).run

    def follow(self, scope: Scope, after: int | None = None, **more: Any) -> Following:
        return self.feed.follow(ANONYMOUS, scope, after, **more)


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Followed]:
    """Open a store whose followers' buffers hold little."""
    clock = SetClock()
    delivered: list[Sequence[Event]] = []

    def deliver(events: Sequence[Event]) -> None:
        delivered.append(events)
        feed.publish(events)

    async with (
        open_bell() as bell,
        open_store(
            database_url,
            clock=clock,
            on_commit=deliver,
            settings=SqliteSettings(synchronous="NORMAL"),
            postgres=PostgresSettings(own_clock=False),
        ) as store,
    ):
        feed = Feed(store, bell, clock, buffer=3)
        world = Followed(store, clock, delivered)
        world.feed = feed
        async with feed.serve():
            yield world


@pytest.fixture
async def followed(database_url: str) -> AsyncIterator[Followed]:
    async with opened(database_url) as world:
        yield world


def of_scope(scope: Scope, log: Sequence[Event]) -> list[Event]:
    match scope:
        case RunScope(run_id):
            return [event for event in log if event.run_id == run_id]
        case TaskScope(task_id):
            return [event for event in log if event.task_id == task_id]
        case AllScope():
            return list(log)


async def some(events: Following) -> Sequence[Event]:
    async with asyncio.timeout(30):
        while not (batch := await anext(events)):
            pass
        return batch


async def rest(events: Following) -> list[Event]:
    async with asyncio.timeout(30):
        return [event async for batch in events for event in batch]


async def test_a_run_whose_beginning_is_gone_does_not_begin_in_the_middle(followed: Followed) -> None:
    run = await followed.ended(await followed.add_task())
    first, last = followed.log
    await followed.forget_all()
    for after in (None, 0, first.pos):
        with pytest.raises(CursorExpiredError) as refused:
            await rest(followed.follow(RunScope(run.id), after))
        assert refused.value.oldest_cursor == encode_event_cursor(followed.store.log_id, last.pos)
    assert await rest(followed.follow(RunScope(run.id), last.pos)) == [], "it had seen all, and nothing can follow"


async def test_a_task_and_everything_are_followed_from_above_the_horizon(followed: Followed) -> None:
    of = await followed.add_task()
    await followed.keep(task_event(of))
    await followed.ended(of)
    await followed.forget_all()
    horizon = followed.log[-1].pos
    await followed.keep(task_event(of))
    for scope in (TaskScope(of.id), AllScope()):
        for after in range(horizon):
            with pytest.raises(CursorExpiredError):
                await some(followed.follow(scope, after))
        assert list(await some(followed.follow(scope, horizon))) == followed.log[-1:]


async def test_one_who_lives_on_what_is_published_needs_no_log(followed: Followed) -> None:
    of = await followed.add_task()
    events = followed.follow(TaskScope(of.id))
    following = asyncio.ensure_future(some(events))
    await _following(followed.feed)
    run = await followed.add_run(of)
    seen = list(await following)
    await followed.do(run.run.id, CANCEL)
    await followed.forget_all()
    assert seen + list(await some(events)) == followed.log


async def test_one_who_falls_behind_what_is_kept_is_told(followed: Followed) -> None:
    of = await followed.add_task()
    events = followed.follow(TaskScope(of.id), 0)
    await followed.keep(task_event(of))
    assert list(await some(events)) == followed.log
    for number in (1, 2):
        await followed.ended(of, number)  # more events than the buffer holds
    await followed.forget_all()
    with pytest.raises(CursorExpiredError) as told:
        await some(events)
    assert told.value.oldest_cursor == encode_event_cursor(followed.store.log_id, followed.log[-1].pos)


async def test_one_who_filtered_out_what_is_gone_has_missed_nothing(followed: Followed) -> None:
    of = await followed.add_task()
    await followed.keep(task_event(of))
    for number in range(1, 4):
        await followed.ended(of, number)
    events = followed.follow(TaskScope(of.id), 0, types={EventType.TASK_CREATED})
    assert list(await some(events)) == followed.log[:1]
    following = asyncio.ensure_future(some(events))
    await _following(followed.feed)
    await followed.forget_all()
    await followed.keep(*(task_event(of) for _ in range(5)))  # more than the buffer holds: it reads the log again
    assert list(await following) == followed.log[-5:]
    await events.aclose()


async def test_a_process_that_slept_for_too_long_tells_its_followers(database_url: str) -> None:
    """The log went on without it: what it would publish next does not follow on what it published last."""
    async with opened(database_url) as world:
        of, other = await world.add_task(), await world.add_task()
        lasting = (await world.add_run(other)).run
        behind, whole = world.follow(TaskScope(of.id)), world.follow(RunScope(lasting.id))
        assert len(await some(whole)) == 1
        waiting = [asyncio.ensure_future(some(events)) for events in (behind, whole)]
        await _following(world.feed)
        with pytest.MonkeyPatch.context() as sleeping:
            sleeping.setattr(world.feed, "publish", lambda _: None)
            sleeping.setattr(world.feed, "_catch_up", partial(asyncio.sleep, 0))
            await world.ended(of)
            await world.do(lasting.id, CLAIM)
            await world.forget_all()
        await world.keep(task_event(other))
        with pytest.raises(CursorExpiredError):
            await waiting[0]
        assert [event.sequence for event in await waiting[1]] == [2], "nothing of it is gone"
        await whole.aclose()


@dataclass
class Follower:
    """Somebody who follows, and where he is."""

    scope: Scope
    events: Following
    last: int
    types: set[EventType] | None

    def missing(self, log: Sequence[Event]) -> list[Event]:
        """What he is still to see."""
        return [
            event
            for event in of_scope(self.scope, log)
            if event.pos > self.last and (self.types is None or event.type in self.types)
        ]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_what_is_seen_while_history_goes_has_no_hole(followed: Followed, data: st.DataObject) -> None:
    await followed.forget_all()
    tasks = [await followed.add_task() for _ in range(2)]
    await followed.keep(task_event(tasks[0]))
    began = followed.log[-1].pos
    open_runs: list[Run] = []
    all_runs: list[Run] = []
    numbers = {of.id: 0 for of in tasks}
    followers: list[Follower] = []

    def scope() -> Scope:
        scopes: list[Scope] = [AllScope(), *(TaskScope(of.id) for of in tasks), *(RunScope(run.id) for run in all_runs)]
        return data.draw(st.sampled_from(scopes), label="scope")

    async def expects_refusal(where: Scope, after: int) -> bool:
        gone = await followed.gone(all_runs)
        return any(event.pos > after and event.run_id in gone for event in of_scope(where, followed.log))

    def place() -> int:
        return began + data.draw(st.integers(0, followed.log[-1].pos - began), label="place")

    async def take(follower: Follower) -> None:
        missing = follower.missing(followed.log)
        if not missing:
            return
        try:
            seen = list(await some(follower.events))
        except CursorExpiredError:
            assert await expects_refusal(follower.scope, follower.last), "nothing that it had not seen is gone"
            followers.remove(follower)
        else:
            assert seen == missing[: len(seen)]
            follower.last = seen[-1].pos

    for _ in range(data.draw(st.integers(5, 25), label="steps")):
        match data.draw(
            st.sampled_from(["begin", "end", "change", "pass", "forget", "follow", "take", "take", "list"]), label="do"
        ):
            case "begin":
                of = data.draw(st.sampled_from(tasks))
                numbers[of.id] += 1
                made = (await followed.add_run(of, numbers[of.id], created_at=followed.clock.time)).run
                open_runs.append(made)
                all_runs.append(made)
            case "end" if open_runs:
                await followed.do(open_runs.pop(data.draw(st.integers(0, len(open_runs) - 1))).id, CANCEL)
            case "change":
                await followed.keep(task_event(data.draw(st.sampled_from(tasks))))
            case "pass":
                followed.clock.time += KEPT / 2
            case "forget":
                await followed.forget(rows=data.draw(st.integers(1, 6), label="rows"))
            case "follow":
                where, after = scope(), place()
                types = data.draw(st.sampled_from([None, None, {EventType.RUN_CREATED, EventType.TASK_CREATED}]))
                follower = Follower(where, followed.follow(where, after, types=types), after, types)
                if follower.missing(followed.log) and await expects_refusal(where, after):
                    with pytest.raises(CursorExpiredError):
                        await some(follower.events)
                else:
                    followers.append(follower)
            case "take" if followers:
                await take(data.draw(st.sampled_from(followers)))
            case "list":
                where, after = scope(), place()
                await _list(followed, where, after, refused=await expects_refusal(where, after))
            case _:
                pass
    while followers:
        last = followers[-1]
        while last in followers and last.missing(followed.log):
            await take(last)
        await last.events.aclose()
        followers = [follower for follower in followers if follower is not last]


async def _list(followed: Followed, scope: Scope, after: int, *, refused: bool) -> None:
    """See that a list goes on exactly after a place, or says that it can't; and that it begins without a hole."""
    own = of_scope(scope, followed.log)
    async with followed.store.read(ANONYMOUS) as view:

        async def page(request: PageRequest) -> Sequence[Event]:
            match scope:
                case RunScope(run_id):
                    return (await view.events.pages_of_runs([run_id], request, None))[run_id].items
                case TaskScope(task_id):
                    return (await view.events.pages_of_tasks([task_id], request, None))[task_id].items
                case AllScope():
                    return (await view.events.page(request, None)).items

        request = PageRequest(limit=1000, after=encode_event_cursor(followed.store.log_id, after))
        if refused:
            with pytest.raises(CursorExpiredError):
                await page(request)
        else:
            assert list(await page(request)) == [event for event in own if event.pos > after]
        kept = list(await page(PageRequest(limit=1000)))
        assert kept == own[len(own) - len(kept) :]
        horizon = (await view.events.extent(scope)).horizon
        assert len(kept) == sum(event.pos > horizon for event in own)


async def _following(feed: Feed) -> None:
    """Wait until those who follow have read what was there."""
    while not feed.statistics().subscribers or feed.statistics().catching_up:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
