"""Looks whether a database holds what it should; changes nothing, and may be asked while a server works."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

from sqlalchemy import Integer, bindparam, select

from domain.events import TERMINAL, Event
from domain.fold import RunState, replay
from domain.model import Run
from domain.store import RunScope
from domain.transitions import FINAL
from storage.connections import Borrowed, open_reader
from storage.errors import StorageError
from storage.event_log import SqlEventReads
from storage.migrate import HEAD
from storage.plans import state_of
from storage.session import Session
from storage.shapes import RUN
from storage.tables import runs

SAMPLE: Final = 1_000
"""Runs with their history, the newest ones, whose state is rebuilt from the log unless all are to be."""

_PAGE: Final = 500
_BUSY_TIMEOUT: Final = 5.0

# What the log does not tell: who a run belongs to, its labels, and what the engine keeps for itself.
_UNTOLD: Final = ("id", "tenant", "task_id", "labels", "held", "owner", "lease_until", "attempt", "begun", "traces")

_BLANKS: Final = ("number", "team", "created_at")
_NEWEST: Final = (
    select(*RUN.columns())
    .where(runs.c.horizon.is_(None))
    .order_by(runs.c.created_at.desc(), runs.c.id.desc())
    .limit(bindparam("limit", type_=Integer()))
)

_EVENTS: Final = """
    SELECT run_id, count(*) AS events, min(sequence) AS first, max(sequence) AS last,
        sum(type IN ({terminal})) AS ends, max(CASE WHEN type IN ({terminal}) THEN sequence END) AS ended_at
    FROM events WHERE sequence IS NOT NULL GROUP BY run_id
"""
_SEQUENCES: Final = """
    SELECT r.id, r.last_sequence, coalesce(e.events, 0), e.first, coalesce(e.last, 0) FROM runs r
    LEFT JOIN ({events}) e ON e.run_id = r.id
    WHERE r.horizon IS NULL
        AND (coalesce(e.events, 0) <> r.last_sequence OR coalesce(e.last, 0) <> r.last_sequence OR e.first <> 1)
"""
_ENDS: Final = """
    SELECT r.id, r.status, e.ends, e.ended_at, e.last FROM runs r JOIN ({events}) e ON e.run_id = r.id
    WHERE r.horizon IS NULL AND (e.ends <> (r.status IN ({final})) OR (e.ends = 1 AND e.ended_at <> e.last))
"""
_REMAINS: Final = """
    SELECT r.id FROM runs r WHERE r.forgotten
        AND (EXISTS (SELECT 1 FROM events WHERE run_id = r.id) OR EXISTS (SELECT 1 FROM logs WHERE run_id = r.id))
"""
_STRAYS: Final = """
    SELECT DISTINCT run_id FROM events WHERE sequence IS NOT NULL AND run_id NOT IN (SELECT id FROM runs)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at, and what is wrong with it.

    Attributes:
        extent: How much was looked at, such as "12 runs".
    """

    name: str
    extent: str
    problems: Sequence[str]


async def inspect(path: Path, *, all_runs: bool) -> AsyncIterator[Check]:
    """Look at one thing after the other; a thing that others need, and that is not as it should be, is the last.

    Args:
        path: The database.
        all_runs: Rebuild every run from the log, and not the newest `SAMPLE` alone.

    Raises:
        StorageError: It can't be read at all.
    """
    try:
        with closing(_open(path)) as connection:
            for check in _tables(connection):
                yield check
                if check.problems and check.name in {"pages", "schema"}:
                    return
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StorageError(f"The database {path} can't be read: {error}.") from None
    yield await _states(path, None if all_runs else SAMPLE)


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise StorageError(f"There is no database {path}.")
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("BEGIN")  # one moment for all that is compared
    return connection


def _tables(connection: sqlite3.Connection) -> Iterator[Check]:
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    yield Check(name="pages", extent=f"{pages} pages", problems=[] if found == ["ok"] else found)
    yield _schema(connection)
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    yield Check(
        name="references",
        extent="all tables",
        problems=[
            f"row {row} of {table} refers to a row of {parent} that is not there" for table, row, parent, _ in broken
        ],
    )
    (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    yield Check(name="sequences", extent=f"{count} events", problems=list(_sequences(connection)))
    (count,) = connection.execute("SELECT count(*) FROM runs WHERE horizon IS NULL").fetchone()
    yield Check(name="ends", extent=f"{count} runs", problems=list(_ends(connection)))


def _schema(connection: sqlite3.Connection) -> Check:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        row = None
    match row:
        case None:
            problems = ["it is no database of mgx"]
        case (revision,) if revision > HEAD:
            problems = [f"it is of a newer version of mgx, at revision {revision}; this one knows {HEAD}"]
        case (revision,) if revision < HEAD:
            problems = [f"it is at revision {revision}; bring it to {HEAD} by `mgx migrate`"]
        case _:
            problems = []
    return Check(name="schema", extent=f"revision {HEAD}", problems=problems)


def _sequences(connection: sqlite3.Connection) -> Iterator[str]:
    for run_id, expected, events, first, last in connection.execute(_with_words(_SEQUENCES)):
        yield f"run {run_id} should have the events 1 to {expected}, and has {events}, from {first} to {last}"
    for (run_id,) in connection.execute(_REMAINS):
        yield f"the history of run {run_id} was removed, and some of it is there"
    for (run_id,) in connection.execute(_STRAYS):
        yield f"there are events of run {run_id}, which is not there"


def _ends(connection: sqlite3.Connection) -> Iterator[str]:
    for run_id, status, ends, ended_at, last in connection.execute(_with_words(_ENDS)):
        place = f", the last at {ended_at} of {last}" if ends else ""
        yield f"run {run_id} is {status} and has {ends} terminal events{place}"


def _with_words(statement: str) -> str:
    """Put the events by run and lists of our own words into a statement."""
    terminal, final = (", ".join(f"'{word}'" for word in sorted(words)) for words in (TERMINAL, FINAL))
    return statement.format(events=_EVENTS.format(terminal=terminal), final=final)


async def _states(path: Path, limit: int | None) -> Check:
    """Rebuild runs from the log, and compare them with what is kept."""
    async with open_reader(path, busy_timeout=_BUSY_TIMEOUT) as connection:
        session = Session(Borrowed(connection), None)
        problems: list[str] = []
        rows = await session.rows(_NEWEST, limit=-1 if limit is None else limit)
        for row in rows:
            run = RUN.read(row)
            log = await _events(SqlEventReads(session, ""), run)
            difference = _difference(await state_of(session, run), log)
            if difference:
                problems.append(f"run {run.id} is not what its events tell: {difference}")
        return Check(name="states", extent=f"{len(rows)} runs rebuilt from their events", problems=problems)


async def _events(reads: SqlEventReads, run: Run) -> list[Event]:
    """Return a run's own events."""
    found: list[Event] = []
    while page := await reads.after(RunScope(run.id), found[-1].pos if found else 0, limit=_PAGE):
        found += page
    return [event for event in found if event.sequence is not None]


def _difference(kept: RunState, log: Sequence[Event]) -> str:
    """Say in which fields a run differs from what its events make of it; nothing if in none."""
    untold = {name: getattr(kept.run, name) for name in _UNTOLD}
    blank = Run(**untold, **{name: getattr(kept.run, name) for name in _BLANKS})
    try:
        told = replay(blank, log)
    except Exception as error:  # events in an order that can't be
        return f"they can't be replayed ({type(error).__name__})"
    told = replace(told, run=replace(told.run, **untold))
    different = [field.name for field in fields(Run) if getattr(told.run, field.name) != getattr(kept.run, field.name)]
    different += [name for name in ("plan", "decisions") if getattr(told, name) != getattr(kept, name)]
    return ", ".join(different)
