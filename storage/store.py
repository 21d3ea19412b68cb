"""The store on SQLite: one connection writes, a few read, each view consistent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from domain.events import Event
from domain.model import Principal
from domain.ports import Clock
from storage import database, driver
from storage.errors import translated
from storage.migrate import migrate
from storage.session import Session
from storage.tables import log
from storage.transactions import SqlReadTx, SqlWriteTx

OnCommit = Callable[[Sequence[Event]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """How SQLite is used.

    Attributes:
        synchronous: FULL keeps what was acknowledged through a power cut; NORMAL through a crash of ours only, and
            commits several times as fast (https://www.sqlite.org/pragma.html#pragma_synchronous).
        readers: Views that can be open at once; further ones wait.
        busy_timeout: Seconds to wait when another process, such as a backup, has the database locked.
        max_pages: Pages of 4 KiB that the file may grow to; None for SQLite's own limit.
    """

    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    readers: int = 4
    busy_timeout: float = 5.0
    max_pages: int | None = None


DEFAULT: Final = SqliteSettings()


class SqlStore:
    """Implements `domain.store.Store`; made by `open_store`."""

    def __init__(
        self,
        log_id: str,
        writer: AsyncConnection,
        readers: Sequence[AsyncConnection],
        clock: Clock,
        on_commit: OnCommit,
    ) -> None:
        self.log_id = log_id
        self._writer = writer
        self._writing = asyncio.Lock()
        # Last in, first out: the connection used last has its pages in the cache.
        self._readers: asyncio.LifoQueue[AsyncConnection] = asyncio.LifoQueue()
        for reader in readers:
            self._readers.put_nowait(reader)
        self._clock = clock
        self._on_commit = on_commit

    @asynccontextmanager
    async def read(self, principal: Principal, /) -> AsyncGenerator[SqlReadTx, None]:
        """Open a view for reading; all of it is of one moment, that of its first statement."""
        connection = await self._readers.get()
        try:
            yield SqlReadTx(Session(connection, principal.tenant), self.log_id)
        finally:
            await connection.rollback()
            self._readers.put_nowait(connection)

    @asynccontextmanager
    async def write(self, principal: Principal, /) -> AsyncGenerator[SqlWriteTx, None]:
        """Open a transaction for writing; one at a time.

        Raises:
            StoreBusyError: Another process held the database for too long.
            StoreFullError: The database can't grow or be written.
        """
        async with self._writing:
            tx = SqlWriteTx(Session(self._writer, principal.tenant), principal, self.log_id, self._clock)
            try:
                with translated():
                    await self._writer.begin()
                yield tx
                with translated():
                    await self._writer.commit()
            except BaseException:
                await self._writer.rollback()
                raise
            tx.deliver(self._on_commit)


@asynccontextmanager
async def open_store(
    url: str, *, clock: Clock, on_commit: OnCommit, settings: SqliteSettings = DEFAULT
) -> AsyncGenerator[SqlStore, None]:
    """Open a database, made or upgraded where needed, for this process alone.

    Args:
        url: Such as `sqlite+aiosqlite:///./mgx.db`; without a file the database lasts as long as the store.
        clock: Where the time of transactions comes from.
        on_commit: Called with the events of each transaction, in the order of the commits, before the one who wrote
            goes on.
        settings: How SQLite is used.

    Raises:
        StorageError: The database can't be used; the message says why, for its operator.
    """
    async with AsyncExitStack() as stack:
        path = stack.enter_context(database.locate(url))
        stack.enter_context(database.owned(path))
        await asyncio.to_thread(_prepare, path)
        writer = await _connect(stack, path, settings, "BEGIN IMMEDIATE", _writer_pragmas(settings))
        readers = [
            await _connect(stack, path, settings, "BEGIN", ("PRAGMA query_only = ON",)) for _ in range(settings.readers)
        ]
        log_id = (await writer.execute(select(log.c.log_id))).scalar_one()
        await writer.rollback()
        yield SqlStore(log_id, writer, readers, clock, on_commit)


def _prepare(path: Path) -> None:
    database.check(path)
    migrate(path)


def _writer_pragmas(settings: SqliteSettings) -> tuple[str, ...]:
    pragmas = ("PRAGMA foreign_keys = ON", f"PRAGMA synchronous = {settings.synchronous}")
    return pragmas if settings.max_pages is None else (*pragmas, f"PRAGMA max_page_count = {settings.max_pages}")


async def _connect(
    stack: AsyncExitStack, path: Path, settings: SqliteSettings, begin: str, pragmas: Sequence[str]
) -> AsyncConnection:
    """Open a connection for as long as the store; each has an engine of its own, since they begin differently."""
    engine = create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=lambda: driver.connect(path, busy_timeout=settings.busy_timeout),
        poolclass=NullPool,
    )
    stack.push_async_callback(engine.dispose)
    event.listen(engine.sync_engine, "connect", lambda connection, _record: _set_up(connection, pragmas))
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return await stack.enter_async_context(engine.connect())


def _set_up(connection: DBAPIConnection, pragmas: Sequence[str]) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(pragma)
    cursor.close()
