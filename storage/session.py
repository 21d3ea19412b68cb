"""What repositories get to work with: one transaction's connection, for one tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Executable, FromClause, Table, text
from sqlalchemy.sql.elements import KeyedColumnElement

from domain.records import reader_of, setters_of, values_of
from domain.rows import Layout, layout_of
from storage import locks
from storage.errors import translated
from storage.statements import AnyRow, Params, Query, Readers, Result, Statement, Statements
from storage.types import POSTGRESQL

T = TypeVar("T")

_ALONE: Final = text(locks.NAMED)


class Link(Protocol):
    """An open connection with its transaction, which begins with the first statement."""

    async def fetch(self, *queries: Query) -> Sequence[Result]:
        """Execute queries, after all that was handed over, and return what each found."""
        ...

    def hand_over(self, statement: Statement, rows: Sequence[Params], /) -> None:
        """Have a statement executed, once for each row of parameters, without waiting for it."""
        ...


class Lease(Protocol):
    """The use of a connection, for one transaction."""

    @property
    def statements(self) -> Statements:
        """Compiles for it."""
        ...

    @property
    def is_taken(self) -> bool:
        """Whether a connection is held."""
        ...

    async def take(self) -> Link:
        """Return the connection; waits while all are in use."""
        ...

    async def give_back(self) -> None:
        """End the connection's transaction and let others have it."""
        ...


class Session:
    """Executes statements one after the other, since those who share a view may ask at the same time.

    Attributes:
        tenant: Whose rows are seen; None sees all.
        moment: What the last row was locked at: the answer of the query that tells the time.
    """

    def __init__(self, lease: Lease, tenant: str | None, *, moment: Executable | None = None) -> None:
        """Work for a tenant.

        Args:
            lease: Where the connection comes from.
            tenant: Whose rows are seen; None sees all.
            moment: A query that tells the time, where the database does; it goes along with what locks a row.
        """
        self.tenant = tenant
        self.moment: AnyRow | None = None
        self._moment = moment
        self._lease = lease
        self._turn = asyncio.Lock()

    async def rows(self, statement: Executable, /, **params: Any) -> Sequence[AnyRow]:
        """Return a query's rows; the parameter `tenant` is always there.

        Raises:
            StoreError: The database can't answer now.
        """
        return (await self.result(statement, **params)).read()

    async def result(self, statement: Executable, /, **params: Any) -> Result:
        """Return what a query found, for those who read a part of it; as `rows`."""
        (found,) = await self._fetch((statement, {"tenant": self.tenant, **params}))
        return found

    async def row(self, statement: Executable, /, **params: Any) -> AnyRow | None:
        """Return a query's first row, None where there is none; raises as `rows`."""
        return (await self.result(statement, **params)).first()

    async def together(self, *statements: Executable, **params: Any) -> Sequence[Sequence[AnyRow]]:
        """Return the rows of queries that go in one message, in their order; they share the parameters. As `rows`."""
        return [found.read() for found in await self._together(statements, params)]

    async def locked(self, *statements: Executable, **params: Any) -> Sequence[Result]:
        """Return the row that each of these queries locks, in their order, for those who read a part of it.

        They go in one message, and the time is asked for behind them; they share the parameters. Raises as `rows`.
        """
        if self._moment is None:
            return await self._together(statements, params)
        *found, moment = await self._together((*statements, self._moment), params)
        self.moment = moment.first()
        return found

    async def constant(self, statement: Executable, /, **params: Any) -> AnyRow | None:
        """Return a row that never changes, as `row`, without holding a view for it.

        So whoever takes long between such rows keeps no connection from others.
        """
        async with self._turn:
            held = self._lease.is_taken
            try:
                (found,) = await self._fetch_in_turn((statement, params))
                return found.first()
            finally:
                if not held:
                    await self._lease.give_back()

    async def execute(self, statement: Executable, *rows: Params) -> None:
        """Execute a statement that changes something, once for each row of parameters; there is at least one.

        It need not be done on return: a failure may come with a later statement or the commit.
        """
        if self._lease.is_taken and not self._turn.locked():
            link = await self._lease.take()  # which need not wait
        else:
            async with self._turn:
                link = await self._lease.take()
        link.hand_over(self._lease.statements(statement, rows[0]), rows)

    async def alone(self, *name: str) -> None:
        """Have other transactions that say the same name wait until this one ends.

        Where one writes at a time, as on SQLite, there is nothing to do.
        """
        if self.dialect == POSTGRESQL:
            await self.rows(_ALONE, name="\n".join(name))

    @property
    def dialect(self) -> str:
        """Name of the database's dialect."""
        return self._lease.statements.dialect.name

    async def _together(self, statements: Iterable[Executable], params: Params) -> Sequence[Result]:
        params = {"tenant": self.tenant, **params}
        return await self._fetch(*[(statement, params) for statement in statements])

    async def _fetch(self, *queries: tuple[Executable, Params]) -> Sequence[Result]:
        await self._turn.acquire()  # which costs half of what `async with` does
        try:
            return await self._fetch_in_turn(*queries)
        finally:
            self._turn.release()

    async def _fetch_in_turn(self, *queries: tuple[Executable, Params]) -> Sequence[Result]:
        compiled, link = self._lease.statements, await self._lease.take()
        with translated():
            found = await link.fetch(*[(compiled(statement), params) for statement, params in queries])
        if (task := asyncio.current_task()) is not None and task.cancelling():
            await asyncio.sleep(0)  # a cancellation that came meanwhile goes on here (see storage.driver)
        return found


class Shape(Generic[T]):
    """How a record lies in a table: each field in the column of its name."""

    def __init__(self, make: type[T], table: Table, *fields: str) -> None:
        """Map a record.

        Args:
            make: The record's class.
            table: Its table.
            fields: The fields that have columns, in the record's order.

        Attributes:
            related: Where records lie whose ids are in fields of this one, by the field.
        """
        self._make: Any = make  # mypy takes no class for hashable
        self._values = values_of(*fields)
        self._setters = setters_of(make)
        self._read = reader_of(make, fields)
        self._names = frozenset(fields)
        self.table = table
        self.fields = fields
        self.related: dict[str, Shape[Any]] = {}

    def columns(self, source: FromClause | None = None) -> list[KeyedColumnElement[Any]]:
        """Return the columns to select, first of all, from the table or an alias of it."""
        found = (self.table if source is None else source).c
        return [found[name] for name in self.fields]

    def chosen(self, fields: Collection[str] | None, *more: str) -> tuple[str, ...]:
        """Return those of the fields that are asked for, and some more, in their order.

        None asks for all, and so does a name that is none of a column: what it stands for is computed of others.
        """
        if fields is None or not self._names.issuperset(fields):
            return self.fields
        return tuple(name for name in self.fields if name in fields or name in more)

    def read(self, row: Sequence[Any], **others: Any) -> T:
        """Make the record of a row that begins with its columns."""
        record = self._read(row)
        for name, value in others.items():
            self._setters[name](record, value)
        return record

    def layout(
        self,
        readers: Readers,
        fields: tuple[str, ...],
        first: int = 0,
        related: tuple[tuple[str, Layout[Any]], ...] = (),
    ) -> Layout[T]:
        """Return how rows keep records of which some fields were asked for.

        Args:
            readers: Of all columns of the rows.
            fields: Those that were asked for, as `chosen` returned them.
            first: Place of the first one's column.
            related: What else the rows keep, see `domain.rows.Layout`.
        """
        return layout_of(self._make, fields, readers[first : first + len(fields)], first, related)

    def values(self, record: T, **others: Any) -> dict[str, Any]:
        """Return a record's values by column, with others."""
        values = self._values(record)
        values.update(others)
        return values
