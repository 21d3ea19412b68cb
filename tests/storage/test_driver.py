"""The pipelined connection: what is handed over is done in order, and a failure stops what follows."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from inspect import getsource
from pathlib import Path

import aiosqlite
import pytest

from storage.driver import PipelinedConnection
from storage.writing import connect


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[PipelinedConnection]:
    connection = await connect(tmp_path / "driver.db", busy_timeout=1)
    await connection.fetch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    try:
        yield connection
    finally:
        await connection.close()


def _hand_over(connection: PipelinedConnection, *statements: str) -> None:
    for statement in statements:
        connection.hand_over(statement)


async def _numbers(connection: PipelinedConnection) -> list[int]:
    return [number for (number,) in await connection.fetch("SELECT number FROM numbers ORDER BY number")]


def _wait(event: threading.Event) -> None:
    assert event.wait(30)


async def test_what_is_handed_over_is_done_before_what_is_waited_for(connection: PipelinedConnection) -> None:
    _hand_over(connection, "BEGIN", *(f"INSERT INTO numbers VALUES ({number})" for number in range(100)))
    assert await _numbers(connection) == list(range(100))
    await connection.rollback()
    assert await _numbers(connection) == []


async def test_a_statement_is_executed_once_for_each_row_of_parameters(connection: PipelinedConnection) -> None:
    connection.hand_over("INSERT INTO numbers VALUES (?)", *[(number,) for number in range(3)])
    connection.hand_over("INSERT INTO numbers VALUES (?)", (3,))
    assert await _numbers(connection) == [0, 1, 2, 3]
    assert await connection.fetch("SELECT number FROM numbers WHERE number > ?", (2,)) == [(3,)]


async def test_a_failure_of_what_was_handed_over_stops_all_that_follows_up_to_the_rollback(
    connection: PipelinedConnection,
) -> None:
    _hand_over(
        connection,
        "BEGIN",
        "INSERT INTO numbers VALUES (1)",
        "INSERT INTO numbers VALUES (1)",
        "INSERT INTO numbers VALUES (2)",
        "COMMIT",
    )
    for _ in range(2):
        with pytest.raises(sqlite3.IntegrityError) as caught:
            await _numbers(connection)
    with pytest.raises(sqlite3.IntegrityError):
        await connection.commit()
    assert caught.value.__notes__ == ["It was handed over before: INSERT INTO numbers VALUES (1)"]

    await connection.rollback()
    assert await _numbers(connection) == []


@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_call_that_is_cancelled_is_done_to_its_end_and_the_cancellation_comes_then(
    connection: PipelinedConnection, cancels: int
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def work(_: sqlite3.Connection) -> None:
        entered.set()
        _wait(go_on)
        done.append("done")

    async def call() -> None:
        await connection.on_thread(work)
        done.append("and returned")
        await asyncio.sleep(0)
        done.append("and went on")

    task = asyncio.create_task(call())
    await asyncio.to_thread(entered.wait)
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert done == ["done", "and returned"]


async def test_an_error_is_raised_though_the_call_was_cancelled(connection: PipelinedConnection) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def work(_: sqlite3.Connection) -> None:
        entered.set()
        _wait(go_on)
        raise LookupError

    task = asyncio.create_task(connection.on_thread(work))
    await asyncio.to_thread(entered.wait)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(LookupError):
        await task


async def test_a_call_that_comes_after_the_end_is_refused_and_not_left_waiting(tmp_path: Path) -> None:
    connection = await connect(tmp_path / "driver.db", busy_timeout=1)
    go_on = threading.Event()
    await connection.create_function("wait", 0, lambda: _wait(go_on))
    connection.hand_over("SELECT wait()")
    ended = connection.stop()
    with pytest.raises(ValueError, match="Connection closed"):
        await connection.fetch("SELECT 1")
    go_on.set()
    assert ended is not None
    await ended


async def test_a_rollback_that_fails_is_not_taken_for_one(tmp_path: Path) -> None:
    connection = await connect(tmp_path / "driver.db", busy_timeout=1)
    await connection.on_thread(lambda raw: raw.close())
    await connection.rollback()
    with pytest.raises(sqlite3.ProgrammingError):
        await connection.fetch("SELECT 1")
    with pytest.raises(sqlite3.ProgrammingError):
        await connection.close()


def test_aiosqlite_has_the_private_parts_that_the_driver_builds_on() -> None:
    """The version is pinned to those that have them; this says which part is missing where it fails."""
    connection = aiosqlite.Connection(lambda: sqlite3.connect(":memory:"), iter_chunk_size=1)
    for part in ("_tx", "_thread", "_running", "_connection", "_execute"):
        assert hasattr(connection, part), part
    assert isinstance(connection._thread, threading.Thread)
    assert isinstance(vars(aiosqlite.Connection)["_conn"], property)
    thread = getsource(aiosqlite.core._connection_worker_thread)
    assert "future, function = tx.get()" in thread, "what is put into the queue is a future, or None, and a function"
    assert "if future:" in thread, "None is a call that nobody waits for"
