"""The connection that writes: what is short is executed where it is called, and a commit is waited for once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from domain import commands as c
from domain.model import ANONYMOUS
from storage import driver
from storage.driver import PipelinedConnection
from storage.uninterrupted import settled
from storage.writing import WritingConnection, connect
from tests.engine.support import draft, open_engine

SHORT: Final = "SELECT count(*) FROM numbers"
LONG: Final = f"""
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 100000)
SELECT ({SHORT}), (SELECT count(*) FROM series)
"""
INSERT: Final = "INSERT INTO numbers VALUES (?)"


class Traced:
    """A connection with what it has executed: each statement, and whether that was where it was called."""

    def __init__(self, connection: WritingConnection) -> None:
        self.connection = connection
        self._seen: list[tuple[str, bool]] = []

    def note(self, statement: str) -> None:
        self._seen.append((statement.partition(" ")[0], threading.current_thread() is threading.main_thread()))

    def seen(self) -> list[tuple[str, bool]]:
        """Return what was executed since this was last asked, without settings."""
        seen, self._seen = self._seen, []
        return [each for each in seen if each[0] != "PRAGMA"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    return path


@pytest.fixture
async def traced(path: Path) -> AsyncIterator[Traced]:
    connection = await connect(path, busy_timeout=30)
    traced = Traced(connection)
    await connection.set_trace_callback(traced.note)
    try:
        yield traced
    finally:
        await connection.close()


async def test_what_is_asked_before_the_first_change_is_answered_where_it_is_asked(traced: Traced) -> None:
    connection = traced.connection
    connection.begin()
    assert await connection.fetch(SHORT) == [(0,)]
    connection.hand_over(INSERT, (1,))
    assert await connection.fetch(SHORT) == [(1,)]
    await connection.commit()
    here, there = True, False
    assert traced.seen() == [
        *(("BEGIN", here), ("SELECT", here)),
        *(("INSERT", there), ("SELECT", there), ("COMMIT", there)),
    ]


@pytest.mark.parametrize("ends", [PipelinedConnection.commit, PipelinedConnection.rollback])
async def test_what_changed_nothing_ends_where_it_is_called(
    traced: Traced, ends: Callable[[PipelinedConnection], Awaitable[None]]
) -> None:
    connection = traced.connection
    for _ in range(2):
        connection.begin()
        assert await connection.fetch(SHORT) == [(0,)]
        await getattr(connection, ends.__name__)()
        assert [where for _, where in traced.seen()] == [True, True, True]
    assert not connection.in_transaction


async def test_a_short_transaction_goes_to_the_thread_for_its_commit_alone(traced: Traced) -> None:
    connection = traced.connection
    await connection.begin_short()
    connection.hand_over(INSERT, (1,))
    assert await connection.fetch(SHORT) == [(1,)]
    await connection.commit()
    assert [where for _, where in traced.seen()] == [True, True, True, False]


async def test_what_is_long_is_asked_on_the_thread_and_the_transaction_goes_on(traced: Traced) -> None:
    connection = traced.connection
    for times in range(1, 3):
        connection.begin()
        assert await connection.fetch(SHORT) == [(times - 1,)]
        asking = asyncio.create_task(connection.fetch(LONG))
        await asyncio.sleep(0)
        assert not asking.done()
        assert await asking == [(times - 1, 100_000)]
        assert await connection.fetch(SHORT) == [(times - 1,)]
        connection.hand_over(INSERT, (times,))
        await connection.commit()
    where = [where for name, where in traced.seen() if name.strip() == "WITH"]
    assert where == [True, False, False], "it is tried once"


async def test_a_change_is_never_stopped_however_long_it_takes(traced: Traced) -> None:
    connection = traced.connection
    many = "INSERT INTO numbers WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) "
    await connection.begin_short()
    connection.hand_over(f"{many} SELECT n FROM s")
    await connection.commit()
    assert await connection.fetch(SHORT) == [(100_000,)]


@pytest.mark.parametrize("short", [True, False])
async def test_a_database_that_another_holds_is_waited_for_without_holding_up_the_loop(
    path: Path, traced: Traced, short: bool
) -> None:
    connection = traced.connection

    async def insert(number: int) -> None:
        if short:
            await connection.begin_short()
        else:
            connection.begin()
        assert await connection.fetch(SHORT) == [(number - 1,)]
        connection.hand_over(INSERT, (number,))
        await connection.commit()

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        inserting = asyncio.create_task(insert(1))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not inserting.done()
        other.execute("ROLLBACK")
        await inserting
    traced.seen()
    await insert(2)
    assert traced.seen()[0] == ("BEGIN", True)


async def test_a_transaction_that_could_not_begin_fails_up_to_its_rollback(path: Path) -> None:
    connection = await connect(path, busy_timeout=0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        connection.begin()
        connection.hand_over(INSERT, (1,))
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                await connection.fetch(SHORT)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            await connection.commit()
        await connection.rollback()
    connection.begin()
    assert await connection.fetch(SHORT) == [(0,)]
    await connection.rollback()
    await connection.close()


async def test_each_transaction_of_a_run_waits_for_the_thread_once_and_one_that_only_looks_never_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0

    async def counted(future: asyncio.Future[Any]) -> Any:
        nonlocal waits
        waits += 1
        return await settled(future)

    async with open_engine(tmp_path / "mgx.db", working=False) as engine:
        task = await engine.task()
        run = await engine.start(task)
        monkeypatch.setattr(driver, "settled", counted)

        async def cost(transaction: Awaitable[Any]) -> int:
            nonlocal waits
            waits = 0
            await transaction
            return waits

        async def claim() -> None:
            taken.append(await engine.work.claim(run.id, owner="worker", lease=None))

        async def report(*commands: c.WorkerCommand) -> None:
            assert taken[-1] is not None
            await engine.work.report(taken[-1], commands)

        taken: list[Any] = []
        ended = report(c.FinishStep(key="one"), c.Finish(results=None))
        assert await cost(engine.work.claimable(10)) == 0
        assert await cost(engine.work.next_deadline()) == 0
        assert await cost(claim()) == 1
        assert await cost(report(c.DeliverPlan(draft=draft("one"), created_by="team"))) == 1
        assert await cost(engine.approve(run.id)) == 1
        assert await cost(claim()) == 1
        assert await cost(report(c.StartStep(key="one"))) == 1
        assert await cost(ended) == 1
        other = await engine.start(task)
        assert await cost(engine.runs.cancel(ANONYMOUS, other.id, reason=None)) == 1
