"""Work beside something else ends with it, whatever it does when it is cancelled."""

from __future__ import annotations

import asyncio

from domain.background import background


async def test_work_ends_with_the_block() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work(), work()):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_work_that_takes_its_end_for_a_failure_ends_all_the_same() -> None:
    failures = 0

    async def attempt() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("The connection can't be closed: it is gone.")

    async def work() -> None:
        nonlocal failures
        try:
            await attempt()
        except ConnectionError:
            failures += 1
        await asyncio.Event().wait()

    async with background(work()):
        await asyncio.sleep(0)
    assert failures == 1


async def test_work_that_failed_before_says_nothing_at_the_end() -> None:
    async def work() -> None:
        raise ConnectionError

    async with background(work()):
        await asyncio.sleep(0)
