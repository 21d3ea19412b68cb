"""A store whose write transactions are timed."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from domain.durations import Durations
from domain.model import Principal
from domain.store import ReadTx, Store, WriteTx


class TimedStore:
    """A `domain.store.Store` over another one.

    Attributes:
        waits: How long those who write waited for their turn.
        writes: How long their transactions then took that were committed, with the delivery of their events.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.waits = Durations()
        self.writes = Durations()

    @property
    def log_id(self) -> str:
        """Name of the log."""
        return self._store.log_id

    def read(self, principal: Principal, /) -> AbstractAsyncContextManager[ReadTx]:
        """Open a view for reading."""
        return self._store.read(principal)

    def write(self, principal: Principal, /, *, short: bool = False) -> AbstractAsyncContextManager[WriteTx]:
        """Open a transaction for writing; raises as the other store does."""
        return _TimedWrite(self._store.write(principal, short=short), self.waits, self.writes)


class _TimedWrite:
    """A class and no generator: it costs half of what one does."""

    __slots__ = ("_began", "_inner", "_waits", "_writes")

    def __init__(self, inner: AbstractAsyncContextManager[WriteTx], waits: Durations, writes: Durations) -> None:
        self._inner = inner
        self._waits = waits
        self._writes = writes
        self._began = 0.0

    async def __aenter__(self) -> WriteTx:
        asked = time.perf_counter()
        tx = await self._inner.__aenter__()
        self._began = time.perf_counter()
        self._waits.add(self._began - asked)
        return tx

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        handled = await self._inner.__aexit__(kind, error, trace)
        if error is None:
            self._writes.add(time.perf_counter() - self._began)
        return handled
