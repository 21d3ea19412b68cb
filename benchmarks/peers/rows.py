"""What peers in Python read without SQLAlchemy: our tables by `sqlite3`, rows with their task in one statement.

A cursor is the key of a run, so that all do the same work.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

TENANT: Final = "default"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = (
    "runs.id, number, runs.status, priority, runs.labels, runs.created_at, started_at, completed_at, duration, "
    "tasks.id, tasks.name"
)
_FROM: Final = f"SELECT {_COLUMNS} FROM runs JOIN tasks ON tasks.id = runs.task_id"
_PAGE: Final = f"{_FROM} WHERE runs.tenant = ? ORDER BY runs.created_at DESC, runs.id DESC LIMIT ?"
_NEXT: Final = (
    f"{_FROM} WHERE runs.tenant = ? AND (runs.created_at, runs.id) < (?, ?) "
    "ORDER BY runs.created_at DESC, runs.id DESC LIMIT ?"
)
_ONE: Final = f"{_FROM} WHERE runs.id = ? AND runs.tenant = ?"

Json: TypeAlias = dict[str, Any]


class Runs:
    """Runs in a database, as dicts of what is answered."""

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None)

    def page(self, first: int, after: str | None = None) -> Json:
        """Return so many runs, newest first, after a cursor."""
        if after is None:
            rows = self._connection.execute(_PAGE, (TENANT, first + 1)).fetchall()
        else:
            rows = self._connection.execute(_NEXT, (TENANT, *decode_cursor(after), first + 1)).fetchall()
        kept = rows[:first]
        end = encode_cursor(kept[-1][5], kept[-1][0]) if kept else None
        return {
            "nodes": [_run(row) for row in kept],
            "pageInfo": {"hasNextPage": len(rows) > first, "endCursor": end},
        }

    def one(self, run_id: str) -> Json | None:
        """Return a run, if there is one with the id."""
        row = self._connection.execute(_ONE, (run_id, TENANT)).fetchone()
        return None if row is None else _run(row)


def encode_cursor(created_at: int, run_id: str) -> str:
    """Return the cursor of a run."""
    return base64.urlsafe_b64encode(f"{created_at}:{run_id}".encode()).decode()


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Return the time and id that a cursor holds."""
    created_at, _, run_id = base64.urlsafe_b64decode(cursor).decode().partition(":")
    return int(created_at), run_id


def from_micros(micros: int) -> datetime:
    """Return a time of a column."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(time: datetime) -> int:
    """Return a time as a column has it."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def _run(row: Sequence[Any]) -> Json:
    return {
        "id": row[0],
        "number": row[1],
        "status": row[2],
        "priority": row[3],
        "labels": orjson.loads(row[4]),
        "createdAt": from_micros(row[5]),
        "startedAt": None if row[6] is None else from_micros(row[6]),
        "completedAt": None if row[7] is None else from_micros(row[7]),
        "duration": row[8],
        "task": {"id": row[9], "name": row[10]},
    }
