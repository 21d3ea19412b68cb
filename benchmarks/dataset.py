"""A database of SQLite with as many runs as are wanted: one real run, copied by statements under other ids and times.

Each task has a hundred runs; a minute lies between a run and the next, the newest was just created.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.client import QUIET, approve, create_run, create_task, http
from tests.servers import running_server

RUNS_OF_TASK: Final = 100
_STEP: Final = 60_000_000
"""Microseconds from one run to the next."""

_SERIES: Final = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count})"
_STATUSES: Final = "CASE n % 4 WHEN 0 THEN 'COMPLETED' WHEN 1 THEN 'FAILED' WHEN 2 THEN 'REJECTED' ELSE 'COMPLETED' END"


async def make(folder: Path, runs: int) -> Path:
    """Make a database in a folder; return its file.

    Args:
        folder: Where, as a server's data directory.
        runs: How many, a multiple of 100.
    """
    await _live(folder)
    path = folder / "mgx.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        with connection:
            _multiply(connection, runs)
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


async def _live(folder: Path) -> None:
    """Have one run, from its creation to its end."""
    with running_server(folder) as server:
        async with http(server.url) as api:
            run_id = await create_run(api, await create_task(api, config=QUIET))
            status = None
            while status != "COMPLETED":
                status = (await api.ask("query($r: ID!) { run(id: $r) { status } }", r=run_id))["run"]["status"]
                if status == "AWAITING_APPROVAL":
                    await approve(api, run_id)


def _multiply(connection: sqlite3.Connection, runs: int) -> None:
    (now,) = connection.execute("SELECT created_at FROM runs").fetchone()
    tasks = runs // RUNS_OF_TASK
    task = "printf('task_%026d', n)"
    at = f"{now} - ({runs} - n) * {_STEP}"
    _copy(
        connection,
        "tasks",
        tasks,
        {
            "id": task,
            "name": "printf('Task %d', n)",
            "folded_name": "printf('task %d', n)",
            "latest_run_id": f"printf('run_%026d', {runs} - {tasks} + n)",
            "total_runs": str(RUNS_OF_TASK),
            "created_at": f"{now} - {runs} * {_STEP}",
        },
    )
    _copy(
        connection,
        "runs",
        runs,
        {
            "id": "printf('run_%026d', n)",
            "task_id": f"printf('task_%026d', (n - 1) % {tasks} + 1)",
            "number": f"(n - 1) / {tasks} + 1",
            "status": _STATUSES,
            "created_at": at,
            "started_at": f"{at} + 1000",
            "completed_at": f"{at} + 2000000",
        },
    )


def _copy(connection: sqlite3.Connection, table: str, count: int, others: Mapping[str, str]) -> None:
    """Have copies of a table's only row, some of whose columns are made of the copy's number `n`."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(others.get(column, f"sample.{column}") for column in columns)
    series = _SERIES.format(count=count)
    (sample,) = connection.execute(f"SELECT id FROM {table}").fetchone()
    connection.execute(
        f"{series} INSERT INTO {table} SELECT {values} FROM series, {table} sample WHERE sample.id = ?", [sample]
    )
