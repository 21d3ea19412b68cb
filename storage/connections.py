"""Connections to a file that are kept open, and who has one when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from storage.driver import PipelinedConnection, ReadingConnection, connect_to_read
from storage.statements import Params, Query, Result, Statement, Statements

_STATEMENTS: Final = Statements(make_url("sqlite+aiosqlite://").get_dialect()())


class SqliteLink:
    """An open connection with its transaction, which begins with the first statement.

    Attributes:
        driver: The driver's own connection.
        statements: Compiles for it.
        has_begun: Whether its transaction has begun.
    """

    statements = _STATEMENTS

    def __init__(self, driver: PipelinedConnection, begin: str) -> None:
        """Take an open connection, and what its transactions begin with."""
        self.driver = driver
        self._opening = begin
        self.has_begun = False

    async def fetch(self, *queries: Query) -> Sequence[Result]:
        """Execute queries, after all that was handed over, and return what each found."""
        if not self.has_begun:
            self._begin()
        found = []
        for statement, params in queries:
            rows = await self.driver.fetch(statement.text, statement.bind(params))
            found.append(statement.result(rows))
        return found

    def hand_over(self, statement: Statement, rows: Sequence[Params]) -> None:
        """Have a statement executed, once for each row of parameters, without waiting for it."""
        if not self.has_begun:
            self._begin()
        self.driver.hand_over(statement.text, *map(statement.bind, rows))

    def _begin(self) -> None:
        self.has_begun = True
        self.driver.hand_over(self._opening)


class ReadingLink(SqliteLink):
    """An open connection that only reads, with its view, which begins with the first statement.

    Attributes:
        taken_at: When it was taken, by `ReadingPool`; None where its view must not stay.
    """

    def __init__(self, driver: ReadingConnection) -> None:
        super().__init__(driver, "BEGIN")
        self.taken_at: object = None
        self._reader = driver

    async def fetch(self, *queries: Query) -> Sequence[Result]:
        """Execute queries and return what each found; after a failure, the view does not stay."""
        try:
            return await super().fetch(*queries)
        except BaseException:
            self.taken_at = None
            raise

    def end_view(self) -> None:
        """Let the next statement begin another view; nothing may be under way."""
        if self.has_begun:
            self.has_begun = False
            self._reader.end()


class ReadingPool:
    """Connections that read, and who has one when.

    One that nobody has keeps its view until something is committed: whoever gets it next would begin the same, at the
    cost of a short read. This rests on nobody else writing the file (`storage.database.owned`). All such views end
    before a commit, as SQLite can't begin its log anew under one.
    """

    def __init__(self, links: Iterable[ReadingLink]) -> None:
        """Take connections that nobody else uses."""
        self._idle = list(links)  # the one used last is taken first: it has its pages in the cache
        self._turns = asyncio.Semaphore(len(self._idle))
        self._moment: object = object()  # the time between two commits; None during one

    def before_commit(self) -> None:
        """Let no view stay from before a commit, or from within it, until `after_commit`."""
        self._moment = None
        for link in self._idle:
            if link.has_begun:
                link.end_view()

    def after_commit(self) -> None:
        """Let views stay again that begin now."""
        if self._moment is None:
            self._moment = object()

    async def take(self) -> ReadingLink:
        """Return a connection; waits while all are in use."""
        await self._turns.acquire()
        link = self._idle.pop()
        link.taken_at = self._moment
        return link

    def give_back(self, link: ReadingLink) -> None:
        """Let others have a connection, and its view where a new one would be no newer."""
        if link.taken_at is None or link.taken_at is not self._moment:
            link.end_view()
        self._idle.append(link)
        self._turns.release()


class Lease:
    """The use of a connection that reads; it is taken when it is first needed."""

    statements = _STATEMENTS

    def __init__(self, readers: ReadingPool) -> None:
        self._readers = readers
        self._taken: ReadingLink | None = None

    @property
    def is_taken(self) -> bool:
        """Whether a connection is held."""
        return self._taken is not None

    async def take(self) -> SqliteLink:
        """Return the connection; waits while all are in use."""
        if self._taken is None:
            self._taken = await self._readers.take()
        return self._taken

    async def give_back(self) -> None:
        """Let others have the connection."""
        if self._taken is not None:
            link, self._taken = self._taken, None
            self._readers.give_back(link)


class Borrowed:
    """The use of a connection whose transaction is another's to end."""

    statements = _STATEMENTS
    is_taken = True

    def __init__(self, link: SqliteLink) -> None:
        self._link = link

    async def take(self) -> SqliteLink:
        """Return the connection."""
        return self._link

    async def give_back(self) -> None:
        """Leave the connection to who has it."""


@asynccontextmanager
async def open_reader(path: Path, *, busy_timeout: float) -> AsyncGenerator[ReadingLink]:
    """Open a connection to a database file that only reads.

    Args:
        path: The file.
        busy_timeout: Seconds to wait when another process has the database locked.
    """
    driver = await connect_to_read(path, busy_timeout=busy_timeout)
    try:
        yield ReadingLink(driver)
    finally:
        await driver.close()
