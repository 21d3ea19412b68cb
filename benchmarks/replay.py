"""What the writer's connection executes, noted, and executed again by plain sqlite3: what it costs without us."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias
from unittest.mock import patch

from storage.connections import SqliteLink
from storage.statements import Params, Query, Statement
from storage.writing import BEGIN, WritingLink

Transaction: TypeAlias = "list[tuple[str, Sequence[Sequence[Any]]]]"
"""Statements with their rows of parameters, between BEGIN and COMMIT."""

_FLOOR: Final = "UPDATE probe SET value = value + 1"


@contextmanager
def noted() -> Iterator[list[Transaction]]:
    """Note the transactions that are committed in the block, by whom does one after the other."""
    found: list[Transaction] = []
    pending: defaultdict[SqliteLink, Transaction] = defaultdict(list)
    fetch, hand_over, commit = SqliteLink.fetch, SqliteLink.hand_over, WritingLink.commit

    async def note_fetch(link: SqliteLink, *queries: Query) -> Any:
        pending[link] += [(statement.text, [statement.bind(params)]) for statement, params in queries]
        return await fetch(link, *queries)

    def note_hand_over(link: SqliteLink, statement: Statement, rows: Sequence[Params]) -> None:
        pending[link].append((statement.text, [statement.bind(row) for row in rows]))
        hand_over(link, statement, rows)

    async def note_commit(link: WritingLink) -> None:
        await commit(link)
        found.append(pending.pop(link))

    with (
        patch.object(SqliteLink, "fetch", note_fetch),
        patch.object(SqliteLink, "hand_over", note_hand_over),
        patch.object(WritingLink, "commit", note_commit),
    ):
        yield found


def replayed(path: Path, transactions: Sequence[Transaction]) -> float:
    """Execute transactions on a database as it was before them; return the commits a second.

    Durability and foreign keys are those of our writer (`storage.store`): WAL, FULL, ON.
    """
    with _opened(path) as connection:
        began = time.perf_counter()
        for transaction in transactions:
            connection.execute(BEGIN)
            for operation, rows in transaction:
                if len(rows) > 1:
                    connection.executemany(operation, rows)
                else:
                    connection.execute(operation, *rows).fetchall()
            connection.execute("COMMIT")
        return len(transactions) / (time.perf_counter() - began)


def floor(path: Path, commits: int) -> float:
    """Return the commits a second that change one number: what the disk allows."""
    with _opened(path) as connection:
        connection.execute("CREATE TABLE probe (value INTEGER)")
        connection.execute("INSERT INTO probe VALUES (0)")
        began = time.perf_counter()
        for _ in range(commits):
            connection.execute(BEGIN)
            connection.execute(_FLOOR)
            connection.execute("COMMIT")
        return commits / (time.perf_counter() - began)


def copied(database: Path, folder: Path) -> Path:
    """Return a copy of a database that nobody has open, in a new folder."""
    folder.mkdir()
    copy = folder / database.name
    shutil.copy(database, copy)
    return copy


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        ((mode,),) = connection.execute("PRAGMA journal_mode")
        assert mode == "wal", mode
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        yield connection
