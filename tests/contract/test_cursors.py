"""Cursors: good in their own list and order, refused everywhere else, and positions whatever became of their row."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import InvalidCursorError
from domain.model import ANONYMOUS
from domain.paging import (
    Direction,
    PageRequest,
    RunOrder,
    RunOrderField,
    TaskOrder,
    TaskOrderField,
    encode_cursor,
    encode_event_cursor,
    log_cursor,
)
from domain.store import LogFilter, MetricFilter, RunFilter, TaskFilter
from tests.contract.lists import LISTS, Filled, Make
from tests.contract.world import World, log_line

every_list = pytest.mark.parametrize("make", LISTS.values(), ids=LISTS.keys())
_EVENTS = {name: make for name, make in LISTS.items() if name.startswith("events")}
BY_NAME = TaskOrder(TaskOrderField.NAME, Direction.ASC)


async def _ask(world: World, of: Filled, **request: Any) -> Any:
    async with world.store.read(of.principal) as view:
        return await of.fetch(view, PageRequest(**request))


@every_list
@pytest.mark.asyncio(loop_scope="module")
async def test_a_cursor_that_was_cut_edited_or_made_up_is_refused(shared_world: World, make: Make) -> None:
    of = await make(shared_world)
    await of.fill([1])
    (cursor,) = (await _ask(shared_world, of)).cursors
    middle = len(cursor) // 2
    edited = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]

    for wrong in (cursor[:-1], cursor[1:], edited, cursor + "A", cursor + "=", f" {cursor}", "", "é", "made up", "🂡"):
        for side in ("after", "before"):
            with pytest.raises(InvalidCursorError):
                await _ask(shared_world, of, **{side: wrong})


async def test_a_cursor_of_every_other_list_or_order_is_refused(world: World) -> None:
    lists = {name: await make(world) for name, make in LISTS.items()}
    cursors: dict[str, str] = {}
    for name, of in lists.items():
        await of.fill([1])
        (cursors[name],) = (await _ask(world, of)).cursors

    for name, of in lists.items():
        for source, cursor in cursors.items():
            if source != name and not {source, name} <= _EVENTS.keys():
                with pytest.raises(InvalidCursorError):
                    await _ask(world, of, after=cursor)


async def test_an_event_cursor_is_good_in_every_list_of_events(world: World) -> None:
    first = await world.add_task()
    runs = [(await world.add_run(first, number)).run.id for number in (1, 2, 3)]

    async with world.store.read(ANONYMOUS) as view:
        everything = await view.events.page(PageRequest(), None)
        request = PageRequest(after=everything.cursors[1])
        assert (await view.events.page(request, None)).items == everything.items[2:]
        assert (await view.events.pages_of_tasks([first.id], request, None))[first.id].items == everything.items[2:]
        of_runs = await view.events.pages_of_runs(runs, request, None)
    assert [list(of_runs[run_id].items) for run_id in runs] == [[], [], everything.items[2:]]
    assert [of_runs[run_id].has_previous for run_id in runs] == [True, True, False]


async def test_an_event_cursor_of_another_log_or_beyond_the_head_is_refused(world: World) -> None:
    of = await world.add_task()
    state = await world.add_run(of)
    log_id = world.store.log_id
    async with world.store.read(ANONYMOUS) as view:
        for wrong in (encode_event_cursor("another", 1), encode_event_cursor(log_id, 2)):
            for request in (PageRequest(after=wrong), PageRequest(before=wrong)):
                with pytest.raises(InvalidCursorError):
                    await view.events.page(request, None)
                with pytest.raises(InvalidCursorError):
                    await view.events.pages_of_runs([state.run.id], request, None)
                with pytest.raises(InvalidCursorError):
                    await view.events.pages_of_tasks([of.id], request, None)
        assert (await view.events.page(PageRequest(after=encode_event_cursor(log_id, 1)), None)).items == []
        assert len((await view.events.page(PageRequest(after=encode_event_cursor(log_id, 0)), None)).items) == 1


async def test_a_cursor_of_one_runs_log_is_refused_in_anothers_and_in_both_together(world: World) -> None:
    of = await world.add_task()
    one, other = [(await world.add_run(of, number)).run for number in (1, 2)]
    await world.keep_lines(one, log_line(1), log_line(2))
    await world.keep_lines(other, log_line(1), log_line(2))

    request = PageRequest(after=log_cursor(one.id, 1))
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.runs.logs([one.id], request, LogFilter()))[one.id].items == [log_line(2)]
        for ids in ([other.id], [one.id, other.id]):
            with pytest.raises(InvalidCursorError):
                await view.runs.logs(ids, request, LogFilter())


async def test_a_cursor_of_one_parents_list_is_refused_in_anothers(world: World) -> None:
    one, other = [await world.add_task() for _ in range(2)]
    run_of_one = await world.add_run(one)
    await world.add_run(other)
    async with world.store.read(ANONYMOUS) as view:
        pages = await view.runs.pages_of_tasks([one.id], PageRequest(), RunFilter(), RunOrder())
        request = PageRequest(after=pages[one.id].cursors[0])
        assert (await view.runs.pages_of_tasks([one.id], request, RunFilter(), RunOrder()))[one.id].has_previous
        with pytest.raises(InvalidCursorError):
            await view.runs.pages_of_tasks([other.id], request, RunFilter(), RunOrder())
        with pytest.raises(InvalidCursorError):
            await view.metrics.pages_of_runs([run_of_one.run.id], request, MetricFilter())


@pytest.mark.parametrize(
    "key",
    [[1, "id"], [None, "id"], ["name"], ["name", "id", "more"], [], ["name", 1], ["name", None], [True, "id"]],
    ids=str,
)
async def test_a_cursor_with_a_true_checksum_but_another_key_is_refused(world: World, key: list[Any]) -> None:
    cursor = encode_cursor(f"tasks:{BY_NAME.field}:{BY_NAME.direction}", key)
    async with world.store.read(ANONYMOUS) as view:
        with pytest.raises(InvalidCursorError):
            await view.tasks.page(PageRequest(after=cursor), TaskFilter(), BY_NAME)


@pytest.mark.parametrize("micros", [2**63, -(2**62), 1.5, "x", True, None])
async def test_a_cursor_whose_time_is_none_is_refused(world: World, micros: Any) -> None:
    order = TaskOrder()
    cursor = encode_cursor(f"tasks:{order.field}:{order.direction}", [micros, "task_1"])
    async with world.store.read(ANONYMOUS) as view:
        with pytest.raises(InvalidCursorError):
            await view.tasks.page(PageRequest(after=cursor), TaskFilter(), order)


async def test_a_null_is_a_place_only_where_the_order_knows_nulls(world: World) -> None:
    order = RunOrder(RunOrderField.STARTED_AT)
    cursor = encode_cursor(f"runs:{order.field}:{order.direction}", [None, "run_1"])
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.runs.page(PageRequest(after=cursor), RunFilter(), order)).items == []


async def test_a_cursor_stays_a_position_when_its_row_is_gone(world: World) -> None:
    rows = [await world.add_task(name=name) for name in "abcd"]
    async with world.store.read(ANONYMOUS) as view:
        cursors = (await view.tasks.page(PageRequest(), TaskFilter(), BY_NAME)).cursors
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.delete(rows[1].id)

    async with world.store.read(ANONYMOUS) as view:
        page = await view.tasks.page(PageRequest(limit=1, after=cursors[1]), TaskFilter(), BY_NAME)
        assert (page.items, page.has_previous, page.has_next) == ([rows[2]], True, True)
        page = await view.tasks.page(PageRequest(limit=1, backward=True, before=cursors[1]), TaskFilter(), BY_NAME)
        assert (page.items, page.has_previous, page.has_next) == ([rows[0]], False, True)


async def test_a_window_that_ends_before_it_begins_is_empty_though_its_sides_differ_in_nulls(world: World) -> None:
    of = await world.add_task()
    await world.add_run(of, 1, started_at=of.created_at)
    await world.add_run(of, 2)
    order = RunOrder(RunOrderField.STARTED_AT)

    async with world.store.read(ANONYMOUS) as view:
        everything = await view.runs.page(PageRequest(), RunFilter(), order)
        started, waiting = everything.cursors
        page = await view.runs.page(PageRequest(after=waiting, before=started), RunFilter(), order)
        assert (page.items, page.has_previous, page.has_next) == ([], True, True)
        below = (await view.runs.pages_of_tasks([of.id], PageRequest(), RunFilter(), order))[of.id]
        started, waiting = below.cursors
        request = PageRequest(after=waiting, before=started)
        page = (await view.runs.pages_of_tasks([of.id], request, RunFilter(), order))[of.id]
        assert (page.items, page.has_previous, page.has_next) == ([], True, True)
