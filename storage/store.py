"""The store of a URL; on SQLite one connection writes, a few read, each view consistent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, TypeAlias

from sqlalchemy import select, text

from domain.events import Event
from domain.model import Principal
from domain.ports import Clock
from domain.store import Store
from storage import database
from storage.connections import Lease, ReadingLink, ReadingPool, open_reader
from storage.event_log import SqlEventWrites
from storage.group import Writer
from storage.migrate import migrate
from storage.postgres import DEFAULT as POSTGRES
from storage.postgres import PostgresSettings, open_postgres
from storage.postgres_schema import postgres_url
from storage.run_states import RunStates
from storage.session import Session
from storage.tables import log
from storage.transactions import SqlWriteTx, View, told
from storage.writing import WritingLink, open_writer

OnCommit = Callable[[Sequence[Event]], None]
_Begun: TypeAlias = "tuple[SqlWriteTx, SqlEventWrites]"


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


_LOG_ID: Final = select(log.c.log_id)
# SQLite keeps the highest key that an AUTOINCREMENT column ever had, also when its row is gone.
_HEAD: Final = text("SELECT seq FROM sqlite_sequence WHERE name = 'events'")


@dataclass(slots=True)
class _LogPlace:
    """Which log this is, and the place of its newest event, ever: places are not given twice."""

    log_id: str
    head: int


class SqlStore:
    """Implements `domain.store.Store`; made by `open_store`."""

    def __init__(
        self, log: _LogPlace, writer: WritingLink, readers: Sequence[ReadingLink], clock: Clock, on_commit: OnCommit
    ) -> None:
        self._log_id = log.log_id
        self._readers = ReadingPool(readers)
        self._writer = Writer(writer, self._readers, log.head)
        self._states = RunStates()
        self._clock = clock
        self._on_commit = on_commit

    @property
    def log_id(self) -> str:
        """Name of this log."""
        return self._log_id

    def read(self, principal: Principal, /) -> View:
        """Open a view for reading."""
        return View(Lease(self._readers), principal.tenant, self._log_id)

    def write(self, principal: Principal, /, *, short: bool = False) -> AbstractAsyncContextManager[SqlWriteTx]:
        """Open a transaction for writing; one at a time.

        Raises:
            StoreBusyError: Another process held the database for too long.
            StoreFullError: The database can't grow or be written.
        """
        return _Write(self._writer, partial(self._begun, principal), self._tell, is_short=short)

    def _begun(self, principal: Principal, head: int) -> _Begun:
        session = Session(self._writer.lease, principal.tenant)
        events = SqlEventWrites(session, head)
        return SqlWriteTx(session, principal, self.log_id, self._states, events=events, read_time=self._time), events

    def _tell(self, tx: SqlWriteTx, events: SqlEventWrites) -> None:
        """Tell of a commit."""
        tx.committed()
        if events.appended:
            told(lambda: self._on_commit(tuple(events.appended)))
        tx.call_back()

    async def _time(self) -> datetime:
        return self._clock.now()


class _Write:
    """A transaction; a class and no generator, which costs twice as much."""

    __slots__ = ("_begun", "_is_short", "_open", "_tell", "_writer")

    def __init__(
        self,
        writer: Writer,
        begun: Callable[[int], _Begun],
        tell: Callable[[SqlWriteTx, SqlEventWrites], None],
        *,
        is_short: bool,
    ) -> None:
        self._writer = writer
        self._begun = begun
        self._tell = tell
        self._is_short = is_short
        self._open: _Begun | None = None

    async def __aenter__(self) -> SqlWriteTx:
        head = await self._writer.begin(short=self._is_short)
        try:
            self._open = tx, _ = self._begun(head)
        except BaseException:
            await self._writer.give_up()
            raise
        return tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if error is not None:
            await self._writer.give_up()
        else:
            assert self._open is not None
            tx, events = self._open
            await self._writer.end(events.head, events.appended, partial(self._tell, tx, events), short=self._is_short)


@asynccontextmanager
async def open_store(
    url: str,
    *,
    clock: Clock,
    on_commit: OnCommit,
    settings: SqliteSettings = DEFAULT,
    postgres: PostgresSettings = POSTGRES,
) -> AsyncGenerator[Store, None]:
    """Open a database, made or upgraded where needed, for this process alone.

    Args:
        url: Such as `sqlite+aiosqlite:///./mgx.db`, where a database without a file lasts as long as the store, or
            `postgresql+psycopg://mgx@localhost/mgx`.
        clock: Where the time of transactions comes from; PostgreSQL goes by its own.
        on_commit: Called with the events of each transaction, in the order of the log, before the one who wrote goes
            on; on PostgreSQL with those of other processes, too, if it is here that they get their places.
        settings: How SQLite is used.
        postgres: How PostgreSQL is used.

    Raises:
        StorageError: The database can't be used; the message says why, for its operator.
    """
    if (server := postgres_url(url)) is not None:
        async with open_postgres(server, clock=clock, on_numbered=on_commit, settings=postgres) as store:
            yield store
    else:
        async with _open_sqlite(url, clock=clock, on_commit=on_commit, settings=settings) as file:
            yield file


@asynccontextmanager
async def _open_sqlite(
    url: str, *, clock: Clock, on_commit: OnCommit, settings: SqliteSettings
) -> AsyncGenerator[SqlStore, None]:
    async with AsyncExitStack() as stack:
        path = stack.enter_context(database.locate(url))
        stack.enter_context(database.owned(path))
        await asyncio.to_thread(_prepare, path)
        writer = await stack.enter_async_context(
            open_writer(path, pragmas=_writer_pragmas(settings), busy_timeout=settings.busy_timeout)
        )
        readers = [
            await stack.enter_async_context(open_reader(path, busy_timeout=settings.busy_timeout))
            for _ in range(settings.readers)
        ]
        yield SqlStore(await _log_place(writer), writer, readers, clock, on_commit)


def _prepare(path: Path) -> None:
    database.check(path)
    migrate(path)


def _writer_pragmas(settings: SqliteSettings) -> tuple[str, ...]:
    pragmas = ("PRAGMA foreign_keys = ON", f"PRAGMA synchronous = {settings.synchronous}")
    return pragmas if settings.max_pages is None else (*pragmas, f"PRAGMA max_page_count = {settings.max_pages}")


async def _log_place(link: WritingLink) -> _LogPlace:
    ids, heads = await link.fetch((link.statements(_LOG_ID), {}), (link.statements(_HEAD), {}))
    await link.roll_back()
    ((log_id,),) = ids.rows
    return _LogPlace(log_id, heads.rows[0][0] if heads.rows else 0)
