"""History of runs that are long over goes in small steps; what is left has no hole, and who would miss some is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Executable, create_engine, delete, func, insert, make_url, select

from domain import commands as c
from domain.errors import CursorExpiredError, StoreBusyError
from domain.events import Event
from domain.history import Extent
from domain.model import ANONYMOUS, ENGINE, Principal, Run, Task
from domain.paging import Page, PageRequest, RunOrder, encode_event_cursor, log_cursor
from domain.retention import Retention
from domain.store import AllScope, LogFilter, ReadTx, RunFilter, RunScope, Scope, TaskScope
from storage.shapes import EVENT
from storage.tables import events, runs
from tests.contract.raw import counts, rows_of
from tests.contract.world import SECOND, World, artifact_of, log_line, metric, run_deleted, task_event
from tests.unit.lives import APPROVE, CANCEL, CLAIM, deliver, line

KEPT = timedelta(hours=1)
EVERYTHING = PageRequest(limit=100)


async def ended(world: World, of: Task, number: int = 1, *, lines: int = 2) -> Run:
    """A run that has just ended."""
    run = (await world.add_run(of, number)).run
    said = c.WriteLog(lines=(line(),) * lines)
    before = await world.do(run.id, CLAIM, *([said] if lines else []), CANCEL)
    async with world.store.write(ENGINE) as tx:
        await tx.runs.add_lines(before.run, [log_line(number) for number in range(1, lines + 1)])
    return (await world.do(run.id, c.Stopped())).run


async def forget(world: World, rows: int = 1000) -> int | None:
    async with world.store.write(ENGINE) as tx:
        return await tx.history.forget(KEPT, rows)


async def forgotten(world: World, of: Task, number: int = 1) -> Run:
    """A run whose history is gone."""
    run = await ended(world, of, number)
    world.clock.time += KEPT
    assert await forget(world) == 1
    return run


def log(world: World) -> list[Event]:
    """Everything that ever happened."""
    return [event for batch in world.delivered for event in batch]


def cursor(world: World, event: Event) -> str:
    return encode_event_cursor(world.store.log_id, event.pos)


async def extent(world: World, scope: Scope, principal: Principal = ANONYMOUS) -> Extent:
    async with world.store.read(principal) as view:
        return await view.events.extent(scope)


def execute(database_url: str, statement: Executable) -> None:
    """Change something past the store."""
    url = make_url(database_url)
    engine = create_engine(url.set(drivername=url.drivername.removesuffix("+aiosqlite")))
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()


async def test_history_goes_once_its_run_has_been_over_for_long_enough(world: World, database_url: str) -> None:
    of = await world.add_task()
    run = await ended(world, of)
    before = counts(database_url)
    world.clock.time += KEPT - timedelta(microseconds=1)
    assert await forget(world) is None
    assert counts(database_url) == before
    world.clock.time += timedelta(microseconds=1)
    assert await forget(world) == 1
    assert await forget(world) is None
    assert counts(database_url) == {"log": 1, "tasks": 1, "runs": 1, "horizons": 1}
    assert (await world.state(run.id)) is not None


async def test_everything_but_events_and_lines_stays(world: World, database_url: str) -> None:
    of = await world.add_task(labels=("red",))
    run = (await world.add_run(of, labels=("blue",))).run
    await world.do(run.id, CLAIM, deliver(), c.Review(approved=False, actor="ann"))
    await world.keep(metric(run), task_event(of))
    await world.keep_artifact(artifact_of(run, b"bytes"), b"bytes")
    state, before = await world.state(run.id), counts(database_url)
    world.clock.time += KEPT
    assert await forget(world) == 1
    assert await world.state(run.id) == state
    assert counts(database_url) == before | {"events": 1, "horizons": 1}


@pytest.mark.parametrize("commands", [(CLAIM,), (CLAIM, deliver()), (CLAIM, deliver(), APPROVE), (CLAIM, CANCEL)])
async def test_a_run_that_is_not_final_keeps_its_history_however_old_it_is(
    world: World, database_url: str, commands: Sequence[c.Command]
) -> None:
    run = (await world.add_run(await world.add_task())).run
    await world.do(run.id, *commands)
    before = counts(database_url)
    world.clock.time += 1000 * KEPT
    assert await forget(world) is None
    assert counts(database_url) == before


async def test_what_ended_first_goes_first_and_no_more_rows_than_allowed(world: World, database_url: str) -> None:
    of = await world.add_task()
    made = []
    for number in range(1, 4):
        made.append(await ended(world, of, number, lines=0))
        world.clock.time += SECOND
    world.clock.time += KEPT
    size = made[0].last_sequence
    for gone in range(1, 4):
        assert await forget(world, rows=2 * size - 1) == 1, "two don't fit"
        assert [(await extent(world, RunScope(run.id))).horizon > 0 for run in made] == [
            number < gone for number in range(3)
        ]
    assert await forget(world) is None


async def test_a_long_history_is_gone_at_once_and_its_rows_little_by_little(world: World, database_url: str) -> None:
    of = await world.add_task()
    run = await ended(world, of, lines=7)
    world.clock.time += KEPT
    steps = [await forget(world, rows=3)]
    assert "events" in counts(database_url)
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.events.pages_of_runs([run.id], EVERYTHING, None))[run.id].items == []
        assert (await view.events.pages_of_tasks([of.id], EVERYTHING, None))[of.id].items == []
        assert (await view.events.page(EVERYTHING, None)).items == []
        assert (await view.runs.logs([run.id], EVERYTHING, LogFilter()))[run.id].items == []
    while steps[-1] is not None:
        steps.append(await forget(world, rows=3))
    assert steps == [0, 0, 1, None], "7 lines, 3 at a time"
    assert {"events", "logs"} & set(counts(database_url)) == set()


async def test_the_horizon_of_a_run_its_task_and_everything_is_its_last_event(world: World) -> None:
    of, other = await world.add_task(), await world.add_task()
    await world.keep(task_event(of), task_event(other))
    lasting = (await world.add_run(of, 1)).run
    run = await forgotten(world, of, 2)
    last = log(world)[-1]
    await world.keep(task_event(of))
    for scope, horizon in (
        (RunScope(run.id), last.pos),
        (TaskScope(of.id), last.pos),
        (AllScope(), last.pos),
        (RunScope(lasting.id), 0),
        (TaskScope(other.id), 0),
        (TaskScope("task_unknown"), 0),
    ):
        assert await extent(world, scope) == Extent(horizon=horizon, head=last.pos + 1)
    assert (await extent(world, AllScope(), ENGINE)).horizon == last.pos
    assert (await extent(world, AllScope(), Principal(tenant="other"))).horizon == 0


async def test_a_horizon_never_goes_back(world: World) -> None:
    of = await world.add_task()
    early, late = [(await world.add_run(of, number)).run for number in (1, 2)]
    await world.do(late.id, CANCEL)
    world.clock.time += KEPT
    assert await forget(world) == 1
    horizon = (await extent(world, TaskScope(of.id))).horizon
    assert horizon == log(world)[-1].pos
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(late.id)
        await tx.events.append([run_deleted(late)])
    assert (await extent(world, TaskScope(of.id))).horizon == horizon
    await world.do(early.id, CANCEL)
    world.clock.time += KEPT
    assert await forget(world) == 1
    assert (await extent(world, TaskScope(of.id))).horizon > horizon


async def test_the_head_stays_where_it_was_when_the_newest_event_is_gone(world: World) -> None:
    of = await world.add_task()
    await forgotten(world, of)
    last = log(world)[-1]
    async with world.store.read(ANONYMOUS) as view:
        assert await view.events.head() == last.pos
        page = await view.events.page(PageRequest(after=cursor(world, last)), None)
        assert (page.items, page.has_previous, page.has_next) == ([], False, False)
    await world.keep(task_event(of))
    assert log(world)[-1].pos == last.pos + 1, "a place is not given twice"


async def test_the_beginning_of_a_log_that_is_whole_is_a_place_like_any_other(world: World) -> None:
    of = await world.add_task()
    await world.keep(task_event(of))
    beginning = encode_event_cursor(world.store.log_id, 0)
    async with world.store.read(ANONYMOUS) as view:
        for fetch in _lists(of):
            assert (await fetch(view, PageRequest(backward=True, before=beginning))).items == []
            assert list((await fetch(view, PageRequest(after=beginning))).items) == log(world)


async def test_a_list_begins_above_the_horizon(world: World) -> None:
    of = await world.add_task()
    await world.keep(task_event(of))
    lasting = (await world.add_run(of, 1)).run
    await forgotten(world, of, 2)
    await world.do(lasting.id, CLAIM, CANCEL)
    kept = [event for event in log(world) if event.run_id == lasting.id]
    above = kept[1:]

    async with world.store.read(ANONYMOUS) as view:
        of_run = (await view.events.pages_of_runs([lasting.id], EVERYTHING, None))[lasting.id]
        assert list(of_run.items) == kept, "a run's own log is whole until it goes"
        for fetch in _lists(of):
            page = await fetch(view, EVERYTHING)
            assert (list(page.items), page.has_previous, page.has_next) == (above, False, False)
            page = await fetch(view, PageRequest(limit=1))
            assert (list(page.items), page.has_previous, page.has_next) == (above[:1], False, True)
            page = await fetch(view, PageRequest(limit=1, after=page.cursors[0]))
            assert (list(page.items), page.has_previous, page.has_next) == (above[1:], True, False)
            page = await fetch(view, PageRequest(limit=1, backward=True, before=page.cursors[0]))
            assert (list(page.items), page.has_previous, page.has_next) == (above[:1], False, True)
            page = await fetch(view, PageRequest(limit=100, backward=True))
            assert (list(page.items), page.has_previous, page.has_next) == (above, False, False)


def _lists(of: Task) -> list[Callable[[ReadTx, PageRequest], Awaitable[Page[Event]]]]:
    async def task(view: ReadTx, request: PageRequest) -> Page[Event]:
        return (await view.events.pages_of_tasks([of.id], request, None))[of.id]

    return [lambda view, request: view.events.page(request, None), task]


async def test_a_cursor_below_the_horizon_is_refused_and_names_where_to_go_on(world: World) -> None:
    of = await world.add_task()
    await world.keep(task_event(of))
    run = await forgotten(world, of)
    last = log(world)[-1]

    async def of_run(view: ReadTx, request: PageRequest) -> Page[Event]:
        return (await view.events.pages_of_runs([run.id], request, None))[run.id]

    async with world.store.read(ANONYMOUS) as view:
        for fetch in (*_lists(of), of_run):
            for event in log(world):
                here = cursor(world, event)
                if event != last:
                    with pytest.raises(CursorExpiredError) as refused:
                        await fetch(view, PageRequest(after=here))
                    assert refused.value.oldest_cursor == cursor(world, last)
                with pytest.raises(CursorExpiredError):
                    await fetch(view, PageRequest(backward=True, before=here))
            assert (await fetch(view, PageRequest(after=cursor(world, last)))).items == []


async def test_a_cursor_of_a_run_that_is_kept_is_good_however_old_it_is(world: World) -> None:
    of = await world.add_task()
    lasting = (await world.add_run(of, 1)).run
    first = log(world)[-1]
    await forgotten(world, of, 2)
    await world.do(lasting.id, CLAIM)
    async with world.store.read(ANONYMOUS) as view:
        request = PageRequest(after=cursor(world, first))
        page = (await view.events.pages_of_runs([lasting.id], request, None))[lasting.id]
        assert [event.sequence for event in page.items] == [2]
        assert page.has_previous


async def test_a_cursor_for_many_is_refused_if_it_is_too_old_for_one(world: World) -> None:
    of, other = await world.add_task(), await world.add_task()
    await world.keep(task_event(other))
    first = log(world)[-1]
    await forgotten(world, of)
    horizon = log(world)[-1]
    request = PageRequest(after=cursor(world, first))
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.events.pages_of_tasks([other.id], request, None))[other.id].items == []
        with pytest.raises(CursorExpiredError) as refused:
            await view.events.pages_of_tasks([other.id, of.id], request, None)
    assert refused.value.oldest_cursor == cursor(world, horizon)


async def test_the_lines_of_a_run_are_gone_with_its_events(world: World) -> None:
    of = await world.add_task()
    run = await ended(world, of, lines=3)
    async with world.store.read(ANONYMOUS) as view:
        lines = (await view.runs.logs([run.id], EVERYTHING, LogFilter()))[run.id]
    assert lines.cursors[-1] == log_cursor(run.id, 3)
    world.clock.time += KEPT
    assert await forget(world) == 1
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.runs.logs([run.id], EVERYTHING, LogFilter()))[run.id].items == []
        for here in lines.cursors[:-1]:
            with pytest.raises(CursorExpiredError) as refused:
                await view.runs.logs([run.id], PageRequest(after=here), LogFilter())
            assert refused.value.oldest_cursor == lines.cursors[-1]
        page = (await view.runs.logs([run.id], PageRequest(after=lines.cursors[-1]), LogFilter()))[run.id]
        assert page.items == []


async def test_a_forgotten_run_is_listed_deleted_and_forgotten_no_second_time(world: World, database_url: str) -> None:
    of = await world.add_task()
    run = await forgotten(world, of)
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.runs.pages_of_tasks([of.id], PageRequest(), RunFilter(), RunOrder()))[of.id].items == [run]
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(run.id)
        await tx.events.append([run_deleted(run)])
    assert await forget(world) is None
    assert counts(database_url) == {"log": 1, "tasks": 1, "horizons": 1, "events": 1}


async def test_a_removal_that_is_broken_off_has_removed_nothing(world: World, database_url: str) -> None:
    run = await ended(world, await world.add_task())
    before = counts(database_url)
    world.clock.time += KEPT

    async def killed() -> None:
        async with world.store.write(ENGINE) as tx:
            assert await tx.history.forget(KEPT, 1000) == 1
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await killed()
    assert counts(database_url) == before
    assert (await extent(world, RunScope(run.id))).horizon == 0
    assert await forget(world) == 1


async def test_what_was_marked_and_not_removed_comes_first_the_next_time(world: World, database_url: str) -> None:
    of = await world.add_task()
    long = await ended(world, of, 1, lines=5)
    short = await ended(world, of, 2, lines=0)
    world.clock.time += KEPT
    assert await forget(world, rows=2) == 0
    # Somebody else starts where that one was killed.
    while await forget(world, rows=2) is not None:
        done = {row[0]: row[1] for row in rows_of(database_url, select(runs.c.id, runs.c.forgotten))}
        assert done[long.id] >= done[short.id]
    assert {"events", "logs"} & set(counts(database_url)) == set()


async def test_a_run_whose_last_event_waits_for_its_place_is_left_alone(world: World, database_url: str) -> None:
    run = await ended(world, await world.add_task())
    last = log(world)[-1]
    execute(database_url, delete(events).where(events.c.pos == last.pos))
    world.clock.time += KEPT
    assert await forget(world) is None
    execute(database_url, insert(events).values(EVENT.values(last)))
    assert await forget(world) == 1
    assert (await extent(world, RunScope(run.id))).horizon == last.pos


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_one_at_a_time_removes_and_waits_for_nobody(world: World) -> None:
    of, other = await world.add_task(), await world.add_task()
    first, second, third = [await ended(world, each) for each in (of, other, await world.add_task())]
    world.clock.time += KEPT
    async with world.store.write(ANONYMOUS) as writing, world.store.write(ANONYMOUS) as labelling:
        await writing.tasks.lock(of.id)
        await labelling.runs.set_labels(second.id, ("red",))
        async with world.store.write(ENGINE) as tx:
            assert await tx.history.forget(KEPT, 1000) == 1, "what others have locked is left for later"
            assert await forget(world) is None, "somebody is at it"
        assert [(await extent(world, RunScope(run.id))).horizon > 0 for run in (first, second, third)] == [
            False,
            False,
            True,
        ]
    assert await forget(world) == 2


async def test_a_sweep_removes_all_that_is_too_old(world: World, database_url: str) -> None:
    of = await world.add_task()
    for number in range(1, 8):
        await ended(world, of, number)
    world.clock.time += KEPT
    await ended(world, of, 8)
    retention = Retention(world.store, KEPT)
    assert await retention.sweep() == 7
    assert await retention.sweep() == 0
    assert rows_of(database_url, select(func.count()).where(~runs.c.forgotten))[0][0] == 1


async def test_it_removes_by_itself_while_it_is_served_also_after_a_failure(world: World, database_url: str) -> None:
    await ended(world, await world.add_task())
    world.clock.time += KEPT

    class Failing:
        """A store that is busy at first."""

        log_id = world.store.log_id
        read = world.store.read
        failures = 2

        def write(self, principal: Principal, *, short: bool = False) -> Any:
            self.failures -= 1
            if self.failures >= 0:
                raise StoreBusyError("It is busy.") if self.failures else RuntimeError("It is broken.")
            return world.store.write(principal, short=short)

    async with asyncio.timeout(30), Retention(Failing(), timedelta(milliseconds=1)).serve():
        while "events" in counts(database_url):
            await asyncio.sleep(0.01)
