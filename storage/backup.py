"""Backups of a database file: made while a server works on it, and put back where none does.

A backup is one file, a copy of the database as it was at one moment: SQLite's backup API reads it in one transaction
(https://www.sqlite.org/backup.html), which keeps no writer waiting.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from storage import database
from storage.errors import StorageError
from storage.migrate import HEAD

# The database first: what is left without it, should we end in between, is not taken for a database.
_COMPANIONS: Final = ("", "-wal", "-shm")


def back_up(path: Path, target: Path) -> None:
    """Copy a database to a new file, which appears when it is whole.

    Raises:
        StorageError: There is no whole database of ours, or the target exists or can't be written.
    """
    _require(path)
    with _reserved(target), _beside(target) as copy:
        _copy(path, copy)
        _check(copy, path)
        os.replace(copy, target)
        _sync(target.parent)


def restore(source: Path, path: Path) -> Path | None:
    """Put a backup in the place of a database that no process has.

    The log gets a new name, so that cursors into the log as it went on after the backup are refused as foreign.

    Returns:
        Where the database that was there is now, None where there was none.

    Raises:
        StorageError: The backup is none of a version that we know, or is damaged; or a process has the database.
    """
    _require(source)
    with database.owned(path), _beside(path) as copy:
        _copy(source, copy)
        _check(copy, source)
        _rename_log(copy)
        replaced = _move_away(path)
        os.replace(copy, path)
        _sync(path.parent)
        return replaced


def _require(path: Path) -> None:
    if not path.is_file():
        raise StorageError(f"There is no database {path}.")


@contextmanager
def _reserved(target: Path) -> Iterator[None]:
    """Claim a name that nobody has, and give it up again if there is nothing to put there."""
    try:
        target.open("xb").close()
    except FileExistsError:
        raise StorageError(f"{target} exists; a backup never overwrites: name another file.") from None
    except OSError as error:
        raise StorageError(f"{target} can't be written: {error.strerror}.") from None
    try:
        yield
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield the name of an empty file in the same directory, which is removed if it is still there in the end."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
    except OSError as error:
        raise StorageError(f"{path.parent} can't be written: {error.strerror}.") from None
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
            reader.backup(writer)
            writer.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of SQLite's message, which quotes what it found
        raise StorageError(f"{source} can't be copied to {target.parent}: {error}.") from None


def _check(copy: Path, source: Path) -> None:
    """See that a copy is whole and a database of a version that we know."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            (logs,) = connection.execute("SELECT count(*) FROM log").fetchone()
    except (sqlite3.Error, TypeError):
        raise StorageError(f"{source} is no database of mgx.") from None
    if found != "ok":
        raise StorageError(f"{source} is damaged: {found}.")
    if revision > HEAD:
        raise StorageError(f"{source} is of a newer version of mgx: revision {revision}, here {HEAD}.")
    if logs != 1:
        raise StorageError(f"{source} is damaged: its log has {logs} names.")


def _rename_log(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE log SET log_id = ?", [secrets.token_hex(16)])


def _move_away(path: Path) -> Path | None:
    """Rename a database with what SQLite keeps beside it, and return its new name; None where there is none.

    A -wal without its database is moved as well: SQLite would play it back into whatever comes in its place.
    """
    exists = path.exists()
    away = path.with_name(f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    for companion in _COMPANIONS:
        part = path.with_name(f"{path.name}{companion}")
        if part.exists():
            os.replace(part, away.with_name(f"{away.name}{companion}"))
    return away if exists else None


def _sync(directory: Path) -> None:
    """Have a rename survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
