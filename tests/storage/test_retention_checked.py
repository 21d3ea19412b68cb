"""`mgx db check` tells history that was removed from history that is missing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from domain.model import ENGINE
from storage.inspection import inspect
from tests.contract.world import SetClock, World
from tests.storage.files import opened
from tests.unit.lives import CANCEL


async def _forgotten(path: Path, rows: int) -> str:
    """Keep a run that is over, and one of which some history or all is removed; return the id of the latter."""
    async with opened(path) as store:
        world = World(store, SetClock())
        of = await world.add_task()
        gone = (await world.add_run(of, 1)).run
        await world.do(gone.id, CANCEL)
        await world.add_run(of, 2)
        async with store.write(ENGINE) as tx:
            assert await tx.history.forget(timedelta(0), rows) is not None
    return gone.id


async def _problems(path: Path) -> list[str]:
    return [problem async for check in inspect(path, all_runs=True) for problem in check.problems]


@pytest.mark.parametrize("rows", [1, 1000], ids=["some", "all"])
async def test_what_was_removed_is_no_problem(tmp_path: Path, rows: int) -> None:
    await _forgotten(tmp_path / "mgx.db", rows)
    assert await _problems(tmp_path / "mgx.db") == []


async def test_what_should_have_been_removed_is_one(tmp_path: Path) -> None:
    run_id = await _forgotten(tmp_path / "mgx.db", 1)
    with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection, connection:
        connection.execute("UPDATE runs SET forgotten = 1 WHERE id = ?", [run_id])
    assert await _problems(tmp_path / "mgx.db") == [f"the history of run {run_id} was removed, and some of it is there"]


async def test_what_is_missing_of_a_run_that_is_kept_is_one(tmp_path: Path) -> None:
    await _forgotten(tmp_path / "mgx.db", 1000)
    with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection, connection:
        connection.execute("DELETE FROM events")
    assert len(await _problems(tmp_path / "mgx.db")) == 2, "of its sequence, and of its state"
