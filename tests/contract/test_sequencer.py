"""The order of the log where many write at once: the same for everyone, whole, and never held up."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import create_engine, insert

from domain.events import Event, EventType
from domain.lifecycle import create
from domain.model import ANONYMOUS, ENGINE, Task
from domain.store import AllScope, RunScope, Store
from storage.arrivals import BATCH
from storage.store import open_store
from storage.tables import arrivals
from tests.backing import PostgresServer
from tests.contract.world import NOON, SetClock, run, task, task_event

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SEQUENCE_AND_WAIT = """
import sys
from sqlalchemy import create_engine, text
from storage import locks
from storage.arrivals import NUMBER

with create_engine(sys.argv[1]).connect() as connection:
    connection.execute(text(locks.NUMBER))
    print("locked", flush=True)
    sys.stdin.readline()
    print(len(connection.execute(NUMBER).all()), flush=True)
    sys.stdin.readline()
"""


@asynccontextmanager
async def _stores(url: str, number: int) -> AsyncIterator[Sequence[Store]]:
    """As many processes would have them."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(open_store(url, clock=SetClock(), on_commit=lambda _: None))
            for _ in range(number)
        ]


async def _write(store: Store, of: Task, *messages: str, hesitates: bool = False) -> None:
    async with store.write(ENGINE) as tx:
        await tx.events.append([task_event(of, message=message) for message in messages])
        if hesitates:
            await asyncio.sleep(random.uniform(0, 0.01))


async def _read(store: Store, number: int) -> list[Event]:
    """Follow the log as a subscriber does, past each place once, until so many events have come."""
    seen: list[Event] = []
    async with asyncio.timeout(60):
        while len(seen) < number:
            async with store.read(ENGINE) as tx:
                seen += await tx.events.after(AllScope(), seen[-1].pos if seen else 0, limit=7)
            await asyncio.sleep(0)
    return seen


def _names(events: Sequence[Event]) -> list[str]:
    return [event.message for event in events]


async def test_all_who_read_while_many_write_see_one_order_and_miss_nothing(database_url: str) -> None:
    made = task()

    async def write(store: Store, writer: int) -> None:
        for number in range(15):
            await _write(store, made, f"{writer} {number}", hesitates=True)

    async with _stores(database_url, 4) as (one, other, *readers):
        read = [asyncio.create_task(_read(store, 120)) for store in readers]
        await asyncio.gather(*(write(store, writer) for writer, store in enumerate([one, other] * 4)))
        first, second = await asyncio.gather(*read)

    assert first == second
    assert [event.pos for event in first] == sorted({event.pos for event in first})
    assert sorted(_names(first)) == sorted(f"{writer} {number}" for writer in range(8) for number in range(15))
    for writer in range(8):
        own = [name for name in _names(first) if name.startswith(f"{writer} ")]
        assert own == [f"{writer} {number}" for number in range(15)]


async def test_a_sequencer_that_is_killed_before_its_commit_leaves_one_order_and_no_gap(database_url: str) -> None:
    made = task()
    async with _stores(database_url, 3) as (writer, *readers):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SEQUENCE_AND_WAIT, database_url, stdin=PIPE, stdout=PIPE
        )
        try:
            assert await _line(child) == "locked"
            read = [asyncio.create_task(_read(store, 6)) for store in readers]
            writes = [asyncio.create_task(_write(writer, made, f"{number} a", f"{number} b")) for number in range(3)]
            await _until_arrived(database_url, 6)
            await _say(child)
            assert await _line(child) == "6"
            assert not any(task.done() for task in read)
        finally:
            child.kill()
            await child.wait()
        first, second = await asyncio.gather(*read)
        await asyncio.gather(*writes)

    assert first == second
    assert sorted(_names(first)) == [f"{number} {part}" for number in range(3) for part in "ab"]
    for number in range(3):
        assert [name for name in _names(first) if name.startswith(str(number))] == [f"{number} a", f"{number} b"]


async def test_a_transaction_that_stays_open_holds_nobody_up_and_comes_after_those_that_did_not_wait(
    database_url: str,
) -> None:
    made = task()
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def write_slowly(store: Store) -> None:
        async with store.write(ENGINE) as tx:
            await tx.events.append([task_event(made, message="slow")])
            entered.set()
            await go_on.wait()

    async with _stores(database_url, 2) as (writer, other):
        slow = asyncio.create_task(write_slowly(writer))
        await entered.wait()
        for message in ("one", "two"):
            await _write(writer, made, message)
        assert _names(await _read(other, 2)) == ["one", "two"]
        go_on.set()
        await slow
        assert _names(await _read(other, 3)) == ["one", "two", "slow"]


async def test_who_wrote_finds_his_events_in_the_log_at_once_and_so_does_everyone_else(database_url: str) -> None:
    made = task()
    async with _stores(database_url, 2) as stores:
        for number in range(1, 11):
            await _write(stores[0], made, str(number))
            for store in stores:
                async with store.read(ANONYMOUS) as tx:
                    assert len(await tx.events.after(AllScope(), 0, limit=100)) == number


async def test_the_events_of_a_process_that_died_after_its_commit_get_their_places_from_another(
    database_url: str,
) -> None:
    async with _stores(database_url, 1) as (store,):
        await asyncio.to_thread(_arrive, database_url, task_event(task(), message="orphan"))
        assert _names(await _read(store, 1)) == ["orphan"]


async def test_more_events_than_are_placed_at_once_keep_their_order(database_url: str) -> None:
    made = task()
    names = [str(number) for number in range(2 * BATCH + 1)]
    async with _stores(database_url, 1) as (store,):
        await _write(store, made, *names)
        assert _names(await _read(store, len(names))) == names


async def test_a_run_that_is_deleted_takes_the_events_along_that_have_no_place_yet(database_url: str) -> None:
    made = task()
    born = create(run(made), NOON)
    async with _stores(database_url, 1) as (store,):
        async with store.write(ANONYMOUS) as tx:
            await tx.tasks.insert(made)
            await tx.runs.insert(born.state)
            await tx.events.append(born.events)
            await tx.runs.delete(born.state.run.id)
            await tx.events.append([task_event(made, type=EventType.TASK_UPDATED)])
        async with store.read(ANONYMOUS) as tx:
            assert await tx.events.after(RunScope(born.state.run.id), 0, limit=10) == []
            assert len(await tx.events.after(AllScope(), 0, limit=10)) == 1


async def test_a_database_that_restarts_is_found_again(database_url: str, postgres: PostgresServer) -> None:
    made = task()
    async with _stores(database_url, 1) as (store,):
        await _write(store, made, "before")
        await asyncio.to_thread(postgres.restart)
        await _write(store, made, "after")
        assert _names(await _read(store, 2)) == ["before", "after"]


async def _line(child: Process) -> str:
    assert child.stdout is not None
    return (await child.stdout.readline()).decode().strip()


async def _say(child: Process) -> None:
    assert child.stdin is not None
    child.stdin.write(b"\n")
    await child.stdin.drain()


async def _until_arrived(url: str, number: int) -> None:
    engine = create_engine(url)
    async with asyncio.timeout(60):
        while True:
            with engine.connect() as connection:
                if len(connection.execute(arrivals.select()).all()) == number:
                    break
            await asyncio.sleep(0.01)
    engine.dispose()


def _arrive(url: str, event: Event) -> None:
    engine = create_engine(url)
    values = {name: getattr(event, name) for name in arrivals.columns.keys() if name != "seq"}  # noqa: SIM118
    with engine.begin() as connection:
        connection.execute(insert(arrivals).values(values))
    engine.dispose()
