"""Connections that are kept open, and who has one when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool

from storage.driver import PipelinedConnection, connect


@dataclass(frozen=True, slots=True)
class Connected:
    """An open connection: as SQLAlchemy knows it, and the driver's own below it."""

    sql: AsyncConnection
    pipeline: PipelinedConnection

    def deferred(self) -> AbstractContextManager[None]:
        """Hand over, without waiting, the statements that are executed in the block."""
        return self.pipeline.deferred()


Pool: TypeAlias = asyncio.LifoQueue[Connected]
"""Last in, first out: the connection used last has its pages in the cache."""


class Lease:
    """The use of a connection; of a pool's it is taken when it is first needed."""

    def __init__(self, pool: Pool, taken: Connected | None = None) -> None:
        self._pool = pool
        self._taken = taken

    @property
    def is_taken(self) -> bool:
        """Whether a connection is held."""
        return self._taken is not None

    async def take(self) -> Connected:
        """Return the connection; waits while all are in use."""
        if self._taken is None:
            self._taken = await self._pool.get()
        return self._taken

    async def give_back(self) -> None:
        """End the connection's transaction and let others have it."""
        if self._taken is not None:
            connection, self._taken = self._taken, None
            try:
                await connection.sql.rollback()
                await connection.pipeline.rollback()  # which SQLAlchemy leaves out after a COMMIT that failed
            finally:
                self._pool.put_nowait(connection)


@asynccontextmanager
async def open_connection(
    path: Path, *, begin: str, pragmas: Sequence[str], busy_timeout: float
) -> AsyncGenerator[Connected, None]:
    """Open a connection to a database file.

    Args:
        path: The file.
        begin: What a transaction begins with, at its first statement.
        pragmas: What to set up first.
        busy_timeout: Seconds to wait when another process has the database locked.
    """
    pipeline = await connect(path, busy_timeout=busy_timeout)
    try:
        for pragma in pragmas:
            await pipeline.cursor().execute(pragma)

        def begin_transaction(connection: Connection) -> None:
            with pipeline.deferred():
                connection.exec_driver_sql(begin)

        async def opened() -> PipelinedConnection:
            return pipeline

        engine = create_async_engine("sqlite+aiosqlite://", async_creator=opened, poolclass=StaticPool)
        event.listen(engine.sync_engine, "begin", begin_transaction)
        async with engine.connect() as connection:
            yield Connected(connection, pipeline)
    finally:
        await pipeline.close()
