"""What the engine looks for: runs that need a worker, runs whose time has come, runs that may go now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.model import ANONYMOUS, ENGINE, RunStatus
from tests.contract.world import NOON, SECOND, World


async def _claimable(world: World, limit: int = 100) -> list[str]:
    async with world.store.write(ENGINE) as tx:
        return list(await tx.runs.claimable(NOON, limit))


async def test_who_has_priority_comes_first_then_who_is_older_then_who_has_the_lower_id(world: World) -> None:
    of = await world.add_task()
    wishes = [(0, 1), (5, 2), (0, 0), (5, 1), (-1, 0), (0, 1)]
    made = [
        (await world.add_run(of, number, priority=priority, created_at=NOON + age * SECOND)).run.id
        for number, (priority, age) in enumerate(wishes, 1)
    ]
    expected = [made[place] for place in (3, 1, 2, 0, 5, 4)]
    assert await _claimable(world) == expected
    assert await _claimable(world, 2) == expected[:2]


@pytest.mark.parametrize("status", RunStatus)
async def test_a_run_needs_a_worker_where_something_is_to_be_done(world: World, status: RunStatus) -> None:
    made = await world.add_run(await world.add_task(), status=status)
    needs = status in {RunStatus.PENDING, RunStatus.ANALYZING, RunStatus.RUNNING, RunStatus.CANCELLING}
    assert await _claimable(world) == ([made.run.id] if needs else [])


@pytest.mark.parametrize(
    ("fields", "claimable"),
    [
        ({"held": True}, False),
        ({"owner": "w", "lease_until": None}, False),
        ({"owner": "w", "lease_until": NOON + SECOND}, False),
        ({"owner": "w", "lease_until": NOON}, True),
        ({"owner": "w", "lease_until": NOON - SECOND}, True),
    ],
    ids=["held", "owned for ever", "leased", "just over", "over"],
)
async def test_a_run_that_is_held_or_has_a_living_owner_needs_no_worker(
    world: World, fields: dict[str, Any], claimable: bool
) -> None:
    await world.add_run(await world.add_task(), status=RunStatus.RUNNING, **fields)
    assert bool(await _claimable(world)) is claimable


async def test_runs_are_looked_for_by_team(world: World) -> None:
    of = await world.add_task()
    made = [(await world.add_run(of, number, team=team)).run.id for number, team in enumerate("abca", 1)]
    async with world.store.write(ENGINE) as tx:
        assert await tx.runs.claimable(NOON, 9, {"a", "c"}) == [made[0], made[2], made[3]]
        assert await tx.runs.claimable(NOON, 9, {"nobody"}) == []


async def test_a_worker_renews_the_leases_of_the_runs_that_it_names_and_has(world: World) -> None:
    of, working = await world.add_task(), RunStatus.RUNNING
    leases: list[dict[str, Any]] = [
        {"owner": "w", "status": working},
        {"owner": "w", "status": RunStatus.CANCELLING},
        {"owner": "w", "status": working},
        {"owner": "other", "status": working},
        {"status": working},
        {"owner": "w", "status": RunStatus.COMPLETED},
    ]
    made = [
        (await world.add_run(of, number, **({"lease_until": NOON} | fields))).run.id
        for number, fields in enumerate(leases, 1)
    ]
    named = [made[place] for place in (0, 1, 3, 4, 5)]
    async with world.store.write(ENGINE) as tx:
        held = await tx.runs.renew("w", named, NOON + SECOND)
    assert held == {made[0]: working, made[1]: RunStatus.CANCELLING}
    async with world.store.read(ENGINE) as view:
        runs = await view.runs.many(made)
    assert [id_ for id_ in made if runs[id_].lease_until != NOON] == made[:2]


async def test_leases_without_an_end_lapse_and_no_others(world: World) -> None:
    of = await world.add_task()
    leases: list[dict[str, Any]] = [
        {"owner": "w"},
        {"owner": "w", "lease_until": NOON + SECOND},
        {},
        {"owner": "w", "status": RunStatus.COMPLETED},
    ]
    made = [
        (await world.add_run(of, number, **{"status": RunStatus.RUNNING, **fields})).run.id
        for number, fields in enumerate(leases, 1)
    ]
    async with world.store.write(ENGINE) as tx:
        await tx.runs.expire_leases(NOON)

    async with world.store.read(ENGINE) as view:
        runs = await view.runs.many(made)
    assert [runs[id_].lease_until for id_ in made] == [NOON, NOON + SECOND, None, None]
    assert await _claimable(world) == [made[0], made[2]]


async def _add_waiting(world: World, **deadlines: timedelta | None) -> dict[str, str]:
    of = await world.add_task()
    return {
        (
            await world.add_run(
                of,
                number,
                status=RunStatus[status],
                deadline=None if deadline is None else NOON + deadline,
            )
        ).run.id: status
        for number, (status, deadline) in enumerate(deadlines.items(), 1)
    }


async def test_what_is_due_comes_in_the_order_of_its_deadlines(world: World) -> None:
    made = await _add_waiting(world, AWAITING_APPROVAL=2 * SECOND, CANCELLING=SECOND, TIMEOUT=SECOND, RUNNING=SECOND)

    async def due(after: timedelta, limit: int = 100) -> list[str]:
        async with world.store.write(ENGINE) as tx:
            return [made[id_] for id_ in await tx.runs.due(NOON + after, limit)]

    assert await due(SECOND - timedelta(microseconds=1)) == []
    assert await due(SECOND) == ["CANCELLING"]
    assert await due(5 * SECOND) == ["CANCELLING", "AWAITING_APPROVAL"]
    assert await due(5 * SECOND, 1) == ["CANCELLING"]


async def test_the_next_deadline_is_the_earliest_of_a_run_that_waits(world: World) -> None:
    async def next_deadline() -> Any:
        async with world.store.write(ENGINE) as tx:
            return await tx.runs.next_deadline()

    assert await next_deadline() is None
    await _add_waiting(world, AWAITING_APPROVAL=None, TIMEOUT=SECOND, PENDING=SECOND)
    assert await next_deadline() is None
    await _add_waiting(world, AWAITING_APPROVAL=9 * SECOND, CANCELLING=3 * SECOND)
    assert await next_deadline() == NOON + 3 * SECOND


async def test_held_runs_are_let_go_one_by_one_by_priority_and_then_number(world: World) -> None:
    of, other = [await world.add_task() for _ in range(2)]
    await world.add_run(other, 1, held=True)
    await world.add_run(of, 1)
    await world.add_run(of, 2, held=True, status=RunStatus.CANCELLED)
    made = [
        (await world.add_run(of, number, held=True, priority=priority)).run.id
        for number, priority in ((3, 0), (4, 7), (5, 0))
    ]

    released = []
    for _ in range(4):
        async with world.store.write(ANONYMOUS) as tx:
            run = await tx.runs.release_next(of.id)
            released.append(run and run.id)
    assert released == [made[1], made[0], made[2], None]
    async with world.store.read(ANONYMOUS) as view:
        assert not any(run.held for run in (await view.runs.many(made)).values())
