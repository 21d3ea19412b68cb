"""The connections to PostgreSQL that transactions and views use, kept by SQLAlchemy's pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from psycopg import Error
from sqlalchemy import Dialect, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection

from storage.errors import LostError
from storage.pings import ping_after
from storage.pipeline import PostgresLink
from storage.postgres_schema import CONNECT_SECONDS
from storage.postgres_text import keep_texts_whole
from storage.statements import Statements

_Dialect: Final[Callable[..., Dialect]] = make_url("postgresql+psycopg://").get_dialect()
STATEMENTS: Final = Statements(_Dialect(paramstyle="numeric_dollar"))
_ANSWER_SECONDS: Final = 10.0
"""How long the server's machine may leave what was sent unconfirmed."""

_IDLE_SECONDS: Final = 1.0
"""How long a connection may lie in the pool before it is asked, at its next use, whether it still works."""

_LINK: Final = "link"


@dataclass(frozen=True, slots=True)
class Held:
    """A connection that is in use."""

    link: PostgresLink
    entry: PoolProxiedConnection

    async def give_back(self) -> None:
        """End its transaction and let others have it, or a new one in its place where it is broken."""
        try:
            with suppress(LostError, Error):
                await self.link.roll_back()
        finally:
            if self.link.is_lost:
                self.entry.invalidate(soft=True)
            self.entry.close()


class PostgresPool:
    """Connections that are kept open; made by `open_pool`.

    Attributes:
        statements: Compiles for them.
    """

    statements = STATEMENTS

    def __init__(self, engine: AsyncEngine, begin: str) -> None:
        """Take an engine, and what each transaction begins with."""
        self._engine = engine
        self._begin = begin

    async def take(self) -> Held:
        """Return a connection; waits while all are in use.

        Raises:
            DBAPIError: The server can't be reached.
            TimeoutError: None became free in time; SQLAlchemy's own.
        """
        entry = await self._engine.raw_connection()
        link = entry.info.get(_LINK)
        if link is None:
            driver: Any = entry.driver_connection
            link = entry.info[_LINK] = PostgresLink(driver, STATEMENTS, self._begin)
        return Held(link, entry)


@asynccontextmanager
async def open_pool(
    url: URL, name: str, *, size: int, limits: Mapping[str, float], begin: str = "BEGIN"
) -> AsyncGenerator[PostgresPool]:
    """Keep connections until the block ends; they are opened when they are first needed.

    Args:
        url: The database.
        name: What the connections call themselves.
        size: How many there are at most.
        limits: Seconds after which the server ends something, by the name of its setting.
        begin: What each transaction begins with.
    """
    engine = _engine(url, name, size, limits)
    try:
        yield PostgresPool(engine, begin)
    finally:
        await engine.dispose()


def _engine(url: URL, name: str, size: int, limits: Mapping[str, float]) -> AsyncEngine:
    given = str(url.query.get("options", ""))
    connect_args = {
        "application_name": name,
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": int(_ANSWER_SECONDS * 1000),
        "options": " ".join([*(f"-c {limit}={int(seconds * 1000)}" for limit, seconds in limits.items()), given]),
    }
    engine = create_async_engine(
        url,
        connect_args=connect_args,
        pool_size=size,
        max_overflow=0,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # whoever gives a connection back has ended its transaction
    )
    event.listen(engine.sync_engine, "connect", lambda link, _: keep_texts_whole(link.driver_connection))
    ping_after(engine, _IDLE_SECONDS)
    return engine
