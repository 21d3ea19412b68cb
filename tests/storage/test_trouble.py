"""A disk that is full and a database that is locked stop writers cleanly, and nobody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from domain.errors import StoreBusyError, StoreError, StoreFullError
from domain.events import Event
from domain.fold import RunState
from domain.model import ANONYMOUS, ENGINE, Task
from domain.store import AllScope, Store
from storage.store import SqliteSettings
from tests.contract.world import artifact, run, task, task_event
from tests.storage.files import opened


def _pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        return int(count)


async def _add(store: Store, size: int) -> Task:
    made = task(description="x" * size)
    async with store.write(ANONYMOUS) as tx:
        await tx.tasks.insert(made)
        await tx.events.append([task_event(made)])
    return made


async def _fill(store: Store) -> list[Task]:
    """Add tasks until no more fit."""
    made: list[Task] = []
    while True:
        try:
            made.append(await _add(store, 5000))
        except StoreFullError:
            return made


async def test_a_full_disk_refuses_writes_cleanly_while_reads_go_on_and_work_resumes_with_room(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path):
        pass
    settings = SqliteSettings(synchronous="NORMAL", max_pages=_pages(path) + 20)
    delivered: list[Sequence[Event]] = []
    async with opened(path, settings, delivered.append) as store:
        made = await _fill(store)
        assert made
        for _ in range(5):
            with pytest.raises(StoreFullError, match="full"):
                await _add(store, 5000)

        async with store.read(ENGINE) as view:
            assert len(await view.tasks.many([one.id for one in made])) == len(made)
            events = await view.events.after(AllScope(), 0, limit=100)
        assert [event.pos for event in events] == list(range(1, len(made) + 1))
        assert [event for batch in delivered for event in batch] == list(events)

        for one in made[:3]:
            async with store.write(ANONYMOUS) as tx:
                await tx.tasks.delete(one.id)
        added = await _add(store, 5000)
        async with store.read(ANONYMOUS) as view:
            assert added.id in await view.tasks.many([added.id])


async def test_a_disk_that_is_full_in_the_middle_of_an_artifact_keeps_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path):
        pass
    settings = SqliteSettings(synchronous="NORMAL", max_pages=_pages(path) + 100)
    async with opened(path, settings) as store:
        of = await _add(store, 10)
        owner = run(of)
        made = artifact(owner, size=3_000_000)

        async def add_artifact() -> None:
            async with store.write(ANONYMOUS) as tx:
                await tx.runs.insert(RunState(run=owner))
                await tx.runs.add_artifact(made, bytes(3_000_000))

        with pytest.raises(StoreFullError):
            await add_artifact()
        async with store.read(ANONYMOUS) as view:
            assert await view.runs.artifacts([made.id]) == {}
        await _add(store, 10)


async def test_a_database_that_another_holds_is_busy_for_writers_and_open_to_readers(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    delivered: list[Sequence[Event]] = []
    settings = SqliteSettings(synchronous="NORMAL", busy_timeout=0.05)
    async with opened(path, settings, delivered.append) as store:
        made = await _add(store, 10)
        with closing(sqlite3.connect(path, isolation_level=None)) as backup:
            backup.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                with pytest.raises(StoreBusyError):
                    await _add(store, 10)
            async with store.read(ANONYMOUS) as view:
                assert list(await view.tasks.many([made.id])) == [made.id]
            backup.execute("ROLLBACK")
        await _add(store, 10)
        assert [event.pos for batch in delivered for event in batch] == [1, 2]


async def test_a_database_that_is_damaged_while_it_is_used_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path) as store:
        of = await _add(store, 10)
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        async with store.read(ANONYMOUS) as view:
            with pytest.raises(StoreError, match="damaged"):
                await view.tasks.many([of.id])


async def test_a_statement_that_fails_says_which_it_was_though_it_was_handed_over(tmp_path: Path) -> None:
    async with opened(tmp_path / "mgx.db") as store:
        made = await _add(store, 10)

        async def add_again() -> None:
            async with store.write(ANONYMOUS) as tx:
                await tx.tasks.insert(made)

        with pytest.raises(Exception, match=r"UNIQUE constraint failed: tasks\.id") as caught:
            await add_again()
        assert any("INSERT INTO tasks" in note for note in caught.value.__notes__)


async def test_a_download_that_takes_its_time_keeps_nobody_from_reading(tmp_path: Path) -> None:
    content = bytes(600_000)
    async with opened(tmp_path / "mgx.db", SqliteSettings(synchronous="NORMAL", readers=1)) as store:
        of = await _add(store, 10)
        owner = run(of)
        made = artifact(owner, size=len(content))
        async with store.write(ANONYMOUS) as tx:
            await tx.runs.insert(RunState(run=owner))
            await tx.runs.add_artifact(made, content)
        async with store.read(ANONYMOUS) as slow:
            chunks = slow.runs.content(made)
            received = [await anext(chunks)]
            async with store.read(ANONYMOUS) as quick:
                assert of.id in await quick.tasks.many([of.id])
            received += [chunk async for chunk in chunks]
        assert b"".join(received) == content
