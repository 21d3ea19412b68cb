"""aiosqlite with as few hops to its thread as can be: a hop costs more than most of our statements.

Stock aiosqlite goes to the thread of the connection to open a cursor, to execute, to fetch and to close. Here a
statement executes and fetches in one hop, and one whose outcome nobody waits for (a BEGIN, a change) is only handed
over: it takes no hop at all. Should it fail, all that follows it fails with its error, up to the rollback.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite


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


async def connect(path: Path, *, busy_timeout: float) -> PipelinedConnection:
    """Open a database file; statements outside BEGIN and COMMIT stand for themselves.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another process's lock.
    """
    connection = PipelinedConnection(lambda: sqlite3.connect(path, timeout=busy_timeout, isolation_level=None))
    await connection
    return connection
