"""aiosqlite with as few hops to its thread as can be: a hop costs more than most of our statements.

Stock aiosqlite goes to the thread of the connection to open a cursor, to execute, to fetch and to close. Here a
statement executes and fetches in one hop, and one whose outcome nobody waits for (a BEGIN, a change) is only handed
over: it takes no hop at all. Should it fail, all that follows it fails with its error, up to the rollback.

Where nothing is under way on the thread, what is short is read where it is called. A connection that only reads goes to
its thread for what takes long, and for nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import get_ident
from time import monotonic
from typing import Any, Final

import aiosqlite

from storage.uninterrupted import settled

_STEPS: Final = 20_000
"""Of SQLite's virtual machine after which a read is not short; a row of a list takes some 50."""

_LONG_FOR: Final = 10.0
"""Seconds for which a statement that was not short goes to the thread at once."""

_TURN: Final = 0.002
"""Seconds of reading after which others have a turn of the loop."""

_KNOWN: Final = 500
"""Statements that are remembered as such."""


class PipelinedConnection(aiosqlite.Connection):
    """An aiosqlite connection that can be handed statements, and whose calls are never left half done.

    A call that is waited for is so to its end, even when the task is cancelled meanwhile; the cancellation goes on at
    the task's next wait. So a statement is never given up in the middle, and a commit is known to have happened or not.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # a connection that was not closed must not keep the process alive
        self._failure: Exception | None = None  # the thread's own

    async def fetch(self, operation: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Execute a statement, after all that was handed over, and return its rows."""
        rows: list[Any] = await self._execute(self._fetch, operation, parameters)
        return rows

    def hand_over(self, operation: str, *parameters: Sequence[Any]) -> None:
        """Have a statement executed, once for each row of parameters, without waiting for it."""
        self._tx.put_nowait((None, partial(self._attempt, operation, parameters)))

    async def on_thread(self, call: Callable[[sqlite3.Connection], None]) -> None:
        """Call something with the connection, on its thread, after all that was handed over."""
        await self._execute(call, self._conn)

    async def rollback(self) -> None:
        """Take back what the transaction did, if there is one, and forget that something in it failed; no hop."""
        self._tx.put_nowait((None, self._roll_back))

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self._wait_for(partial(self._unless_failed, partial(fn, *args, **kwargs)))

    async def _wait_for(self, call: Callable[[], Any]) -> Any:
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, call))
        return await settled(future)

    # On the connection's thread

    def _fetch(self, operation: str, parameters: Sequence[Any]) -> list[Any]:
        cursor = self._conn.execute(operation, parameters)
        try:
            return cursor.fetchall()
        finally:
            cursor.close()

    def _attempt(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        if self._failure is None:
            try:
                if len(parameters) > 1:
                    self._conn.executemany(operation, parameters).close()
                else:
                    self._conn.execute(operation, *parameters).close()
            except Exception as error:
                error.add_note(f"It was handed over before: {operation}")
                self._failure = error

    def _unless_failed(self, call: Callable[[], Any]) -> Any:
        if self._failure is not None:
            raise self._failure
        return call()

    def _roll_back(self) -> None:
        self._failure = None
        try:
            self._conn.rollback()
        except sqlite3.Error as error:
            self._failure = error


class LimitedConnection(PipelinedConnection):
    """A connection that can read where it is called, if what it reads is short.

    Most reads are a few rows by an index, which SQLite finds in less time than it takes to tell a thread; and while
    both threads run, each row waits for the interpreter's lock. What is not short stops after so many of SQLite's steps
    and begins again on the thread, as does what fails; so the loop is never held up for longer than that.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector)
        self._caller = get_ident()
        self._long: dict[str, float] = {}
        self._looks = 0
        self._stops = False

    def limit(self) -> None:
        """Begin to stop what is not short; to be called once the connection is open."""
        self._conn.set_progress_handler(self._is_too_long_here, _STEPS)

    def _read_here(self, now: float, operation: str, parameters: Sequence[Any]) -> list[Any] | None:
        """Execute a statement and return its rows, None if that is for the thread; nothing may be under way there."""
        if self._failure is None and self._long.get(operation, now) <= now:
            self._looks, self._stops = 0, True
            try:
                return self._fetch(operation, parameters)
            except sqlite3.OperationalError:
                if len(self._long) >= _KNOWN:
                    self._long.clear()
                self._long[operation] = now + _LONG_FOR
            finally:
                self._stops = False
        return None

    def _is_too_long_here(self) -> bool:
        # SQLite counts the steps of a statement on from its last use, so the first look may come at once.
        self._looks += 1
        return self._stops and self._looks > 1 and get_ident() == self._caller


class ReadingConnection(LimitedConnection):
    """A connection that only reads: what is short where it is called, and the rest on its thread.

    Whoever reads much lets others have a turn now and then. Nothing is under way on the thread but while `fetch` is
    waited for, which is once at a time. Nobody locks readers out: the database is in WAL mode
    (https://www.sqlite.org/wal.html#concurrency).
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector)
        self._read_for = 0.0

    async def fetch(self, operation: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Execute a statement and return its rows."""
        if self._read_for > _TURN:
            self._read_for = 0.0
            await asyncio.sleep(0)
        began = monotonic()
        rows = self._read_here(began, operation, parameters)
        self._read_for += monotonic() - began
        return await super().fetch(operation, parameters) if rows is None else rows

    def hand_over(self, operation: str, *parameters: Sequence[Any]) -> None:
        """Execute a statement; should it fail, what follows fails with its error, up to the rollback."""
        self._attempt(operation, parameters)

    def end(self) -> None:
        """End the transaction, if there is one, and forget that something in it failed."""
        self._roll_back()


async def connect_to_read(path: Path, *, busy_timeout: float) -> ReadingConnection:
    """Open a database file to read from it.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another process's lock.
    """
    connection = ReadingConnection(
        lambda: sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    )
    await connection
    await connection.fetch("PRAGMA query_only = ON")
    connection.limit()
    return connection
