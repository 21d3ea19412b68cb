"""Transactions as the domain sees them: the repositories over one session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.events import Event
from domain.model import Principal
from domain.ports import Clock
from storage.event_log import SqlEventReads, SqlEventWrites
from storage.idempotency import SqlIdempotencyWrites
from storage.metrics import SqlMetricReads, SqlMetricWrites
from storage.run_states import RunStates
from storage.run_writes import SqlRunWrites
from storage.runs import SqlRunReads
from storage.session import Session
from storage.tasks import SqlTaskReads, SqlTaskWrites

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LogPlace:
    """Which log this is, and the place of its newest event, ever: places are not given twice."""

    log_id: str
    head: int


class SqlReadTx:
    """Implements `domain.store.ReadTx`."""

    def __init__(self, session: Session, log_id: str) -> None:
        self.tasks = SqlTaskReads(session)
        self.runs = SqlRunReads(session)
        self.metrics = SqlMetricReads(session)
        self.events = SqlEventReads(session, log_id)


class SqlWriteTx:
    """Implements `domain.store.WriteTx`."""

    def __init__(self, session: Session, principal: Principal, log: LogPlace, states: RunStates, clock: Clock) -> None:
        self.principal = principal
        self.tasks = SqlTaskWrites(session)
        self.runs = SqlRunWrites(session, states)
        self.metrics = SqlMetricWrites(session)
        self.events = SqlEventWrites(session, log.head)
        self.idempotency = SqlIdempotencyWrites(session, principal, self.now)
        self.read = SqlReadTx(session, log.log_id)
        self._log = log
        self._clock = clock
        self._now: datetime | None = None
        self._callbacks: list[Callable[[], None]] = []

    async def now(self) -> datetime:
        """Return the transaction's time, read once: at the first call."""
        if self._now is None:
            self._now = self._clock.now()
        return self._now

    def after_commit(self, callback: Callable[[], None], /) -> None:
        """Call back once the transaction is committed; not if it fails."""
        self._callbacks.append(callback)

    def deliver(self, on_commit: Callable[[Sequence[Event]], None]) -> None:
        """Tell of the commit: first its events, then those who asked to be called back.

        What was committed stays so, whatever goes wrong here: it is logged, and the others are told.
        """
        self._log.head = self.events.head
        self.runs.committed()
        if self.events.appended:
            _call(lambda: on_commit(tuple(self.events.appended)))
        for callback in self._callbacks:
            _call(callback)


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        _logger.exception("A callback after a commit failed")
