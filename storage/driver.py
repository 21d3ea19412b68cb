"""aiosqlite with as few hops to its thread as can be: a hop costs more than most of our statements.

SQLAlchemy opens a cursor, executes, fetches and closes, and stock aiosqlite goes to the thread of the connection for
each of the four. Here a statement executes and fetches in one hop, and one whose outcome nobody waits for (a BEGIN, a
change) is only handed over: it takes no hop at all. Should it fail, all that follows it fails with its error, up to the
rollback.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiosqlite

Description = tuple[tuple[Any, ...], ...]


class PipelinedConnection(aiosqlite.Connection):
    """An aiosqlite connection that can be handed statements, and whose calls are never left half done.

    A call that is waited for is so to its end, even when the task is cancelled meanwhile; the cancellation goes on at
    the task's next wait. So SQLAlchemy never sees one inside a statement, where it would have to give up the
    connection, and a commit is known to have happened or not.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # a connection that was not closed must not keep the process alive
        self._failure: Exception | None = None  # the thread's own
        self.deferring = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hand over, without waiting, the statements that are executed in the block."""
        before, self.deferring = self.deferring, True
        try:
            yield
        finally:
            self.deferring = before

    def cursor(self) -> PipelinedCursor:  # type: ignore[override]  # what SQLAlchemy uses, not all of aiosqlite's
        """Open a cursor, without a hop."""
        return PipelinedCursor(self)

    async def on_thread(self, call: Callable[[sqlite3.Connection], None]) -> None:
        """Call something with the connection, on its thread, after all that was handed over."""
        await self._execute(call, self._conn)

    def hand_over(self, call: Callable[[sqlite3.Connection], None], operation: str) -> None:
        """Have something called with the connection, on its thread, without waiting for it."""
        self._tx.put_nowait((None, partial(self._attempt, call, operation)))

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
        cancelled = False
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError:
                cancelled = True
            except Exception:  # noqa: S110  # result() raises it
                pass
        if cancelled and (task := asyncio.current_task()) is not None:
            task.uncancel()  # the same cancellation, not a second one: asyncio.timeout counts them
            task.cancel()
        return future.result()

    # On the connection's thread

    def _attempt(self, call: Callable[[sqlite3.Connection], None], operation: str) -> None:
        if self._failure is None:
            try:
                call(self._conn)
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


class PipelinedCursor:
    """The part of a cursor that SQLAlchemy uses."""

    arraysize = 1

    def __init__(self, connection: PipelinedConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Description | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute a statement and fetch its rows."""
        return await self._send(lambda connection: connection.execute(operation, parameters), operation)

    async def executemany(self, operation: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Execute a statement once for each row of parameters."""
        return await self._send(lambda connection: connection.executemany(operation, parameters), operation)

    async def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self._rows

    async def close(self) -> None:
        """Let go of the rows."""
        self._rows = []

    async def _send(self, call: Callable[[sqlite3.Connection], sqlite3.Cursor], operation: str) -> Self:
        if self._connection.deferring:
            self._connection.hand_over(lambda connection: call(connection).close(), operation)
        else:
            await self._connection.on_thread(lambda connection: self._keep(call(connection)))
        return self

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        try:
            self._rows = cursor.fetchall()
            self.description = cursor.description
            self.rowcount = cursor.rowcount
            self.lastrowid = cursor.lastrowid
        finally:
            cursor.close()


async def connect(path: Path, *, busy_timeout: float) -> PipelinedConnection:
    """Open a database file; statements outside BEGIN and COMMIT stand for themselves.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another process's lock.
    """
    # Everything runs on the connection's thread; SQLAlchemy sets up its functions from wherever it is.
    connection = PipelinedConnection(
        lambda: sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    )
    await connection
    return connection
