"""What a transaction promises: all or nothing, in order, delivered after the commit and never before."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

import psycopg
import pytest

from domain.events import Event, EventType
from domain.model import ANONYMOUS, ENGINE
from domain.store import AllScope, Store
from storage.store import open_store
from tests.contract.world import NOON, SECOND, SetClock, World, task, task_event
from tests.unit.lives import CLAIM


async def _names(world: World) -> list[str]:
    async with world.store.read(ENGINE) as tx:
        return [event.message for event in await tx.events.after(AllScope(), 0, limit=1000)]


async def test_a_commit_delivers_its_events_with_their_places_and_then_calls_back(world: World) -> None:
    order: list[str] = []
    made = task()
    async with world.store.write(ANONYMOUS) as tx:
        tx.after_commit(lambda: order.append(f"called back after {len(world.delivered)}"))
        await tx.tasks.insert(made)
        await tx.events.append([task_event(made, message="one"), task_event(made, message="two")])
        await tx.events.append([task_event(made, message="three")])
        assert world.delivered == []

    (batch,) = world.delivered
    assert [(event.pos, event.message) for event in batch] == [(1, "one"), (2, "two"), (3, "three")]
    assert order == ["called back after 1"]


async def test_what_is_delivered_is_what_the_log_says(world: World) -> None:
    state = await world.add_run(await world.add_task())
    await world.do(state.run.id, CLAIM)

    async with world.store.read(ENGINE) as tx:
        kept = await tx.events.after(AllScope(), 0, limit=10)
    assert [event for batch in world.delivered for event in batch] == list(kept)


@pytest.mark.parametrize("short", [False, True])
async def test_an_error_takes_everything_back_and_nobody_hears_of_it(world: World, short: bool) -> None:
    made = task()
    called: list[str] = []

    async def write_and_fail() -> None:
        async with world.store.write(ANONYMOUS, short=short) as tx:
            tx.after_commit(lambda: called.append("called"))
            await tx.tasks.insert(made)
            await tx.events.append([task_event(made)])
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()

    async with world.store.read(ANONYMOUS) as tx:
        assert await tx.tasks.many([made.id]) == {}
        assert await tx.events.head() == 0
    assert (world.delivered, called) == ([], [])


@pytest.mark.parametrize("short", [False, True])
async def test_a_statement_that_fails_takes_its_transaction_back(world: World, short: bool) -> None:
    made = await world.add_task()
    other = task()

    async def write() -> None:
        async with world.store.write(ANONYMOUS, short=short) as tx:
            await tx.tasks.insert(other)
            await tx.tasks.insert(made)
            await tx.events.append([task_event(other)])

    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        await write()

    async with world.store.read(ANONYMOUS) as tx:
        assert await tx.tasks.many([made.id, other.id]) == {made.id: made}
    assert world.delivered == []
    await world.add_task()


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("type_", [EventType.LOG, EventType.APPROVED])
async def test_writers_that_come_together_are_delivered_one_after_the_other_in_the_order_of_the_log(
    world: World, short: bool, type_: EventType
) -> None:
    made = await world.add_task()

    async def write(number: int) -> None:
        async with world.store.write(ANONYMOUS, short=short) as tx:
            locked = await tx.tasks.lock(made.id)
            assert locked is not None
            await asyncio.sleep(0)
            await tx.tasks.save(task(id=made.id, version=locked.version + 1))
            await tx.events.append([task_event(made, message=f"{number}.{part}", type=type_) for part in range(3)])

    await asyncio.gather(*(write(number) for number in range(20)))

    delivered = [event for batch in world.delivered for event in batch]
    assert [event.pos for event in delivered] == list(range(1, 61))
    assert [event.message for event in delivered] == await _names(world)
    assert all(len({event.message.split(".")[0] for event in batch}) == 1 for batch in world.delivered)
    async with world.store.read(ANONYMOUS) as tx:
        assert (await tx.tasks.many([made.id]))[made.id].version == 21


async def test_a_place_is_not_given_again_when_its_event_is_deleted_or_the_store_opened_anew(database_url: str) -> None:
    delivered: list[Event] = []
    for expected in ([1, 2], [3]):
        async with open_store(database_url, clock=SetClock(), on_commit=delivered.extend) as store:
            for _ in expected:
                made = task()
                async with store.write(ANONYMOUS) as tx:
                    await tx.tasks.insert(made)
                    await tx.events.append([task_event(made)])
            assert [event.pos for event in delivered] == expected
            delivered.clear()
            async with store.write(ANONYMOUS) as tx:
                await tx.tasks.delete(made.id)


async def test_a_database_keeps_its_log_id_and_another_has_another(database_url: str, world: World) -> None:
    async def log_id(url: str) -> str:
        async with open_store(url, clock=SetClock(), on_commit=lambda _: None) as store:
            return store.log_id

    other = f"{database_url}-other"
    assert await log_id(other) == await log_id(other) != world.store.log_id


async def test_a_view_does_not_see_what_is_committed_after_its_first_look(world: World) -> None:
    first = await world.add_task()
    async with world.store.read(ANONYMOUS) as tx:
        assert await tx.events.head() == 0
        second = await world.add_task()
        assert list(await tx.tasks.many([first.id, second.id])) == [first.id]
    async with world.store.read(ANONYMOUS) as tx:
        assert set(await tx.tasks.many([first.id, second.id])) == {first.id, second.id}


async def test_a_view_is_not_of_a_time_before_it_was_opened(world: World) -> None:
    async with world.store.read(ANONYMOUS) as tx:
        made = await world.add_task()
        assert list(await tx.tasks.many([made.id])) == [made.id]


async def test_those_who_share_a_view_may_ask_at_the_same_time(world: World) -> None:
    made = [await world.add_task() for _ in range(5)]
    async with world.store.read(ANONYMOUS) as tx:
        answers = await asyncio.gather(*(tx.tasks.many([one.id]) for one in made))
    assert answers == [{one.id: one} for one in made]


async def test_more_views_than_there_are_readers_wait_for_one_another(world: World) -> None:
    made = await world.add_task()

    async def look() -> None:
        async with world.store.read(ANONYMOUS) as tx:
            assert made.id in await tx.tasks.many([made.id])
            await asyncio.sleep(0)

    await asyncio.gather(*(look() for _ in range(50)))


async def test_a_transaction_sees_what_it_wrote_and_nobody_else_does_before_the_commit(world: World) -> None:
    made = task()
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.insert(made)
        assert await tx.read.tasks.many([made.id]) == {made.id: made}
        async with world.store.read(ANONYMOUS) as other:
            assert await other.tasks.many([made.id]) == {}


async def test_the_time_of_a_transaction_stands_still_from_its_first_use(world: World) -> None:
    async with world.store.write(ANONYMOUS) as tx:
        world.clock.time = NOON + SECOND
        assert await tx.now() == NOON + SECOND
        world.clock.time = NOON + 2 * SECOND
        assert await tx.now() == NOON + SECOND


async def test_a_callback_that_fails_leaves_the_commit_and_the_other_callbacks_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    made = task()
    called: list[str] = []

    def fail() -> None:
        raise RuntimeError("The callback is broken.")

    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.insert(made)
        tx.after_commit(fail)
        tx.after_commit(lambda: called.append("called"))

    async with world.store.read(ANONYMOUS) as view:
        assert made.id in await view.tasks.many([made.id])
    assert called == ["called"]
    assert "The callback is broken." in caplog.text


async def _write_and_wait(store: Store, name: str, entered: asyncio.Event, go_on: asyncio.Event) -> None:
    async with store.write(ANONYMOUS) as tx:
        made = task(name=name)
        await tx.tasks.insert(made)
        await tx.events.append([task_event(made, message=name)])
        entered.set()
        await go_on.wait()


async def test_a_writer_that_is_cancelled_takes_its_work_back_and_lets_the_next_one_write(world: World) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    writer = asyncio.create_task(_write_and_wait(world.store, "cancelled", entered, go_on))
    await entered.wait()
    waiting = asyncio.create_task(_write_and_wait(world.store, "waited", asyncio.Event(), go_on))
    await asyncio.sleep(0)
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    go_on.set()
    await waiting

    assert await _names(world) == ["waited"]
    assert [event.message for batch in world.delivered for event in batch] == ["waited"]


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("turns", range(12))
async def test_a_cancellation_at_any_moment_leaves_all_or_nothing_and_delivers_what_is_kept(
    world: World, turns: int, short: bool
) -> None:
    made = await world.add_task()

    async def write() -> None:
        async with world.store.write(ANONYMOUS, short=short) as tx:
            locked = await tx.tasks.lock(made.id)
            assert locked is not None
            await tx.tasks.save(task(id=made.id, version=2))
            assert await tx.tasks.lock(made.id) is not None
            await tx.events.append([task_event(made, message="saved")])

    writer = asyncio.create_task(write())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    writer.cancel()
    await asyncio.wait({writer})

    async with world.store.read(ANONYMOUS) as tx:
        kept = (await tx.tasks.many([made.id]))[made.id].version == 2
        assert await tx.events.head() == int(kept)
    assert len(world.delivered) == int(kept)
    await world.add_task()


@pytest.mark.parametrize("turns", range(6))
async def test_a_reader_that_is_cancelled_gives_its_place_to_others(world: World, turns: int) -> None:
    made = await world.add_task()

    async def look() -> None:
        async with world.store.read(ANONYMOUS) as tx:
            while True:
                await tx.tasks.many([made.id])

    readers = [asyncio.create_task(look()) for _ in range(10)]
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    for reader in readers:
        reader.cancel()
    await asyncio.wait(readers)

    assert all(reader.cancelled() for reader in readers)
    async with world.store.read(ANONYMOUS) as tx:
        assert await tx.tasks.many([made.id]) == {made.id: made}


async def test_a_timeout_around_a_read_is_a_timeout(world: World) -> None:
    async def look_for_ever() -> None:
        async with asyncio.timeout(0.01), world.store.read(ANONYMOUS) as tx:
            while True:
                await tx.events.head()

    with pytest.raises(TimeoutError):
        await look_for_ever()


async def test_the_events_of_a_commit_are_there_for_whoever_hears_of_them(database_url: str) -> None:
    heard: list[int] = []

    def hear(events: Sequence[Event]) -> None:
        heard.append(events[-1].pos)

    async with open_store(f"{database_url}-heard", clock=SetClock(), on_commit=hear) as store:
        made = task()
        async with store.write(ANONYMOUS) as tx:
            await tx.tasks.insert(made)
            await tx.events.append([task_event(made)])
        async with store.read(ANONYMOUS) as view:
            assert await view.events.head() == heard[-1]
