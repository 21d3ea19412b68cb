"""The log: in one order, by scope and type."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from domain.events import TERMINAL, Event, EventType
from domain.model import ANONYMOUS
from domain.paging import PageRequest
from domain.store import AllScope, RunScope, TaskScope
from tests.contract.world import NOON, World, run, run_deleted, task, task_deleted, task_event
from tests.unit.lives import CANCEL, CHANGE, CLAIM, REJECT, deliver
from tests.unit.strategies import record


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(event=record(Event))
async def test_an_event_is_read_as_it_was_written(world: World, event: Event) -> None:
    event = replace(event, tenant="default", run_id=None, sequence=None)
    async with world.store.read(ANONYMOUS) as view:
        head = await view.events.head()
    await world.keep(event)
    async with world.store.read(ANONYMOUS) as view:
        assert list(await view.events.after(AllScope(), head, limit=10)) == [event.at(head + 1)]
        assert await view.events.head() == head + 1


async def test_a_scope_has_its_own_events_in_the_order_of_the_log(world: World) -> None:
    of, other = [await world.add_task() for _ in range(2)]
    first, second = [(await world.add_run(of, number)).run for number in (1, 2)]
    elsewhere = (await world.add_run(other)).run
    await world.keep(task_event(of, message="the task"))
    await world.do(first.id, CLAIM)
    await world.keep(run_deleted(first))

    async with world.store.read(ANONYMOUS) as view:
        everything = list(await view.events.after(AllScope(), 0, limit=100))
        assert [event.pos for event in everything] == list(range(1, 7))
        for scope, mine in (
            (RunScope(first.id), lambda event: event.run_id == first.id),
            (RunScope(second.id), lambda event: event.run_id == second.id),
            (RunScope("run_unknown"), lambda _: False),
            (TaskScope(of.id), lambda event: event.task_id == of.id),
            (TaskScope(other.id), lambda event: event.run_id == elsewhere.id),
            (TaskScope("task_unknown"), lambda _: False),
        ):
            expected = [event for event in everything if mine(event)]
            assert list(await view.events.after(scope, 0, limit=100)) == expected
            assert list(await view.events.after(scope, 2, limit=2)) == [e for e in expected if e.pos > 2][:2]


async def test_those_who_want_few_types_learn_of_the_end_as_well(world: World) -> None:
    of = await world.add_task()
    rejected, cancelled = [(await world.add_run(of, number)).run for number in (1, 2)]
    await world.do(rejected.id, CLAIM, deliver(), CHANGE, CLAIM, deliver(), REJECT)
    await world.do(cancelled.id, CANCEL)
    await world.keep(run_deleted(cancelled), task_deleted(of))

    async def types(scope: RunScope | TaskScope | AllScope, *wanted: EventType) -> list[str]:
        async with world.store.read(ANONYMOUS) as view:
            return [event.type for event in await view.events.after(scope, 0, limit=100, types=wanted)]

    assert await types(RunScope(rejected.id), EventType.PLAN_READY) == ["PLAN_READY", "PLAN_READY", "REJECTED"]
    assert await types(RunScope(cancelled.id), EventType.PLAN_READY) == ["CANCELLED", "RUN_DELETED"]
    assert await types(RunScope(rejected.id)) == ["REJECTED"]
    assert await types(TaskScope(of.id)) == ["REJECTED", "CANCELLED", "RUN_DELETED", "TASK_DELETED"]
    async with world.store.read(ANONYMOUS) as view:
        page = await view.events.page(PageRequest(count=True), [EventType.PLAN_READY])
        assert ([event.type for event in page.items], page.total) == (["PLAN_READY"] * 2, 2)
        assert (await view.events.page(PageRequest(count=True), [])).total == 0


@pytest.mark.parametrize("ending", [*sorted(TERMINAL), EventType.RUN_DELETED, EventType.TASK_DELETED])
async def test_every_end_is_told_whatever_types_are_wanted(world: World, ending: EventType) -> None:
    await world.keep(task_event(task(), type=ending))
    async with world.store.read(ANONYMOUS) as view:
        assert len(await view.events.after(AllScope(), 0, limit=1, types=[EventType.LOG])) == 1


async def test_the_events_of_a_run_are_those_of_its_sequence(world: World) -> None:
    of = await world.add_task()
    made = (await world.add_run(of)).run
    await world.keep(run_deleted(made), task_event(of))
    async with world.store.read(ANONYMOUS) as view:
        of_run = (await view.events.pages_of_runs([made.id], PageRequest(count=True), None))[made.id]
        of_task = (await view.events.pages_of_tasks([of.id], PageRequest(count=True), None))[of.id]
    assert ([event.type for event in of_run.items], of_run.total) == (["RUN_CREATED"], 1)
    assert [event.type for event in of_task.items] == ["RUN_CREATED", "RUN_DELETED", "TASK_CREATED"]
    assert of_task.total == 3


async def test_pages_of_many_runs_and_tasks_are_each_ones_own(world: World) -> None:
    tasks = [await world.add_task() for _ in range(2)]
    runs = [(await world.add_run(of)).run for of in tasks]
    await world.do(runs[0].id, CLAIM, deliver())

    async with world.store.read(ANONYMOUS) as view:
        of_runs = await view.events.pages_of_runs([it.id for it in runs], PageRequest(limit=2), None)
        of_tasks = await view.events.pages_of_tasks([it.id for it in tasks], PageRequest(limit=2), None)
        of_type = await view.events.pages_of_runs([it.id for it in runs], PageRequest(), [EventType.PLAN_READY])
    assert [[event.sequence for event in of_runs[it.id].items] for it in runs] == [[1, 2], [1]]
    assert [page.has_next for page in of_runs.values()] == [page.has_next for page in of_tasks.values()]
    assert [of_tasks[of.id].items for of in tasks] == [of_runs[it.id].items for it in runs]
    assert [len(of_type[it.id].items) for it in runs] == [1, 0]


async def test_an_empty_log_has_its_head_at_0_and_appending_nothing_delivers_nothing(world: World) -> None:
    async with world.store.write(ANONYMOUS) as tx:
        await tx.events.append([])
        assert await tx.read.events.head() == 0
    assert world.delivered == []


async def test_a_sequence_is_not_given_twice(world: World) -> None:
    event = task_event(task(), run_id=run(task()).id, sequence=1)
    await world.keep(event)
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        await world.keep(replace(event, id="event_again", timestamp=NOON))
