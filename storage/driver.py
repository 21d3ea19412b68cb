"""aiosqlite with one hop to its thread for each statement.

SQLAlchemy opens a cursor, executes, fetches and closes, and stock aiosqlite goes to the connection's thread and back
for each of the four. A hop costs more than most of our statements; here one fetches everything there and then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiosqlite

Description = tuple[tuple[Any, ...], ...]


class OneHopConnection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors hold their rows, and whose calls are never left half done.

    A call that was sent to the thread is waited for even when the task is cancelled meanwhile; the cancellation goes on
    at the task's next wait. So SQLAlchemy never sees one inside a statement, where it would have to give the connection
    up, and a commit is known to have happened or not.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # a connection that was not closed must not keep the process alive

    def cursor(self) -> OneHopCursor:  # type: ignore[override]  # what SQLAlchemy uses of a cursor, not all of aiosqlite's
        """Open a cursor, without a hop."""
        return OneHopCursor(self)

    async def on_thread(self, call: Callable[[sqlite3.Connection], None]) -> None:
        """Call something with the connection, on its thread."""
        await self._execute(call, self._conn)

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, partial(fn, *args, **kwargs)))
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


class OneHopCursor:
    """The part of a cursor that SQLAlchemy uses."""

    arraysize = 1

    def __init__(self, connection: OneHopConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Description | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute a statement and fetch its rows."""
        await self._connection.on_thread(lambda connection: self._keep(connection.execute(operation, parameters)))
        return self

    async def executemany(self, operation: str, parameters: Iterable[Sequence[Any]]) -> Self:
        """Execute a statement once for each row of parameters."""
        await self._connection.on_thread(lambda connection: self._keep(connection.executemany(operation, parameters)))
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows."""
        return self._rows

    async def close(self) -> None:
        """Let go of the rows."""
        self._rows = []

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        try:
            self._rows = cursor.fetchall()
            self.description = cursor.description
            self.rowcount = cursor.rowcount
            self.lastrowid = cursor.lastrowid
        finally:
            cursor.close()


async def connect(path: Path, *, busy_timeout: float) -> OneHopConnection:
    """Open a database file; statements outside BEGIN and COMMIT stand for themselves.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another process's lock.
    """
    # Everything runs on the connection's thread; SQLAlchemy sets up its functions from wherever it is.
    connection = OneHopConnection(
        lambda: sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    )
    await connection
    return connection
