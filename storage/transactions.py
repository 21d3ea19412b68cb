"""Transactions as the domain sees them: the repositories over one session."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import Executable

from domain.model import Principal
from domain.store import EventWrites
from storage.event_log import SqlEventReads
from storage.history import SqlHistoryWrites
from storage.idempotency import SqlIdempotencyWrites
from storage.metrics import SqlMetricReads, SqlMetricWrites
from storage.run_states import RunStates
from storage.run_writes import SqlRunWrites
from storage.runs import SqlRunReads
from storage.session import Lease, Session
from storage.statements import Params
from storage.tasks import SqlTaskReads, SqlTaskWrites

_logger = logging.getLogger(__name__)


class SqlReadTx:
    """Implements `domain.store.ReadTx`."""

    def __init__(self, session: Session, log_id: str) -> None:
        self._session = session
        self._log_id = log_id

    # Most views are asked by one of them.

    @property
    def tasks(self) -> SqlTaskReads:
        """Tasks."""
        return SqlTaskReads(self._session)

    @property
    def runs(self) -> SqlRunReads:
        """Runs, plans, decisions, logs and artifacts."""
        return SqlRunReads(self._session)

    @property
    def metrics(self) -> SqlMetricReads:
        """Samples."""
        return SqlMetricReads(self._session)

    @property
    def events(self) -> SqlEventReads:
        """The log."""
        return SqlEventReads(self._session, self._log_id)


class View:
    """A transaction that reads, as a block; all of it is of one moment, that of its first statement.

    A class and no generator: it costs half of what one does.
    """

    __slots__ = ("_lease", "_log_id", "_tenant")

    def __init__(self, lease: Lease, tenant: str | None, log_id: str) -> None:
        """Read what a tenant may see; None sees all."""
        self._lease = lease
        self._tenant = tenant
        self._log_id = log_id

    async def __aenter__(self) -> SqlReadTx:
        return SqlReadTx(Session(self._lease, self._tenant), self._log_id)

    async def __aexit__(self, *_: object) -> None:
        await self._lease.give_back()


class SqlWriteTx:
    """Implements `domain.store.WriteTx`."""

    def __init__(
        self,
        session: Session,
        principal: Principal,
        log_id: str,
        states: RunStates,
        *,
        events: EventWrites,
        read_time: Callable[[], Awaitable[datetime]],
    ) -> None:
        self.principal = principal
        self.tasks = SqlTaskWrites(session)
        self.runs = SqlRunWrites(session, self.tasks, states)
        self.events = events
        self._log_id = log_id
        self._session = session
        self._read_time = read_time
        self._now: datetime | None = None
        self._callbacks: list[Callable[[], None]] = []

    # Few transactions have to do with these.

    @property
    def metrics(self) -> SqlMetricWrites:
        """Samples."""
        return SqlMetricWrites(self._session)

    @property
    def idempotency(self) -> SqlIdempotencyWrites:
        """What requests with keys led to."""
        return SqlIdempotencyWrites(self._session, self.principal, self._read_time)

    @property
    def history(self) -> SqlHistoryWrites:
        """The history of runs that are long over."""
        return SqlHistoryWrites(self._session, self.now)

    @property
    def read(self) -> SqlReadTx:
        """The same transaction's view of the store."""
        return SqlReadTx(self._session, self._log_id)

    async def now(self) -> datetime:
        """Return the transaction's time, read once: at the first call."""
        if self._now is None:
            self._now = await self._read_time()
        return self._now

    async def execute(self, statement: Executable, params: Params, /) -> None:
        """Execute a statement of another's, such as a queue's; it need not be done on return."""
        await self._session.execute(statement, params)

    def after_commit(self, callback: Callable[[], None], /) -> None:
        """Call back once the transaction is committed; not if it fails."""
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Remember, for the next transactions, what was committed."""
        self.runs.committed()

    def call_back(self) -> None:
        """Tell those who asked to be called back, once the events are delivered."""
        for callback in self._callbacks:
            told(callback)


def told(callback: Callable[[], None]) -> None:
    """Tell of a commit, which stays whatever goes wrong here: that is logged, and others are told."""
    try:
        callback()
    except Exception:
        _logger.exception("A callback after a commit failed")
