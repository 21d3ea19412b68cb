"""Clients' keys: the same request again is known for a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain.errors import IdempotencyKeyReusedError
from domain.model import ANONYMOUS, ENGINE, Principal
from domain.store import IdempotencyKey
from storage.tables import idempotency_keys
from tests.contract.raw import rows_of
from tests.contract.world import NOON, World

DAY = timedelta(hours=24)
MICROSECOND = timedelta(microseconds=1)
KEY = IdempotencyKey(mutation="createTask", key="k", input_digest="of this")


async def _find(world: World, key: IdempotencyKey = KEY, principal: Principal = ANONYMOUS) -> Sequence[str] | None:
    async with world.store.write(principal) as tx:
        return await tx.idempotency.find(key)


async def _keep(world: World, *ids: str, key: IdempotencyKey = KEY, principal: Principal = ANONYMOUS) -> None:
    async with world.store.write(principal) as tx:
        await tx.idempotency.keep(key, ids)


async def test_a_key_leads_to_what_its_first_request_led_to(world: World) -> None:
    assert await _find(world) is None
    await _keep(world, "metric_2", "metric_1")
    assert await _find(world) == ["metric_2", "metric_1"]


async def test_a_key_with_another_input_is_refused(world: World) -> None:
    await _keep(world, "task_1")
    with pytest.raises(IdempotencyKeyReusedError):
        await _find(world, IdempotencyKey(mutation=KEY.mutation, key=KEY.key, input_digest="of that"))


@pytest.mark.parametrize(
    "other",
    [
        IdempotencyKey(mutation="createRun", key="k", input_digest="of that"),
        IdempotencyKey(mutation="createTask", key="K", input_digest="of that"),
    ],
)
async def test_a_key_belongs_to_its_mutation(world: World, other: IdempotencyKey) -> None:
    await _keep(world, "task_1")
    assert await _find(world, other) is None


@pytest.mark.parametrize("other", [Principal(actor="ann"), Principal(tenant="other"), ENGINE])
async def test_a_key_belongs_to_its_actor_and_tenant(world: World, other: Principal) -> None:
    await _keep(world, "task_1")
    assert await _find(world, principal=other) is None
    await _keep(world, "task_2", principal=other)
    assert await _find(world, principal=other) == ["task_2"]
    assert await _find(world) == ["task_1"]


async def test_a_key_is_known_for_24_hours_and_can_be_used_anew_then(world: World) -> None:
    await _keep(world, "task_1")
    world.clock.time = NOON + DAY - MICROSECOND
    assert await _find(world) == ["task_1"]
    world.clock.time = NOON + DAY
    assert await _find(world) is None
    await _keep(world, "task_2")
    assert await _find(world) == ["task_2"]


async def test_keys_that_are_over_are_forgotten_whoever_they_belong_to(world: World, database_url: str) -> None:
    await _keep(world, "task_1", principal=Principal(tenant="other"))
    world.clock.time = NOON + MICROSECOND
    await _keep(world, "task_2", principal=Principal(actor="ann"))
    world.clock.time = NOON + DAY
    await _keep(world, "task_3")
    kept = rows_of(database_url, select(idempotency_keys.c.ids).order_by(idempotency_keys.c.created_at))
    assert [row[0] for row in kept] == [("task_2",), ("task_3",)]


async def test_a_key_of_a_request_that_failed_is_not_kept(world: World) -> None:
    async def fail() -> None:
        async with world.store.write(ANONYMOUS) as tx:
            await tx.idempotency.keep(KEY, ["task_1"])
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await _find(world) is None
