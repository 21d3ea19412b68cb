"""A view that nobody has stays while nothing is committed, so that whoever reads sees what was committed before."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from random import Random
from typing import Final

import pytest
from sqlalchemy import text

from domain.model import ANONYMOUS
from domain.store import ReadTx, Store
from storage.connections import Lease, ReadingPool, open_reader
from storage.driver import ReadingConnection
from storage.session import Session
from storage.store import SqliteSettings
from storage.writing import WritingLink
from tests.contract.world import task
from tests.storage.files import opened

NORMAL: Final = SqliteSettings(synchronous="NORMAL")
PAGE: Final = 4096


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path / "mgx.db", NORMAL) as store:
        yield store


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed over to connections that read: the beginnings of their views."""
    begun: list[str] = []
    hand_over = ReadingConnection.hand_over

    def note(connection: ReadingConnection, operation: str) -> None:
        begun.append(operation)
        hand_over(connection, operation)

    monkeypatch.setattr(ReadingConnection, "hand_over", note)
    return begun


async def add(store: Store, *, short: bool = True) -> str:
    made = task()
    async with store.write(ANONYMOUS, short=short) as tx:
        await tx.tasks.insert(made)
    return made.id


async def sees(view: ReadTx, *ids: str) -> bool:
    return set(await view.tasks.many(ids)) == set(ids)


async def is_seen(store: Store, *ids: str) -> bool:
    async with store.read(ANONYMOUS) as view:
        return await sees(view, *ids)


async def test_a_view_stays_until_something_is_committed(store: Store, begun: list[str]) -> None:
    for _ in range(3):
        assert not await is_seen(store, "nothing")
    assert begun == ["BEGIN"]
    for short in (True, False):
        added = await add(store, short=short)
        for _ in range(3):
            assert await is_seen(store, added)
    assert begun == ["BEGIN"] * 3


async def test_a_transaction_that_is_taken_back_lets_views_stay(store: Store, begun: list[str]) -> None:
    assert not await is_seen(store, "nothing")
    made = task()

    async def fail() -> None:
        async with store.write(ANONYMOUS) as tx:
            await tx.tasks.insert(made)
            assert not await is_seen(store, made.id)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert not await is_seen(store, made.id)
    assert begun == ["BEGIN"]


async def test_a_transaction_that_changes_nothing_lets_views_stay(store: Store, begun: list[str]) -> None:
    for short in (True, False):
        assert not await is_seen(store, "nothing")
        before = len(begun)
        async with store.write(ANONYMOUS, short=short) as tx:
            assert not await sees(tx.read, "nothing")
        assert not await is_seen(store, "nothing")
        assert len(begun) == before + short, "a short one is executed before it is known whether it changes anything"


async def test_a_view_that_was_begun_while_something_was_committed_is_not_lent_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was given back before the commit was done, or after it."""
    commit = WritingLink.commit
    async with AsyncExitStack() as stack:

        async def read_and_commit(link: WritingLink) -> None:
            assert not await sees(await stack.enter_async_context(store.read(ANONYMOUS)), "nothing")
            assert not await is_seen(store, "nothing")
            await commit(link)

        monkeypatch.setattr(WritingLink, "commit", read_and_commit)
        added = await add(store)
    async with AsyncExitStack() as stack:
        for _ in range(NORMAL.readers):
            assert await sees(await stack.enter_async_context(store.read(ANONYMOUS)), added)


async def test_a_view_in_use_is_of_one_moment_and_not_lent_again_after_a_commit(store: Store) -> None:
    first = await add(store)
    async with store.read(ANONYMOUS) as view:
        assert await sees(view, first)
        second = await add(store)
        assert not await sees(view, second)
        assert await is_seen(store, second)
    assert await is_seen(store, first, second)


async def test_whoever_reads_sees_what_was_committed_before_and_all_of_one_moment(store: Store) -> None:
    """ReadingPool and writers at random times, each reader with a view of its own or one that lasted."""
    random = Random(33)
    committed: list[str] = []

    async def pause() -> None:
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)

    async def write() -> None:
        for _ in range(60):
            await pause()
            committed.append(await add(store, short=random.random() < 0.7))

    async def read() -> None:
        for _ in range(150):
            await pause()
            before = list(committed)
            async with store.read(ANONYMOUS) as view:
                assert await sees(view, *before)
                known = list(committed)
                found = set(await view.tasks.many(known))
                await pause()
                assert set(await view.tasks.many(known)) == found

    async with asyncio.TaskGroup() as group:
        for each in [*[write] * 3, *[read] * 6]:
            group.create_task(each())
    assert await is_seen(store, *committed)
    assert len(committed) == 180


async def test_the_log_of_sqlite_begins_anew_however_often_is_read_between_commits(
    store: Store, tmp_path: Path
) -> None:
    """It is written back every 1,000 pages, and then begins anew unless a view is in the way."""
    for _ in range(1500):
        assert await is_seen(store, await add(store))
    assert (tmp_path / "mgx.db-wal").stat().st_size < 1100 * PAGE


async def test_a_view_in_which_a_statement_failed_does_not_stay(store: Store, tmp_path: Path, begun: list[str]) -> None:
    async with open_reader(tmp_path / "mgx.db", busy_timeout=1) as link:
        readers = ReadingPool([link])

        async def ask(statement: str) -> None:
            lease = Lease(readers)
            try:
                await Session(lease, None).rows(text(statement))
            finally:
                await lease.give_back()

        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await ask("SELECT * FROM absent")
        for _ in range(2):
            await ask("SELECT * FROM tasks")
        assert begun == ["BEGIN"] * 2


async def test_a_view_in_which_a_statement_was_cancelled_does_not_stay(
    store: Store, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await is_seen(store, "nothing")

    async def hang(*_: object) -> None:
        reads.set()
        await asyncio.Event().wait()

    reads = asyncio.Event()
    with monkeypatch.context() as patch:
        patch.setattr(ReadingConnection, "fetch", hang)
        reading = asyncio.create_task(is_seen(store, "nothing"))
        await reads.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert not await is_seen(store, "nothing")
    assert begun == ["BEGIN"] * 2


async def test_whoever_waits_for_a_connection_gets_one_and_the_cancelled_take_none(store: Store) -> None:
    added = await add(store)
    async with AsyncExitStack() as stack:
        for _ in range(NORMAL.readers):
            assert await sees(await stack.enter_async_context(store.read(ANONYMOUS)), added)
        waiting = [asyncio.create_task(is_seen(store, added)) for _ in range(6)]
        await asyncio.sleep(0)
        assert not any(one.done() for one in waiting)
        waiting.pop(0).cancel()
    assert await asyncio.gather(*waiting) == [True] * 5
    assert await is_seen(store, added)


async def test_views_that_stayed_are_no_hindrance_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path, NORMAL) as store:
        added = await add(store)
        assert await is_seen(store, added)
    assert not path.with_name("mgx.db-wal").exists()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM tasks").fetchall() == [(added,)]
