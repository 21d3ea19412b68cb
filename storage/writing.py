"""The connection that writes: what is short where it is called, all else on its thread."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from storage.connections import SqliteLink
from storage.driver import LimitedConnection

BEGIN: Final = "BEGIN IMMEDIATE"
"""What a transaction begins with that writes: it locks the database against other writers."""

_UNDO_IN_MEMORY: Final = "PRAGMA temp_store = MEMORY"
"""What a savepoint needs to be taken back; else SQLite makes a file for it, which costs more than the statements."""

_UNDO_IN_FILE: Final = "PRAGMA temp_store = DEFAULT"
"""For what may be much."""

_AT_ONCE: Final = "PRAGMA busy_timeout = 0"
"""For whoever can't wait here until another process is done with the database."""

_SAVEPOINT: Final = "SAVEPOINT part"
_RELEASE: Final = "RELEASE part"
_ROLL_BACK: Final = "ROLLBACK TO part"


class WritingConnection(LimitedConnection):
    """A driver's connection that goes to its thread for the sync of a commit, and for what may take long.

    SQLite reads or changes a few rows in less time than it takes to tell a thread. Where a transaction is short, all of
    its statements are executed where they are called. Of any other, the queries before its first change are; the
    changes are handed over, and what follows them goes to the thread, too. So each waits for the thread once, in its
    commit. Nothing is under way there but while something is waited for, so whoever begins here finds the connection
    at rest.

    Attributes:
        is_unchanged: Whether a transaction that is not short was begun here and has changed nothing, so that the
            connection is at rest.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection], *, busy_timeout: float) -> None:
        super().__init__(connector)
        self._patience = f"PRAGMA busy_timeout = {round(1000 * busy_timeout)}"
        self._in_force: tuple[str, ...] = ()
        self._is_short = False
        self.is_unchanged = False

    def begin(self) -> None:
        """Begin a transaction: here, or else on the thread; should it fail, what follows fails with its error."""
        try:
            self._begin_here(_UNDO_IN_FILE)
        except sqlite3.Error:
            for operation in (*self._due(_UNDO_IN_FILE, self._patience), BEGIN):
                self.hand_over(operation)
        else:
            self.is_unchanged = True

    async def begin_short(self) -> None:
        """Begin a transaction whose statements are executed where they are called; they must be short."""
        try:
            self._begin_here(_UNDO_IN_MEMORY)
        except sqlite3.OperationalError:  # another process has the database, which takes as long as it takes
            for operation in (*self._due(_UNDO_IN_MEMORY, self._patience), BEGIN):
                await super().fetch(operation)
        self._is_short = True

    async def fetch(self, operation: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Execute a query, after all that was handed over, and return its rows."""
        if self._is_short:
            self.check()
            return self._fetch(operation, parameters)
        rows = self._read_here(monotonic(), operation, parameters) if self.is_unchanged else None
        return await super().fetch(operation, parameters) if rows is None else rows

    def hand_over(self, operation: str, *parameters: Sequence[Any]) -> None:
        """Have a statement executed; should it fail, what follows fails with its error, up to the rollback."""
        if self._is_short:
            self._attempt(operation, parameters)
        else:
            self.is_unchanged = False
            super().hand_over(operation, *parameters)

    def check(self) -> None:
        """Raise what failed of what was handed over."""
        if self._failure is not None:
            raise self._failure

    def keep(self) -> None:
        """Make what was done here since the savepoint a part of the transaction; raises what failed in it."""
        self._unless_failed(partial(self._conn.execute, _RELEASE))

    def take_back(self) -> bool:
        """Take back what was done here since the savepoint; False if SQLite has taken back the whole transaction.

        It does so where it has no room, among others (https://www.sqlite.org/lang_transaction.html, 3.1).
        """
        self._failure = None
        if self._conn.in_transaction:
            self._conn.execute(_ROLL_BACK)
            self._conn.execute(_RELEASE)
        return self._conn.in_transaction

    async def commit(self) -> None:
        """Commit what was done, on the thread; where nothing was changed there is nothing to sync."""
        if self.is_unchanged:
            self._unless_failed(self._conn.commit)
        else:
            await self._wait_for(partial(self._unless_failed, self._conn.commit))
        self._is_short = self.is_unchanged = False

    async def rollback(self) -> None:
        """Take back what the transaction did, if there is one, and forget that something in it failed."""
        self._in_force = ()  # as a failure may have kept them from it
        if self._is_short or self.is_unchanged:
            self._is_short = self.is_unchanged = False
            self._roll_back()
        else:
            await self._wait_for(self._roll_back)

    def _begin_here(self, undo: str) -> None:
        self.check()
        for operation in (*self._due(undo, _AT_ONCE), BEGIN):
            self._conn.execute(operation)

    def _due(self, *settings: str) -> tuple[str, ...]:
        """Return those of some settings that are not in force, and take them to be."""
        if settings == self._in_force:
            return ()
        due, self._in_force = tuple(one for one in settings if one not in self._in_force), settings
        return due


class WritingLink(SqliteLink):
    """An open connection that writes."""

    def __init__(self, driver: WritingConnection) -> None:
        super().__init__(driver, BEGIN)
        self._writer = driver

    async def begin(self) -> None:
        """Begin a transaction of short statements, which are executed where they are called."""
        await self._writer.begin_short()
        self.has_begun = True

    def check(self) -> None:
        """Raise what failed so far."""
        self._writer.check()

    def mark(self) -> None:
        """Begin a part that can be taken back alone."""
        self._writer.hand_over(_SAVEPOINT)

    def keep(self) -> None:
        """End such a part; raises what failed in it."""
        self._writer.keep()

    def take_back(self) -> bool:
        """Take back such a part; False if all of the transaction had to be taken back."""
        return self._writer.take_back()

    @property
    def has_changed(self) -> bool:
        """Whether there is something to commit that readers do not see yet."""
        return self.has_begun and not self._writer.is_unchanged

    async def commit(self) -> None:
        """Commit what was done, if anything."""
        if self.has_begun:
            await self._writer.commit()
            self.has_begun = False

    async def roll_back(self) -> None:
        """Take back what was not committed."""
        if self.has_begun:
            self.has_begun = False
            await self._writer.rollback()

    def _begin(self) -> None:
        self.has_begun = True
        self._writer.begin()


async def connect(path: Path, *, busy_timeout: float) -> WritingConnection:
    """Open a database file; statements outside BEGIN and COMMIT stand for themselves.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another process's lock.
    """
    connection = WritingConnection(
        lambda: sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False),
        busy_timeout=busy_timeout,
    )
    await connection
    connection.limit()
    return connection


@asynccontextmanager
async def open_writer(path: Path, *, pragmas: Sequence[str], busy_timeout: float) -> AsyncGenerator[WritingLink]:
    """Open a connection to a database file that locks it for writing when a transaction begins.

    Args:
        path: The file.
        pragmas: What to set up first.
        busy_timeout: Seconds to wait when another process has the database locked.
    """
    driver = await connect(path, busy_timeout=busy_timeout)
    try:
        for pragma in pragmas:
            await driver.fetch(pragma)
        yield WritingLink(driver)
    finally:
        await driver.close()
