"""The store on PostgreSQL: many transactions at once, on this and other machines, each view consistent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Text, func, literal_column, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from domain.errors import StoreBusyError
from domain.events import Event
from domain.model import Principal
from domain.ports import Clock
from storage.arrivals import ArrivingEventWrites, has_arrived
from storage.errors import translated
from storage.postgres_schema import migrate_postgres, unreachable
from storage.run_states import RunStates
from storage.sequencer import OnNumbered, Sequencer, open_sequencer
from storage.session import Session
from storage.statements import Statements
from storage.tables import log
from storage.transactions import SqlWriteTx, View
from storage.types import UtcDateTime
from storage.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from storage.pipeline import PostgresLink
    from storage.postgres_pool import Held, PostgresPool

T = TypeVar("T")


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

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits by the names that the server has for them, in seconds."""
        return {
            "statement_timeout": self.statement_timeout,
            "lock_timeout": self.lock_timeout,
            "idle_in_transaction_session_timeout": self.idle_timeout,
        }


DEFAULT: Final = PostgresSettings()

_VIEW: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_OUTCOME_SECONDS: Final = 10.0
"""How long to ask for the outcome of a commit whose answer was lost."""

_MOMENT: Final = select(
    func.clock_timestamp(type_=UtcDateTime()), literal_column("pg_current_xact_id_if_assigned()::text", Text)
)
_UNTOLD: Final = frozenset({None, "in progress"})
_FROM_THE_FUTURE: Final = "22023"
"""What the server answers when asked for a transaction that it has not given an id to, be it that it has lost it."""

_OUTCOME: Final = text("SELECT pg_xact_status(CAST(:transaction AS xid8))")


class _Lease:
    """The use of a connection; it is taken from the pool when it is first needed."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self._held: Held | None = None

    @property
    def statements(self) -> Statements:
        """Compiles for it."""
        return self._pool.statements

    @property
    def is_taken(self) -> bool:
        """Whether a connection is held."""
        return self._held is not None

    async def take(self) -> PostgresLink:
        """Return the connection; waits while all are in use."""
        if self._held is None:
            with translated():
                self._held = await self._pool.take()
        return self._held.link

    async def commit(self) -> None:
        """Commit, and let others have the connection."""
        if self._held is not None:
            try:
                with translated():
                    await self._held.link.commit()
            finally:
                await self.give_back()

    async def give_back(self) -> None:
        """End the connection's transaction and let others have it."""
        if self._held is not None:
            held, self._held = self._held, None
            await held.give_back()


class _Time:
    """The time of one transaction; the transaction's own id comes with it once it has locked or written something."""

    def __init__(self, session: Session, clock: Clock | None) -> None:
        self._session = session
        self._clock = clock
        self.transaction: str | None = None

    async def read(self) -> datetime:
        """Return the time: the server's, unless another clock was given."""
        row = self._session.moment or await self._session.row(_MOMENT)
        assert row is not None
        self.transaction = row[1]
        time: datetime = row[0]
        return time if self._clock is None else self._clock.now()


class PostgresStore:
    """Implements `domain.store.Store`; made by `open_postgres`.

    Nothing is tried again here: whoever gets StoreBusyError knows whether his command may be repeated.
    """

    def __init__(
        self, log_id: str, writers: PostgresPool, readers: PostgresPool, sequencer: Sequencer, clock: Clock | None
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

    def read(self, principal: Principal, /) -> View:
        """Open a view for reading."""
        return View(_Lease(self._readers), principal.tenant, self._log_id)

    @asynccontextmanager
    async def write(self, principal: Principal, /, *, short: bool = False) -> AsyncGenerator[SqlWriteTx]:
        """Open a transaction for writing. Once it is over, its events are in the log for everyone.

        Raises:
            StoreBusyError: The database can't be reached or ended the transaction, such as one of two that waited for
                each other; nothing was written, unless the message says that this is not known.
            StoreFullError: The database can't grow or be written.
        """
        lease = _Lease(self._writers)
        session = Session(lease, principal.tenant, moment=_MOMENT)
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
            if transaction is None or not await self._was_committed(transaction, events.last):
                raise
        tx.committed()
        if events.last is not None:
            await self._sequencer.settle()
        tx.call_back()

    async def _was_committed(self, transaction: str, wrote: Event | None) -> bool:
        """Ask for the outcome of a commit that was not answered.

        A server that crashed gives the ids of transactions that it has lost to later ones, so that one is committed
        only when what it wrote is there.

        Args:
            transaction: Its id.
            wrote: An event that it wrote, None where it wrote none.

        Raises:
            StoreBusyError: It can't be told.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_OUTCOME_SECONDS):
                while (status := await self._ask(partial(_status, transaction=transaction))) in _UNTOLD:
                    await asyncio.sleep(0.1)
                if status != "committed":
                    return False
                while wrote is not None:
                    if (there := await self._ask(partial(has_arrived, event=wrote))) is not None:
                        return there
                    await asyncio.sleep(0.1)
        raise StoreBusyError("The database was lost while it saved; look whether it did before trying again.")

    async def _ask(self, question: Callable[[Session], Awaitable[T]]) -> T | None:
        """Ask the database something; None while it can't be reached."""
        lease = _Lease(self._writers)
        try:
            return await question(Session(lease, None))
        except StoreBusyError:
            return None
        finally:
            await lease.give_back()


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
    from storage.postgres_pool import open_pool  # noqa: PLC0415  # psycopg is an extra, and takes long to import

    size, limits = settings.pool_size, settings.limits
    async with AsyncExitStack() as stack:
        try:
            await asyncio.to_thread(migrate_postgres, url)
            writers = await stack.enter_async_context(open_pool(url, "mgx", size=size, limits=limits))
            readers = await stack.enter_async_context(
                open_pool(url, "mgx reader", size=size, limits=limits, begin=_VIEW)
            )
            numbering = await stack.enter_async_context(open_pool(url, "mgx sequencer", size=1, limits=limits))
            sequencer = await stack.enter_async_context(open_sequencer(numbering, on_numbered))
            log_id = await _log_id(readers)
        except DBAPIError as error:
            raise unreachable(url, error) from None
        yield PostgresStore(log_id, writers, readers, sequencer, None if settings.own_clock else clock)


async def _log_id(pool: PostgresPool) -> str:
    lease = _Lease(pool)
    try:
        row = await Session(lease, None).row(select(log.c.log_id))
    finally:
        await lease.give_back()
    assert row is not None
    return str(row[0])


async def _status(session: Session, transaction: str) -> str:
    """Return what became of a transaction: such as "in progress", "committed" or "aborted"."""
    try:
        row = await session.row(_OUTCOME, transaction=transaction)
    except Exception as error:
        if getattr(error, "sqlstate", None) != _FROM_THE_FUTURE:
            raise
        return "lost"
    return "" if row is None else str(row[0])
