"""How runs are counted, and the queue for a slot."""

from __future__ import annotations

from typing import Any

import pytest

from domain.model import ENGINE, Principal, RunStatus
from domain.store import RunCensus
from tests.contract.world import NOON, SECOND, World


async def census(world: World, principal: Principal = ENGINE) -> RunCensus:
    async with world.store.read(principal) as tx:
        return await tx.runs.census(NOON)


async def test_without_runs_there_is_nothing_to_count(world: World) -> None:
    assert await census(world) == RunCensus(by_status={}, waiting=0, waiting_since=None)


async def test_runs_are_counted_by_state_whoever_s_they_are(world: World) -> None:
    statuses = [RunStatus.COMPLETED, RunStatus.COMPLETED, RunStatus.RUNNING]
    for tenant in ("default", "other"):
        of = await world.add_task(tenant=tenant)
        for number, status in enumerate(statuses, 1):
            await world.add_run(of, number, status=status, owner="w")
    assert (await census(world)).by_status == {RunStatus.COMPLETED: 4, RunStatus.RUNNING: 2}
    own = await census(world, Principal(tenant="other"))
    assert own.by_status == {RunStatus.COMPLETED: 2, RunStatus.RUNNING: 1}


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({"status": RunStatus.PENDING}, True),
        ({"status": RunStatus.RUNNING}, True),
        ({"status": RunStatus.PENDING, "held": True}, False),
        ({"status": RunStatus.RUNNING, "owner": "w"}, False),
        ({"status": RunStatus.RUNNING, "owner": "w", "lease_until": NOON}, True),
        ({"status": RunStatus.AWAITING_APPROVAL}, False),
        ({"status": RunStatus.COMPLETED}, False),
    ],
    ids=["new", "approved", "held", "worked on", "lost", "awaits a decision", "done"],
)
async def test_a_run_waits_that_needs_a_worker_and_has_none(world: World, fields: dict[str, Any], waits: bool) -> None:
    await world.add_run(await world.add_task(), **fields)
    assert (await census(world)).waiting == waits


async def test_the_queue_is_as_old_as_the_newest_event_of_who_waits_longest(world: World) -> None:
    of = await world.add_task()
    for number, seconds in enumerate((5, 2, 9), 1):
        await world.add_run(of, number, created_at=NOON + seconds * SECOND)
    counted = await census(world)
    assert (counted.waiting, counted.waiting_since) == (3, NOON + 2 * SECOND)
