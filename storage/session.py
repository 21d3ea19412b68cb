"""What repositories get to work with: one transaction's connection, for one tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import CursorResult, Executable, FromClause, Row, Table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from storage.errors import translated

T = TypeVar("T")
Params: TypeAlias = Mapping[str, Any]
AnyRow: TypeAlias = Row[*tuple[Any, ...]]


class Session:
    """Executes statements one after the other, since those who share a view may ask at the same time.

    Attributes:
        tenant: Whose rows are seen; None sees all.
    """

    def __init__(self, connection: AsyncConnection, tenant: str | None) -> None:
        self.tenant = tenant
        self._connection = connection
        self._turn = asyncio.Lock()

    @property
    def dialect(self) -> str:
        """Name of the database's dialect."""
        return self._connection.dialect.name

    async def rows(self, statement: Executable, /, **params: Any) -> Sequence[AnyRow]:
        """Return a query's rows; the parameter `tenant` is always there.

        Raises:
            StoreError: The database can't answer now.
        """
        result = await self._run(statement, {"tenant": self.tenant, **params})
        return result.all()

    async def row(self, statement: Executable, /, **params: Any) -> AnyRow | None:
        """Return a query's first row, None where there is none; raises as `rows`."""
        found = await self.rows(statement, **params)
        return found[0] if found else None

    async def insert(self, statement: Executable, rows: Sequence[Params], /) -> Sequence[AnyRow]:
        """Add rows and return what the statement asks of them; raises as `rows`."""
        result = await self._run(statement, rows)
        return result.all()

    async def execute(self, statement: Executable, params: Params | Sequence[Params], /) -> None:
        """Execute a statement that changes something, once for each row of parameters; raises as `rows`."""
        await self._run(statement, params)

    async def _run(self, statement: Executable, params: Params | Sequence[Params]) -> CursorResult[*tuple[Any, ...]]:
        async with self._turn:
            with translated():
                result = await self._connection.execute(statement, params)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                await asyncio.sleep(0)  # a cancellation that came meanwhile goes on here (see storage.driver)
            return result


class Shape(Generic[T]):
    """How a record lies in a table: each field in the column of its name."""

    def __init__(self, make: type[T], table: Table, *fields: str) -> None:
        """Map a record.

        Args:
            make: The record's class.
            table: Its table.
            fields: The fields that have columns, in the record's order.
        """
        self._make = make
        self.table = table
        self.fields = fields

    def columns(self, source: FromClause | None = None) -> list[KeyedColumnElement[Any]]:
        """Return the columns to select, first of all, from the table or an alias of it."""
        found = (self.table if source is None else source).c
        return [found[name] for name in self.fields]

    def read(self, row: Sequence[Any], **others: Any) -> T:
        """Make the record of a row that begins with its columns."""
        return self._make(**dict(zip(self.fields, row, strict=False)), **others)

    def values(self, record: T, **others: Any) -> dict[str, Any]:
        """Return a record's values by column, with others."""
        return {name: getattr(record, name) for name in self.fields} | others
