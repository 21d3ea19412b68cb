"""The store on PostgreSQL: many transactions at once, on this and other machines, each view consistent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Text, event, func, literal_column, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from domain.errors import StoreBusyError
from domain.model import Principal
from domain.ports import Clock
from storage.arrivals import ArrivingEventWrites
from storage.errors import translated
from storage.pings import ping_after
from storage.postgres_schema import CONNECT_SECONDS, migrate_postgres, unreachable
from storage.postgres_text import keep_texts_whole
from storage.run_states import RunStates
from storage.sequencer import OnNumbered, Sequencer, open_sequencer
from storage.session import Session
from storage.tables import log
from storage.transactions import SqlReadTx, SqlWriteTx
from storage.types import UtcDateTime
from storage.uninterrupted import uninterrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """How PostgreSQL is used.

    Attributes:
        pool_size: Connections for transactions that write, and as many for views; further ones wait.
        statement_timeout: Seconds that a statement may take.
        lock_timeout: Seconds to wait for a row that another transaction has locked.
        idle_timeout: Seconds that an open transaction may do nothing before the server ends it: so long can a process
            that is frozen in one keep others from its rows. Less than `lock_timeout`, so that they go on then.
        own_clock: Whether the server's clock tells the time of transactions, so that all who use it agree.
    """

    pool_size: int = 8
    statement_timeout: float = 30.0
    lock_timeout: float = 5.0
    idle_timeout: float = 2.0
    own_clock: bool = True


DEFAULT: Final = PostgresSettings()

_IDLE_SECONDS: Final = 1.0
"""How long a connection may lie in the pool before it is asked, at its next use, whether it still works."""

_OUTCOME_SECONDS: Final = 10.0
"""How long to ask for the outcome of a commit whose answer was lost."""

_MOMENT: Final = select(
    func.clock_timestamp(type_=UtcDateTime()), literal_column("pg_current_xact_id_if_assigned()::text", Text)
)
_OUTCOME: Final = text("SELECT pg_xact_status(CAST(:transaction AS xid8))")


@dataclass(frozen=True, slots=True)
class _Link:
    """A connection of a pool."""

    sql: AsyncConnection

    def deferred(self) -> AbstractContextManager[None]:
        """Change nothing: a statement is waited for."""
        return nullcontext()


class _Lease:
    """The use of a connection; it is taken from the pool when it is first needed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._link: _Link | None = None

    @property
    def is_taken(self) -> bool:
        """Whether a connection is held."""
        return self._link is not None

    async def take(self) -> _Link:
        """Return the connection; waits while all are in use."""
        if self._link is None:
            with translated():
                self._link = _Link(await self._engine.connect())
        return self._link

    async def commit(self) -> None:
        """Commit, and let others have the connection."""
        if self._link is not None:
            try:
                with translated():
                    await self._link.sql.commit()
            finally:
                await self.give_back()

    async def give_back(self) -> None:
        """End the connection's transaction and let others have it."""
        if self._link is not None:
            link, self._link = self._link, None
            await uninterrupted(_close(link.sql))


class _Time:
    """The time of one transaction; the transaction's own id comes with it once it has locked or written something."""

    def __init__(self, session: Session, clock: Clock | None) -> None:
        self._session = session
        self._clock = clock
        self.transaction: str | None = None

    async def read(self) -> datetime:
        """Return the time: the server's, unless another clock was given."""
        row = await self._session.row(_MOMENT)
        assert row is not None
        self.transaction = row[1]
        time: datetime = row[0]
        return time if self._clock is None else self._clock.now()


class PostgresStore:
    """Implements `domain.store.Store`; made by `open_postgres`.

    Nothing is tried again here: whoever gets StoreBusyError knows whether his command may be repeated.
    """

    def __init__(
        self, log_id: str, writers: AsyncEngine, readers: AsyncEngine, sequencer: Sequencer, clock: Clock | None
    ) -> None:
        self._log_id = log_id
        self._writers = writers
        self._readers = readers
        self._sequencer = sequencer
        self._clock = clock
        self._states = RunStates()

    @property
    def log_id(self) -> str:
        """Name of this log."""
        return self._log_id

    @asynccontextmanager
    async def read(self, principal: Principal, /) -> AsyncGenerator[SqlReadTx]:
        """Open a view for reading; all of it is of one moment, that of its first statement."""
        lease = _Lease(self._readers)
        try:
            yield SqlReadTx(Session(lease, principal.tenant), self._log_id)
        finally:
            await lease.give_back()

    @asynccontextmanager
    async def write(self, principal: Principal, /) -> AsyncGenerator[SqlWriteTx]:
        """Open a transaction for writing. Once it is over, its events are in the log for everyone.

        Raises:
            StoreBusyError: The database can't be reached or ended the transaction, such as one of two that waited for
                each other; nothing was written, unless the message says that this is not known.
            StoreFullError: The database can't grow or be written.
        """
        lease = _Lease(self._writers)
        session = Session(lease, principal.tenant)
        time, events = _Time(session, self._clock), ArrivingEventWrites(session)
        try:
            tx = SqlWriteTx(session, principal, self._log_id, self._states, events=events, read_time=time.read)
            yield tx
            await uninterrupted(self._finish(lease, tx, events, time.transaction))
        finally:
            await lease.give_back()

    async def _finish(
        self, lease: _Lease, tx: SqlWriteTx, events: ArrivingEventWrites, transaction: str | None
    ) -> None:
        try:
            await lease.commit()
        except StoreBusyError:
            if transaction is None or not await self._was_committed(transaction):
                raise
        tx.committed()
        if not events.is_empty:
            await self._sequencer.settle()
        tx.call_back()

    async def _was_committed(self, transaction: str) -> bool:
        """Ask for the outcome of a commit that was not answered.

        Raises:
            StoreBusyError: It can't be told.
        """
        try:
            async with asyncio.timeout(_OUTCOME_SECONDS):
                while True:
                    try:
                        async with self._writers.connect() as connection:
                            status = await connection.scalar(_OUTCOME, {"transaction": transaction})
                    except (DBAPIError, OSError):
                        status = "in progress"
                    if status != "in progress":
                        return bool(status == "committed")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            message = "The database was lost while it saved; look whether it did before trying again."
            raise StoreBusyError(message) from None


@asynccontextmanager
async def open_postgres(
    url: URL, *, clock: Clock, on_numbered: OnNumbered, settings: PostgresSettings = DEFAULT
) -> AsyncGenerator[PostgresStore]:
    """Open a database, made or upgraded where needed.

    Args:
        url: Such as `postgresql+psycopg://mgx@localhost/mgx`.
        clock: Where the time of transactions comes from, unless it is the server's.
        on_numbered: See `storage.sequencer.open_sequencer`.
        settings: How PostgreSQL is used.

    Raises:
        StorageError: The database can't be used; the message says why, for its operator.
    """
    async with AsyncExitStack() as stack:
        try:
            await asyncio.to_thread(migrate_postgres, url)
            writers = _engine(url, settings, "mgx")
            stack.push_async_callback(writers.dispose)
            readers = _engine(url, settings, "mgx reader", isolation_level="REPEATABLE READ")
            event.listen(readers.sync_engine, "connect", lambda link, _: link.set_read_only(True))
            stack.push_async_callback(readers.dispose)
            numbering = _engine(url, settings, "mgx sequencer", pool_size=1, isolation_level="AUTOCOMMIT")
            stack.push_async_callback(numbering.dispose)
            sequencer = await stack.enter_async_context(open_sequencer(numbering, on_numbered))
            async with readers.connect() as connection:
                log_id = (await connection.execute(select(log.c.log_id))).scalar_one()
        except DBAPIError as error:
            raise unreachable(url, error) from None
        yield PostgresStore(log_id, writers, readers, sequencer, None if settings.own_clock else clock)


def _engine(url: URL, settings: PostgresSettings, name: str, **options: Any) -> AsyncEngine:
    limits = {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_timeout,
    }
    given = str(url.query.get("options", ""))
    connect_args = {
        "application_name": name,
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": int(_OUTCOME_SECONDS * 1000),
        "options": " ".join([*(f"-c {limit}={int(seconds * 1000)}" for limit, seconds in limits.items()), given]),
    }
    defaults = {"pool_size": settings.pool_size, "max_overflow": 0, "pool_use_lifo": True}
    engine = create_async_engine(url, connect_args=connect_args, **defaults | options)
    event.listen(engine.sync_engine, "connect", lambda link, _: keep_texts_whole(link.driver_connection))
    ping_after(engine, _IDLE_SECONDS)
    return engine


async def _close(connection: AsyncConnection) -> None:
    with suppress(DBAPIError):
        await connection.close()
