"""Asking a connection whether it still works, but only where that is in doubt: a ping costs as much as a statement."""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection


def ping_after(engine: AsyncEngine, seconds: float) -> None:
    """Have a pool replace its connections when it finds one lost.

    It asks those that have not been used for so many seconds, and those on which the server said something unasked,
    as it does when it ends a connection.
    """

    def checkin(_: Any, entry: ConnectionPoolEntry) -> None:
        entry.info["used"] = time.monotonic()

    def checkout(connection: Any, entry: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        used = entry.info.get("used")
        if used is None or (time.monotonic() - used < seconds and not _has_news(connection.driver_connection.fileno())):
            return
        dialect = engine.sync_engine.dialect
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError("The connection was lost.") from error

    event.listen(engine.sync_engine, "checkin", checkin)
    event.listen(engine.sync_engine, "checkout", checkout)


def _has_news(descriptor: int) -> bool:
    """Whether there is something to read on a connection; on systems that can't tell, there may always be."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
