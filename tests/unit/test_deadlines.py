"""Time limits of many blocks by one timer are those that `asyncio.timeout` sets for each."""

from __future__ import annotations

import asyncio

import pytest

from graph.deadlines import Deadlines


async def test_what_is_done_in_time_is_done() -> None:
    deadlines = Deadlines(3600)
    with deadlines.one():
        await asyncio.sleep(0)


async def test_what_takes_too_long_is_cut_each_by_itself() -> None:
    deadlines = Deadlines(0.01)
    cut: list[int] = []

    async def wait(number: int) -> None:
        with pytest.raises(TimeoutError), deadlines.one():
            await asyncio.Event().wait()
        cut.append(number)

    await asyncio.gather(*(wait(number) for number in range(3)))
    await wait(3)
    assert cut == [0, 1, 2, 3]


async def test_a_block_that_was_left_is_not_cut_and_the_next_one_is() -> None:
    deadlines = Deadlines(0.01)
    with deadlines.one():
        pass
    with pytest.raises(TimeoutError), deadlines.one():
        await asyncio.Event().wait()


async def test_a_cancellation_of_others_stays_one() -> None:
    deadlines = Deadlines(3600)
    entered = asyncio.Event()

    async def wait() -> None:
        with deadlines.one():
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await entered.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_cancellation_that_comes_with_the_cut_is_not_lost() -> None:
    deadlines = Deadlines(0.01)

    async def wait() -> None:
        with deadlines.one():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task.cancel()
                raise

    task = asyncio.create_task(wait())
    await asyncio.wait({task})
    assert task.cancelled()


async def test_an_error_within_stays_what_it_is() -> None:
    deadlines = Deadlines(3600)
    with pytest.raises(LookupError), deadlines.one():
        raise LookupError


def test_another_loop_begins_anew() -> None:
    deadlines = Deadlines(0.01)

    async def wait() -> None:
        with deadlines.one():
            await asyncio.Event().wait()

    async def leave() -> None:
        with deadlines.one():
            pass

    asyncio.run(leave())
    with pytest.raises(TimeoutError):
        asyncio.run(wait())
