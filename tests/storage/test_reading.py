"""A connection that reads: what is short where it is asked, what is long on its thread, all of one moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from storage.driver import PipelinedConnection, ReadingConnection, connect_to_read
from storage.writing import connect

LONG: Final = """
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 100000)
SELECT thread(), (SELECT count(*) FROM series), (SELECT count(*) FROM numbers)
"""
SHORT: Final = "SELECT thread(), count(*) FROM numbers"


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[PipelinedConnection]:
    writer = await connect(tmp_path / "numbers.db", busy_timeout=1)
    await writer.fetch("PRAGMA journal_mode = WAL")
    await writer.fetch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    try:
        yield writer
    finally:
        await writer.close()


@pytest.fixture
async def reader(writer: PipelinedConnection, tmp_path: Path) -> AsyncIterator[ReadingConnection]:
    reader = await connect_to_read(tmp_path / "numbers.db", busy_timeout=1)
    await reader.create_function("thread", 0, threading.get_ident)
    try:
        yield reader
    finally:
        await reader.close()


async def test_what_is_short_is_read_on_the_callers_thread(reader: ReadingConnection) -> None:
    for _ in range(1000):  # SQLite counts the steps of a statement on from one use to the next
        assert await reader.fetch(SHORT) == [(threading.get_ident(), 0)]


async def test_what_is_long_is_read_on_another_thread_while_the_loop_goes_on(reader: ReadingConnection) -> None:
    goes_on = threading.Event()

    def wait() -> bool:
        return threading.current_thread() is threading.main_thread() or goes_on.wait(30)

    await reader.create_function("wait", 0, wait)
    reading = asyncio.create_task(reader.fetch(LONG.replace("SELECT thread()", "SELECT thread(), wait()")))
    await asyncio.sleep(0)
    assert not reading.done()
    goes_on.set()
    ((thread, waited, steps, _),) = await reading
    assert (waited, steps) == (1, 100_000)
    assert thread != threading.get_ident()


async def test_what_was_long_goes_to_the_other_thread_at_once(reader: ReadingConnection) -> None:
    await reader.fetch(LONG)
    asked: set[int] = set()

    def note() -> int:
        asked.add(threading.get_ident())
        return 0

    await reader.create_function("thread", 0, note)
    await reader.fetch(LONG)
    assert len(asked) == 1
    assert threading.get_ident() not in asked


async def test_a_view_is_of_one_moment_on_whichever_thread_it_is_read(
    writer: PipelinedConnection, reader: ReadingConnection
) -> None:
    reader.hand_over("BEGIN")
    assert (await reader.fetch(SHORT))[0][-1] == 0
    await writer.fetch("INSERT INTO numbers VALUES (1)")
    assert (await reader.fetch(LONG))[0][-1] == 0
    assert (await reader.fetch(SHORT))[0][-1] == 0
    reader.end()
    assert (await reader.fetch(LONG))[0][-1] == 1


async def test_a_statement_that_fails_does_so_with_its_error(reader: ReadingConnection) -> None:
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await reader.fetch("SELECT * FROM absent")
    assert (await reader.fetch(SHORT))[0][-1] == 0


async def test_a_failure_of_what_was_handed_over_stops_all_that_follows_up_to_the_rollback(
    reader: ReadingConnection,
) -> None:
    reader.hand_over("BEGIN")
    reader.hand_over("SELECT * FROM absent")
    for statement in (SHORT, LONG):
        with pytest.raises(sqlite3.OperationalError) as caught:
            await reader.fetch(statement)
    assert caught.value.__notes__ == ["It was handed over before: SELECT * FROM absent"]
    reader.end()
    assert (await reader.fetch(SHORT))[0][-1] == 0


async def test_nothing_can_be_written(reader: ReadingConnection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await reader.fetch("INSERT INTO numbers VALUES (1)")


async def test_a_long_read_that_is_cancelled_is_done_to_its_end(reader: ReadingConnection) -> None:
    reading = asyncio.create_task(reader.fetch(LONG))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    assert (await reader.fetch(SHORT))[0][-1] == 0


async def test_whoever_reads_and_reads_lets_others_have_a_turn(reader: ReadingConnection) -> None:
    had_a_turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(had_a_turn.set)
    while not had_a_turn.is_set():
        await reader.fetch(SHORT)
