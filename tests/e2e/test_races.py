"""Decisions that come at the same time: one wins, and the others are told what it led to."""

import asyncio
from typing import Final

import pytest

from tests.e2e.client import Api
from tests.e2e.races import OUTCOMES, SHORT, check, deadline, decide, until_about
from tests.e2e.work import awaiting, new_run, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

RACES: Final = 30
AT_ONCE: Final = 10
"""Races at one time: client and server share a loop, and a handshake must not wait for all the others."""


async def test_approve_reject_and_cancel_have_one_winner(api: Api) -> None:
    task = await new_task(api, config=SHORT)

    places = asyncio.Semaphore(AT_ONCE)

    async def race(number: int) -> None:
        async with places:
            run = await awaiting(api, task)
            choices = ["APPROVED", "REJECTED", "CANCELLED"]
            turned = choices[number % 3 :] + choices[: number % 3]
            await check(api, run, await asyncio.gather(*(decide(api, run, what) for what in turned * 2)))

    async with asyncio.TaskGroup() as group:
        for number in range(RACES):
            group.create_task(race(number))


async def test_a_decision_and_the_deadline_have_one_winner(api: Api) -> None:
    task = await new_task(api, approvalTimeout=1, config=SHORT)

    places = asyncio.Semaphore(AT_ONCE)

    async def race(number: int) -> str:
        async with places:
            run = await new_run(api, task)
            expires = await deadline(api, run)
            # Spread around the deadline, from 30 ms before it to 30 ms after it.
            await until_about(expires, 0.03 - 0.06 * number / RACES)
            tried = await asyncio.gather(*(decide(api, run, what) for what in ("APPROVED", "REJECTED", "CANCELLED")))
            return await check(api, run, tried)

    async with asyncio.TaskGroup() as group:
        races = [group.create_task(race(number)) for number in range(RACES)]
    assert {one.result() for one in races} <= set(OUTCOMES)
