"""Connections to a file that are kept open, and who has one when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy import make_url

from storage.driver import PipelinedConnection, connect_to_read
from storage.statements import Params, Query, Result, Statement, Statements

_STATEMENTS: Final = Statements(make_url("sqlite+aiosqlite://").get_dialect()())


class SqliteLink:
    """An open connection with its transaction, which begins with the first statement.

    Attributes:
        driver: The driver's own connection.
        statements: Compiles for it.
    """

    statements = _STATEMENTS

    def __init__(self, driver: PipelinedConnection, begin: str) -> None:
        self.driver = driver
        self._begin = begin
        self._begun = False

    async def fetch(self, *queries: Query) -> Sequence[Result]:
        """Execute queries, after all that was handed over, and return what each found."""
        self._begin_once()
        return [
            statement.result(await self.driver.fetch(statement.text, statement.bind(params)))
            for statement, params in queries
        ]

    def hand_over(self, statement: Statement, rows: Sequence[Params]) -> None:
        """Have a statement executed, once for each row of parameters, without waiting for it."""
        self._begin_once()
        self.driver.hand_over(statement.text, *[statement.bind(row) for row in rows])

    async def commit(self) -> None:
        """Commit what was done, if anything."""
        if self._begun:
            await self.driver.commit()
            self._begun = False

    async def roll_back(self) -> None:
        """Take back what was not committed."""
        if self._begun:
            self._begun = False
            await self.driver.rollback()

    def _begin_once(self) -> None:
        if not self._begun:
            self._begun = True
            self.driver.hand_over(self._begin)


Pool: TypeAlias = asyncio.LifoQueue[SqliteLink]
"""Last in, first out: the connection used last has its pages in the cache."""


class Lease:
    """The use of a connection; of a pool's it is taken when it is first needed."""

    def __init__(self, pool: Pool, taken: SqliteLink | None = None) -> None:
        self._pool = pool
        self._taken = taken

    @property
    def is_taken(self) -> bool:
        """Whether a connection is held."""
        return self._taken is not None

    async def take(self) -> SqliteLink:
        """Return the connection; waits while all are in use."""
        if self._taken is None:
            self._taken = await self._pool.get()
        return self._taken

    async def give_back(self) -> None:
        """End the connection's transaction and let others have it."""
        if self._taken is not None:
            link, self._taken = self._taken, None
            try:
                await link.roll_back()
            finally:
                self._pool.put_nowait(link)


@asynccontextmanager
async def open_reader(path: Path, *, busy_timeout: float) -> AsyncGenerator[SqliteLink]:
    """Open a connection to a database file that only reads.

    Args:
        path: The file.
        busy_timeout: Seconds to wait when another process has the database locked.
    """
    driver = await connect_to_read(path, busy_timeout=busy_timeout)
    try:
        yield SqliteLink(driver, "BEGIN")
    finally:
        await driver.close()
