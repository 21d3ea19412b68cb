"""What can go wrong with a database: at the start, for the operator; later, for the domain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

from domain.errors import StoreBusyError, StoreError, StoreFullError

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY: Final = 0xFF  # the low byte of an extended result code (https://www.sqlite.org/rescode.html)


class StorageError(Exception):
    """The database can't be opened; the message is one sentence that its operator can act on."""


def result_code(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code of a driver's error, None where it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & _PRIMARY


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the domain calls a driver's error; an error that is a mistake of ours stays as it is.

    Raises:
        StoreError: The database can't do it now.
    """
    try:
        yield
    except DBAPIError as error:
        code = result_code(error.orig)
        if code in _BUSY:
            raise StoreBusyError("The database is busy; try again.") from error
        if code in _FULL:
            raise StoreFullError(f"The database can't be written now: {error.orig}.") from error
        if code in _DAMAGED:
            raise StoreError(f"The database is damaged: {error.orig}.") from error
        raise
