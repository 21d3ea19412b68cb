"""What can go wrong with a database: at the start, for the operator; later, for the domain."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import StoreBusyError, StoreError, StoreFullError

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# https://www.postgresql.org/docs/18/errcodes-appendix.html
_FULL_STATES: Final = frozenset({"53100", "25006", "58030"})  # disk full, read-only, input or output failed
_DAMAGED_STATES: Final = frozenset({"XX001", "XX002"})
_BUSY_CLASSES: Final = frozenset({"08", "25", "40", "53", "55", "57"})  # of connections, conflicts, locks and shutdowns
_PRIMARY: Final = 0xFF  # the low byte of an extended result code (https://www.sqlite.org/rescode.html)


class StorageError(Exception):
    """The database can't be opened; the message is one sentence that its operator can act on."""


class LostError(Exception):
    """The connection to the server broke, or was given up."""


def result_code(error: BaseException | None) -> int | None:
    """Return SQLite's primary result code of a driver's error, None where it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & _PRIMARY


class translated:  # noqa: N801  # it is used as a function, which would make a generator for each statement
    """Raise what the domain calls a driver's error, a StoreError; one that is a mistake of ours stays as it is."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception) and (translation := _translation(error)) is not None:
            raise translation from error


def _translation(error: Exception) -> StoreError | None:
    if isinstance(error, PoolTimeoutError):
        return StoreBusyError("All connections to the database are in use; try again.")
    if isinstance(error, DBAPIError):
        return known(error.orig, is_lost=error.connection_invalidated)
    return known(error, is_lost=isinstance(error, LostError))


def known(error: BaseException | None, *, is_lost: bool = False) -> StoreError | None:
    """Return what the domain calls a driver's own error; None for one that is a mistake of ours.

    Args:
        error: Of sqlite3 or psycopg.
        is_lost: Whether the connection is known to be gone.
    """
    code, state = result_code(error), getattr(error, "sqlstate", None)
    if code in _FULL or state in _FULL_STATES:
        return StoreFullError(f"The database can't be written now: {error}.")
    if code in _DAMAGED or state in _DAMAGED_STATES:
        return StoreError(f"The database is damaged: {error}.")
    if code in _BUSY or is_lost or _is_unreachable(error) or (state is not None and state[:2] in _BUSY_CLASSES):
        return StoreBusyError("The database is busy or can't be reached; try again.")
    return None


def _is_unreachable(error: BaseException | None) -> bool:
    """Whether PostgreSQL could not be asked at all, or went away: psycopg's OperationalError without a state."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return "OperationalError" in kinds and getattr(error, "sqlstate", "") is None
