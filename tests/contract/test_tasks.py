"""Tasks: kept as they are, found by what they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ids import Kind
from domain.model import ANONYMOUS, ENGINE, Principal, Task, TaskStatus
from domain.paging import PageRequest, TaskOrder, TimeRange
from domain.store import TaskFilter
from tests.contract.world import NOON, SECOND, World, ids
from tests.unit.strategies import record


async def _found(world: World, **conditions: Any) -> set[str]:
    async with world.store.read(ANONYMOUS) as view:
        page = await view.tasks.page(PageRequest(limit=100, count=True), TaskFilter(**conditions), TaskOrder())
    assert page.total == len(page.items)
    return {task.name for task in page.items}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=record(Task))
async def test_a_task_is_read_as_it_was_written(world: World, made: Task) -> None:
    made = replace(made, id=ids.new(Kind.TASK))
    async with world.store.write(ENGINE) as tx:
        await tx.tasks.insert(made)

    async with world.store.read(ENGINE) as view:
        assert await view.tasks.many([made.id, "task_unknown"]) == {made.id: made}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed=record(Task))
async def test_a_task_is_saved_whole_but_for_what_never_changes(world: World, changed: Task) -> None:
    made = await world.add_task(labels=("old", "kept"))
    changed = replace(changed, id=made.id, tenant=made.tenant, created_at=made.created_at)
    async with world.store.write(ANONYMOUS) as tx:
        assert await tx.tasks.lock(made.id) == made
        await tx.tasks.save(changed)
        assert await tx.tasks.lock(made.id) == changed

    async with world.store.read(ANONYMOUS) as view:
        assert await view.tasks.many([made.id]) == {made.id: changed}


async def test_a_task_that_is_not_there_can_not_be_locked(world: World) -> None:
    async with world.store.write(ANONYMOUS) as tx:
        assert await tx.tasks.lock("task_unknown") is None


async def test_the_task_of_a_run_is_locked_along_with_the_run(world: World) -> None:
    made = await world.add_task()
    state = await world.add_run(made)
    async with world.store.write(ANONYMOUS) as tx:
        assert await tx.runs.lock_with_task(state.run.id) == state
        await tx.tasks.save(replace(made, version=2))
        assert await tx.tasks.lock(made.id) == replace(made, version=2)
        assert await tx.runs.lock_with_task("run_unknown") is None
    async with world.store.write(Principal(tenant="other")) as tx:
        assert await tx.runs.lock_with_task(state.run.id) is None
        assert await tx.tasks.lock(made.id) is None


async def test_no_ids_are_no_tasks(world: World) -> None:
    await world.add_task()
    async with world.store.read(ANONYMOUS) as view:
        assert await view.tasks.many([]) == {}


@pytest.fixture
async def mixed(world: World) -> World:
    """Tasks that differ in everything that is filtered by."""
    await world.add_task(name="a", status=TaskStatus.RUNNING, labels=("red", "big"), team="rehearsal")
    await world.add_task(name="b", status=TaskStatus.FAILED, labels=("red",), created_at=NOON + SECOND)
    await world.add_task(name="c", team="playbook", labels=(), created_at=NOON + 2 * SECOND)
    await world.add_task(name="d", team="playbook", labels=("blue",), created_at=NOON + 3 * SECOND)
    await world.add_task(name="e", tenant="other", labels=("red",))
    return world


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({}, "abcd"),
        ({"status": [TaskStatus.RUNNING]}, "a"),
        ({"status": [TaskStatus.RUNNING, TaskStatus.FAILED]}, "ab"),
        ({"status": []}, ""),
        ({"labels": ["red"]}, "ab"),
        ({"labels": ["big", "blue"]}, "ad"),
        ({"labels": ["re"]}, ""),
        ({"labels": []}, ""),
        ({"teams": ["playbook"]}, "cd"),
        ({"teams": ["playbook", "rehearsal"]}, "abcd"),
        ({"teams": []}, ""),
        ({"ids": []}, ""),
        ({"ids": ["task_unknown", "run_unknown"]}, ""),
        ({"created_at": TimeRange(NOON + SECOND, NOON + 3 * SECOND)}, "bc"),
        ({"created_at": TimeRange(None, NOON + SECOND)}, "a"),
        ({"created_at": TimeRange(NOON + 3 * SECOND, None)}, "d"),
        ({"created_at": TimeRange()}, "abcd"),
        ({"labels": ["red"], "status": [TaskStatus.FAILED], "query": "B"}, "b"),
        ({"labels": ["red"], "teams": ["playbook"]}, ""),
    ],
)
async def test_all_conditions_hold_together_and_a_list_means_any_of_it(
    mixed: World, conditions: dict[str, Any], names: str
) -> None:
    assert await _found(mixed, **conditions) == set(names)


async def test_tasks_are_found_by_their_ids(world: World) -> None:
    first, _, third = [await world.add_task(name=name) for name in "abc"]
    assert await _found(world, ids=[first.id, third.id, first.id]) == {"a", "c"}
    assert await _found(world, ids=[third.id]) == {"c"}


async def test_labels_that_changed_are_searched_by_what_they_are_now(world: World) -> None:
    made = await world.add_task(name="a", labels=("old", "old", "both"))
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.lock(made.id)
        await tx.tasks.save(replace(made, labels=("both", "new")))

    assert [await _found(world, labels=[label]) for label in ("old", "both", "new")] == [set(), {"a"}, {"a"}]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Analyze Sales Data", "sales d"),
        ("100% sure", "0% S"),
        ("a_b", "A_B"),
        (r"back\slash", r"K\S"),
        ("STRASSE", "straße"),
        ("Straße 7", "STRASSE"),
        ("Σίσυφος", "σίσυφοσ"),
        ("any", ""),
    ],
)
async def test_query_finds_a_part_of_the_name_whatever_its_case_and_signs(world: World, name: str, query: str) -> None:
    await world.add_task(name=name)
    await world.add_task(name="something else")
    assert name in await _found(world, query=query)


@pytest.mark.parametrize(("name", "query"), [("100 percent", "0%p"), ("aXb", "a_b"), ("abc", "%"), ("abc", "\\")])
async def test_the_signs_of_like_stand_for_themselves(world: World, name: str, query: str) -> None:
    await world.add_task(name=name)
    assert await _found(world, query=query) == set()


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text("aAßsS%_\\ ", max_size=8), query=st.text("aAßsS%_\\ ", max_size=3))
async def test_query_agrees_with_python(world: World, name: str, query: str) -> None:
    made = await world.add_task(name=name)
    assert (await _found(world, ids=[made.id], query=query) == {name}) is (query.casefold() in name.casefold())


async def test_more_ids_than_a_statement_takes_variables_are_fine(world: World) -> None:
    made = await world.add_task()
    many: Collection[str] = [made.id, *(f"task_{number}" for number in range(40_000))]
    async with world.store.read(ANONYMOUS) as view:
        assert await view.tasks.many(many) == {made.id: made}
