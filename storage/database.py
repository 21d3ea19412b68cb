"""A database file: where it is, that it is ours alone, and that it is whole."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StorageError, result_code

_SCHEMES: Final = ("sqlite", "sqlite+aiosqlite")
_MEMORY: Final = (None, "", ":memory:")
_CHECKED_WHOLE: Final = 64 * 1024 * 1024
"""Bytes of a file that is read from end to end before it is used, which takes some 5 ms a MiB."""


@contextmanager
def locate(url: str) -> Iterator[Path]:
    """Yield the file that a database URL names.

    A database in memory is a file in a temporary directory, removed in the end: SQLite's own databases in memory give
    no two connections a consistent view.

    Raises:
        StorageError: The URL is none, or of a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageError(f"{url!r} is no database URL; one looks like sqlite+aiosqlite:///./mgx.db.") from None
    if parsed.drivername not in _SCHEMES or parsed.host or parsed.query:
        shown = parsed.render_as_string()
        raise StorageError(f"The database {shown} is not supported; use one like sqlite+aiosqlite:///./mgx.db.")
    if parsed.database in _MEMORY:
        with tempfile.TemporaryDirectory(prefix="mgx-") as directory:
            yield Path(directory) / "memory.db"
    else:
        path = Path(str(parsed.database))
        if not path.parent.is_dir():
            raise StorageError(f"The directory of the database {path} does not exist; make it first.")
        yield path


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Keep every other process off a database file, for as long as the block or the process lasts.

    The lock is SQLite's own, on an empty file beside the database: it works wherever SQLite does and goes with its
    process, however that ends.

    Raises:
        StorageError: Another process has the database.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        lock = sqlite3.connect(beside, timeout=0, isolation_level=None)
    except sqlite3.Error as error:
        raise StorageError(_explain(path, error)) from None
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise StorageError(_explain(path, error)) from None
        yield


def check(path: Path) -> None:
    """See that a file is a whole database that can be written, or one that is still to be made; switch it to WAL.

    Of a large one only the size and the schema are looked at, so that a start takes no longer the more is kept.

    Raises:
        StorageError: It is damaged, no database at all, or read-only.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            part = "1" if path.stat().st_size <= _CHECKED_WHOLE else "sqlite_schema"
            (found,) = connection.execute(f"PRAGMA quick_check({part})").fetchone()
            if found != "ok":
                reason = " ".join(found.split())
                raise StorageError(f"The database {path} is damaged; restore it from a backup: {reason}.")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN")
            connection.execute("PRAGMA user_version = 0")  # a write; BEGIN IMMEDIATE is content with a read-only file
            connection.execute("ROLLBACK")
    except UnicodeDecodeError:  # of SQLite's own message, which quotes what it found
        raise StorageError(f"The database {path} is damaged; restore it from a backup.") from None
    except sqlite3.Error as error:
        raise StorageError(_explain(path, error)) from None


def _explain(path: Path, error: sqlite3.Error) -> str:
    match result_code(error):
        case sqlite3.SQLITE_NOTADB:
            return f"The file {path} is not a database; name another, or move it away."
        case sqlite3.SQLITE_CORRUPT:
            return f"The database {path} is damaged; restore it from a backup: {error}."
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"The database {path} can't be written; make it and its directory writable: {error}."
        case sqlite3.SQLITE_BUSY:
            return f"Another process serves from the database {path}; stop it first."
        case _:
            return f"The database {path} can't be opened: {error}."
