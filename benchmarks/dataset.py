"""A database of SQLite with as many runs as are wanted: one real run, copied by statements under other ids and times.

Each task has a hundred runs; a minute lies between a run and the next, the newest was just created. Each run has two
labels, of which an eighth of all share SHARD. A hundred, however many there are, wait for their approval and have the
label RARE. Where events are wanted, the newest runs have the history of the real one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from benchmarks.client import QUIET, approve, create_run, create_task, http
from tests.servers import running_server

RUNS_OF_TASK: Final = 100
TIMES: Final = ("createdAt", "startedAt", "completedAt")
"""What servers may print of a run in different ways."""
SHARD: Final = "shard-0"
RARE: Final = "rare"
_SPECIAL: Final = 100
_STEP: Final = 60_000_000
"""Microseconds from one run to the next."""

_ENDS: Final = "CASE n % 4 WHEN 1 THEN 'FAILED' WHEN 2 THEN 'REJECTED' ELSE 'COMPLETED' END"
_LABELS: Final = "'nightly', printf('shard-%d', n % 8)"
# Nothing of it is kept when it is not whole. The file is written once, in order, and the indexes after the rows.
_HASTE: Final = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -2000000",
    "PRAGMA threads = 2",
)


async def make(folder: Path, runs: int, *, events: int = 0, longest: int = 0) -> Path:
    """Make a database in a folder; return its file.

    Args:
        folder: Where, as a server's data directory.
        runs: How many, a multiple of 1,000.
        events: How many the log has at least; there are 13 of a run.
        longest: How many the newest run has, at the end of the log; 0 for none.
    """
    await _live(folder)
    path = folder / "mgx.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _HASTE:
            connection.execute(pragma)
        for table in ("tasks", "runs", "events"):
            connection.execute(f"CREATE TEMP TABLE sample_{table} AS SELECT * FROM {table}")
        with _without_indexes(connection, "tasks", "runs", "run_labels", "events"):
            _multiply(connection, runs)
            _label(connection, runs)
            _remember(connection, runs, events)
            if longest:
                _lengthen(connection, runs, longest)
    return path


def task_id(number: int) -> str:
    """Return the id of a task, which are numbered from 1 on."""
    return f"task_{number:026}"


def run_id(number: int) -> str:
    """Return the id of a run, which are numbered from the oldest, 1, on."""
    return f"run_{number:026}"


def parsed(time: str | None) -> datetime | None:
    """Return a time that a server printed."""
    return None if time is None else datetime.fromisoformat(time)


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


@contextmanager
def _without_indexes(connection: sqlite3.Connection, *tables: str) -> Generator[None]:
    """Do without the indexes of some tables while the block runs.

    The statistics that the planner goes by are the product's own, and go with an index that is dropped.
    """
    connection.execute("CREATE TEMP TABLE statistics AS SELECT * FROM sqlite_stat1")
    marks = ", ".join("?" for _ in tables)
    indexes = connection.execute(
        f"SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL AND tbl_name IN ({marks})", tables
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        connection.execute(definition)
    connection.execute("DELETE FROM sqlite_stat1")
    connection.execute("INSERT INTO sqlite_stat1 SELECT * FROM temp.statistics")


def _multiply(connection: sqlite3.Connection, runs: int) -> None:
    (now,) = connection.execute("SELECT created_at FROM sample_runs").fetchone()
    tasks = runs // RUNS_OF_TASK
    at = f"{now} - ({runs} - n) * {_STEP}"
    waits = f"n % {runs // _SPECIAL} = 0"
    _copy(
        connection,
        "tasks",
        _numbers(1, tasks),
        {
            "id": "printf('task_%026d', n)",
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
        _numbers(1, runs),
        {
            "id": "printf('run_%026d', n)",
            "task_id": f"printf('task_%026d', (n - 1) % {tasks} + 1)",
            "number": f"(n - 1) / {tasks} + 1",
            "status": f"CASE WHEN {waits} THEN 'AWAITING_APPROVAL' ELSE {_ENDS} END",
            "labels": f"CASE WHEN {waits} THEN json_array({_LABELS}, '{RARE}') ELSE json_array({_LABELS}) END",
            "created_at": at,
            "started_at": f"{at} + 1000",
            "completed_at": f"CASE WHEN {waits} THEN NULL ELSE {at} + 2000000 END",
            "duration": f"CASE WHEN {waits} THEN NULL ELSE n * 7919 % 100003 / 10.0 END",
        },
    )


def _label(connection: sqlite3.Connection, runs: int) -> None:
    """Have the labels of all runs for searches, in the order in which the table keeps them."""
    shards = [(f"shard-{n}", n or 8, 8) for n in range(8)]
    for label, first, step in [("nightly", 1, 1), (RARE, runs // _SPECIAL, runs // _SPECIAL), *shards]:
        number = f"({first} + n * {step})"
        connection.execute(
            f"{_numbers(0, (runs - first) // step)} INSERT INTO run_labels (tenant, label, created_at, run_id) "
            f"SELECT tenant, ?, created_at - ({runs} - {number}) * {_STEP}, printf('run_%026d', {number}) "
            "FROM series CROSS JOIN sample_runs",
            [label],
        )


def _remember(connection: sqlite3.Connection, runs: int, events: int) -> None:
    """Give the newest runs but the last the events of the real one, run after run."""
    (each,) = connection.execute("SELECT count(*) FROM sample_events WHERE sequence NOT NULL").fetchone()
    histories = -(-events // each)
    assert histories < runs
    _copy(
        connection,
        "events",
        _numbers(runs - histories, runs - 1),
        _of_run("n", runs, "sample.sequence"),
        "sample.sequence NOT NULL",
    )


def _lengthen(connection: sqlite3.Connection, runs: int, longest: int) -> None:
    """Give the last run the events of the real one, its line in the log again and again."""
    (line,) = connection.execute("SELECT sequence FROM sample_events WHERE type = 'LOG'").fetchone()
    (last,) = connection.execute("SELECT max(sequence) FROM sample_events").fetchone()
    more = longest - last
    sequence = f"CASE WHEN n <= {line} THEN n WHEN n > {line + more} THEN n - {more} ELSE {line} END"
    columns = _of_run(str(runs), runs, "n")
    _copy(connection, "events", _numbers(1, longest), columns, f"sample.sequence = {sequence}")
    connection.execute("UPDATE runs SET last_sequence = ? WHERE id = ?", [longest, run_id(runs)])


def _of_run(run: str, runs: int, sequence: str) -> dict[str, str]:
    """Return the columns of an event of a run, given by an expression for its number."""
    return {
        "pos": "NULL",
        "id": f"printf('event_%026d_%d', {run}, {sequence})",
        "run_id": f"printf('run_%026d', {run})",
        "task_id": f"printf('task_%026d', ({run} - 1) % {runs // RUNS_OF_TASK} + 1)",
        "sequence": sequence,
    }


def _copy(
    connection: sqlite3.Connection, table: str, numbers: str, others: Mapping[str, str], where: str = "true"
) -> None:
    """Copy the sample rows of a table for each number `n`, one after the other; some columns are made of it.

    A cross join is done in the order in which it is written, and so needs no sort:
    https://www.sqlite.org/optoverview.html#manual_control_of_query_plans_using_cross_join.
    """
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(others.get(column, f"sample.{column}") for column in columns)
    connection.execute(
        f"{numbers} INSERT INTO {table} SELECT {values} FROM series CROSS JOIN sample_{table} sample WHERE {where}"
    )


def _numbers(first: int, last: int) -> str:
    return f"WITH RECURSIVE series(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last})"
