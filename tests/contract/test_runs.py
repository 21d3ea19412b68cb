"""Runs: kept with their plans and decisions, found by what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from domain import commands as c
from domain.fold import RunState
from domain.ids import Kind
from domain.model import ANONYMOUS, ENGINE, DecisionKind, Run, RunStatus, StepStatus
from domain.paging import PageRequest, RunOrder, TimeRange
from domain.store import RunFilter
from storage.store import open_store
from storage.tables import runs
from storage.transactions import SqlWriteTx
from tests.contract.world import NOON, SECOND, SetClock, World, ids
from tests.unit.lives import APPROVE, CANCEL, CHANGE, CLAIM, METRIC, REJECT, carried, deliver
from tests.unit.strategies import record

FIXED = (
    *("id", "tenant", "task_id", "number", "team", "labels", "config", "settings"),
    *("auto_approve", "priority", "retry_of", "created_at"),
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(written=record(Run), changed=record(Run))
async def test_a_run_is_read_as_it_was_written_and_saved_but_for_what_never_changes(
    world: World, written: Run, changed: Run
) -> None:
    of = await world.add_task()
    written = replace(written, id=ids.new(Kind.RUN), tenant=of.tenant, task_id=of.id, plan_version=0)
    changed = replace(changed, plan_version=0, **{name: getattr(written, name) for name in FIXED})
    before = RunState(run=written)
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.insert(before)
        assert await tx.runs.lock(written.id) == before
        await tx.runs.save(before, RunState(run=changed))
        assert await tx.runs.lock(written.id) == RunState(run=changed)

    async with world.store.read(ANONYMOUS) as view:
        assert await view.runs.many([written.id, "run_unknown"]) == {written.id: changed}


LIVES = {
    "completed": (
        *(CLAIM, deliver(), CHANGE, CLAIM, deliver("acd"), APPROVE, CLAIM),
        *(c.StartStep(key="a"), c.FinishStep(key="a", output={"rows": [1, None]})),
        *(c.StartStep(key="c"), c.HandOver(), CLAIM, c.StartStep(key="c"), c.AdvanceStep(key="c", fraction=0.5)),
        *(c.FinishStep(key="c"), c.StartStep(key="d"), c.FinishStep(key="d", skipped=True), c.Finish(results=[1])),
    ),
    "failed": (CLAIM, deliver(), APPROVE, CLAIM, c.StartStep(key="b"), c.FailStep(key="b", error="No.")),
    "rejected": (CLAIM, deliver(), REJECT),
    "cancelled": (CLAIM, deliver(), APPROVE, CLAIM, c.StartStep(key="a"), CANCEL, c.Stopped()),
    "sampled": (CLAIM, c.RecordMetrics(metrics=(METRIC,), by_team=True)),
}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
async def test_a_run_is_at_each_moment_what_its_commands_made_of_it(
    world: World, database_url: str, life: tuple[c.Command, ...]
) -> None:
    made = await world.add_run(await world.add_task())
    for command in life:
        after = await world.do(made.run.id, command)
        assert await world.state(made.run.id) == after


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
async def test_a_run_is_the_same_after_a_restart(database_url: str, life: tuple[c.Command, ...]) -> None:
    async with open_store(database_url, clock=SetClock(), on_commit=lambda _: None) as store:
        world = World(store, SetClock())
        made = await world.add_run(await world.add_task())
        after = await world.do(made.run.id, *life)
    async with open_store(database_url, clock=SetClock(), on_commit=lambda _: None) as store:
        assert await World(store, SetClock()).state(made.run.id) == after


async def test_what_was_taken_back_is_not_remembered(world: World) -> None:
    made = await world.add_run(await world.add_task())
    before = await world.do(made.run.id, CLAIM)

    async def plan_and_fail() -> None:
        async with world.store.write(ENGINE) as tx:
            await tx.runs.save(before, replace(before, run=replace(before.run, last_sequence=99)))
            raise LookupError

    with pytest.raises(LookupError):
        await plan_and_fail()
    assert await world.state(made.run.id) == before


@pytest.mark.parametrize(
    "changed",
    [
        *({"labels": ("new",)}, {"held": True}, {"attempt": 7}, {"begun": False}),
        *({"owner": "other", "lease_until": NOON + SECOND}, {"owner": None}),
    ],
    ids=str,
)
async def test_what_changes_without_an_event_is_read_beside_a_state_that_is_remembered(
    world: World, changed: dict[str, Any]
) -> None:
    before = await world.do((await world.add_run(await world.add_task())).run.id, CLAIM, deliver(), APPROVE, CLAIM)
    async with world.store.write(ENGINE) as tx:
        assert isinstance(tx, SqlWriteTx)
        await tx.execute(update(runs).where(runs.c.id == before.run.id).values(**changed), {})
    after = replace(before, run=replace(before.run, **changed))
    assert after != before
    assert await world.state(before.run.id) == after
    started = await world.do(before.run.id, c.StartStep(key="a"))
    assert {name: getattr(started.run, name) for name in changed} == changed
    async with world.store.read(ENGINE) as view:
        assert await view.runs.many([before.run.id]) == {before.run.id: started.run}


async def test_more_runs_than_are_remembered_are_read_from_the_database(world: World) -> None:
    of = await world.add_task()
    states = [await world.do((await world.add_run(of, number)).run.id, CLAIM, deliver()) for number in range(1, 71)]
    assert [await world.state(state.run.id) for state in states] == states


async def test_a_run_that_is_not_there_can_not_be_locked_or_labelled(world: World) -> None:
    async with world.store.write(ANONYMOUS) as tx:
        assert await tx.runs.lock("run_unknown") is None
        await tx.runs.set_labels("run_unknown", ("new",))
    async with world.store.read(ANONYMOUS) as view:
        assert (await view.runs.page(PageRequest(), RunFilter(labels=["new"]), RunOrder())).items == []


async def test_plans_are_those_that_were_delivered_with_their_steps_as_they_stand(world: World) -> None:
    of = await world.add_task()
    none, two = [(await world.add_run(of, number)).run.id for number in (1, 2)]
    first = (await world.do(two, CLAIM, deliver())).plan
    after = await world.do(two, CHANGE, CLAIM, deliver("ab"), APPROVE, CLAIM, c.StartStep(key="a"))
    assert first is not None
    assert after.plan is not None
    assert after.plan.steps[0].status is StepStatus.RUNNING

    async with world.store.read(ANONYMOUS) as view:
        assert await view.runs.plans([none, two, "run_unknown"]) == {
            none: [],
            two: [first, after.plan],
            "run_unknown": [],
        }
        assert await view.runs.current_plans([none, two, "run_unknown"]) == {two: after.plan}
        assert await view.runs.plans([]) == {}
        assert await view.runs.current_plans([]) == {}


async def test_a_plan_that_is_carried_over_counts_from_plan_ready_on(world: World) -> None:
    plan = carried()
    made = await world.add_run(await world.add_task(), plan=plan, retry_of="run_before")
    assert await world.state(made.run.id) == made
    async with world.store.read(ANONYMOUS) as view:
        assert await view.runs.plans([made.run.id]) == {made.run.id: []}
        assert await view.runs.current_plans([made.run.id]) == {}

    after = await world.do(made.run.id, CLAIM)
    assert after.run.plan_version == plan.version
    assert await world.state(made.run.id) == after
    async with world.store.read(ANONYMOUS) as view:
        assert await view.runs.plans([made.run.id]) == {made.run.id: [after.plan]}
        assert await view.runs.current_plans([made.run.id]) == {made.run.id: after.plan}


async def test_decisions_are_each_runs_own_oldest_first(world: World) -> None:
    of = await world.add_task()
    none, one, two = [(await world.add_run(of, number)).run.id for number in (1, 2, 3)]
    await world.do(one, CLAIM, deliver(), REJECT)
    after = await world.do(two, CLAIM, deliver(), CHANGE, CLAIM, deliver(), APPROVE)

    async with world.store.read(ANONYMOUS) as view:
        found = await view.runs.decisions([none, one, two])
    assert {run_id: [it.kind for it in taken] for run_id, taken in found.items()} == {
        none: [],
        one: [DecisionKind.REJECTED],
        two: [DecisionKind.CHANGES_REQUESTED, DecisionKind.APPROVED],
    }
    assert found[two] == list(after.decisions)


async def test_active_runs_and_the_latest_are_those_of_the_task(world: World) -> None:
    of, other = [await world.add_task() for _ in range(2)]
    for number in (3, 1, 2, 4):
        await world.add_run(of, number, status=RunStatus.COMPLETED if number == 4 else RunStatus.PENDING)
    await world.add_run(other, 9)

    async with world.store.write(ANONYMOUS) as tx:
        assert [run.number for run in await tx.runs.active(of.id)] == [1, 2, 3]
        latest = await tx.runs.latest(of.id)
        assert latest is not None
        assert latest.number == 4
        assert await tx.runs.latest("task_unknown") is None
        assert await tx.runs.active("task_unknown") == []


@pytest.mark.parametrize("status", RunStatus)
async def test_a_run_is_active_until_it_is_final(world: World, status: RunStatus) -> None:
    of = await world.add_task()
    await world.add_run(of, status=status)
    async with world.store.write(ANONYMOUS) as tx:
        final = {"COMPLETED", "FAILED", "REJECTED", "CANCELLED", "TIMEOUT"}
        assert bool(await tx.runs.active(of.id)) is (status not in final)


async def _found(world: World, **conditions: Any) -> set[int]:
    async with world.store.read(ANONYMOUS) as view:
        page = await view.runs.page(PageRequest(count=True), RunFilter(**conditions), RunOrder())
        of_tasks = await view.runs.pages_of_tasks(
            {run.task_id for run in page.items}, PageRequest(count=True), RunFilter(**conditions), RunOrder()
        )
    assert page.total == len(page.items) == sum(each.total or 0 for each in of_tasks.values())
    return {run.number for run in page.items}


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({}, {1, 2, 3}),
        ({"status": [RunStatus.RUNNING]}, {2}),
        ({"status": [RunStatus.RUNNING, RunStatus.PENDING]}, {1, 2}),
        ({"status": []}, set()),
        ({"labels": ["red"]}, {1, 2}),
        ({"labels": ["red", "blue"]}, {1, 2, 3}),
        ({"labels": []}, set()),
        ({"task_ids": []}, set()),
        ({"task_ids": ["task_unknown"]}, set()),
        ({"created_at": TimeRange(NOON + SECOND, NOON + 2 * SECOND)}, {2}),
        ({"needs_approval": True}, {3}),
        ({"needs_approval": False}, {1, 2}),
        ({"needs_approval": True, "labels": ["red"]}, set()),
        ({"needs_approval": True, "status": [RunStatus.RUNNING]}, set()),
    ],
)
async def test_all_conditions_hold_together_and_a_list_means_any_of_it(
    world: World, conditions: dict[str, Any], numbers: set[int]
) -> None:
    of, other = [await world.add_task() for _ in range(2)]
    await world.add_run(of, 1, labels=("red", "big"))
    await world.add_run(of, 2, labels=("red",), status=RunStatus.RUNNING, created_at=NOON + SECOND)
    await world.add_run(other, 3, labels=("blue",), status=RunStatus.AWAITING_APPROVAL, created_at=NOON + 2 * SECOND)
    await world.add_run(await world.add_task(tenant="other"), 4, labels=("red",))
    assert await _found(world, **conditions) == numbers


async def test_runs_are_found_by_their_tasks(world: World) -> None:
    of, other = [await world.add_task() for _ in range(2)]
    await world.add_run(of, 1)
    await world.add_run(other, 2)
    assert await _found(world, task_ids=[other.id]) == {2}
    assert await _found(world, task_ids=[other.id, of.id]) == {1, 2}


async def test_labels_are_replaced_and_nothing_else(world: World) -> None:
    state = await world.add_run(await world.add_task(), labels=("old",))
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.set_labels(state.run.id, ("b", "a", "b"))

    assert await world.state(state.run.id) == replace(state, run=replace(state.run, labels=("b", "a", "b")))
    assert [await _found(world, labels=[label]) for label in ("old", "a", "b")] == [set(), {1}, {1}]


async def test_labels_are_replaced_beside_a_state_that_is_remembered(world: World) -> None:
    state = await world.do((await world.add_run(await world.add_task())).run.id, CLAIM, deliver())
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.set_labels(state.run.id, ("new",))
    assert await world.state(state.run.id) == replace(state, run=replace(state.run, labels=("new",)))


async def test_each_task_has_a_page_of_its_runs_an_empty_one_where_there_are_none(world: World) -> None:
    none, one, three = [await world.add_task() for _ in range(3)]
    await world.add_run(one)
    for number in (1, 2, 3):
        await world.add_run(three, number)

    async with world.store.read(ANONYMOUS) as view:
        wanted = [none.id, one.id, three.id, three.id]
        pages = await view.runs.pages_of_tasks(wanted, PageRequest(limit=2, count=True), RunFilter(), RunOrder())
        assert await view.runs.pages_of_tasks([], PageRequest(), RunFilter(), RunOrder()) == {}
    facts = {id_: (len(page.items), page.total, page.has_next, page.has_previous) for id_, page in pages.items()}
    assert facts == {none.id: (0, 0, False, False), one.id: (1, 1, False, False), three.id: (2, 3, True, False)}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4), limit=st.integers(1, 3), backward=st.booleans())
async def test_pages_of_many_tasks_are_those_of_each_task_alone(
    world: World, sizes: list[int], limit: int, backward: bool
) -> None:
    tasks = []
    for size in sizes:
        tasks.append(await world.add_task())
        for number in range(1, size + 1):
            await world.add_run(tasks[-1], number)

    request = PageRequest(limit=limit, backward=backward, count=True)
    async with world.store.read(ANONYMOUS) as view:
        together = await view.runs.pages_of_tasks([it.id for it in tasks], request, RunFilter(), RunOrder())
        alone = {
            it.id: (await view.runs.pages_of_tasks([it.id], request, RunFilter(), RunOrder()))[it.id] for it in tasks
        }
    assert together == alone
