"""Pages of lists, and of the lists below many parents: one statement, one more where a cursor or a count needs it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    TableValuedAlias,
    and_,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)

from domain.errors import InvalidCursorError
from domain.paging import Page, PageRequest, decode_cursor, encode_cursor
from storage.keyset import Key, Ordering
from storage.session import AnyRow, Session, Shape
from storage.sql import listed, texts
from storage.types import POSTGRESQL

T = TypeVar("T")
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
Where: TypeAlias = Callable[[FromClause], Sequence[ColumnElement[bool]]]
"""Gives the conditions that a list's rows fulfil, for the table or an alias of it."""


class Cursors(Protocol):
    """Writes and reads the cursors of a list, or of the list below a parent."""

    def write(self, parent: str | None, key: Key, /) -> str:
        """Return the cursor of a row."""
        ...

    def read(self, parent: str | None, cursor: str, /) -> Key:
        """Return the key that a cursor holds; raises InvalidCursorError."""
        ...


@dataclass(frozen=True, slots=True)
class ListCursors:
    """Cursors that are good in one list and order only; a list below a parent is one of its own.

    Attributes:
        name: Of the list and order; `{parent}` in it stands for the parent's id.
    """

    name: str
    ordering: Ordering
    source: FromClause

    def write(self, parent: str | None, key: Key, /) -> str:
        """Return the cursor of a row."""
        return encode_cursor(self.name.format(parent=parent), self.ordering.parts(key))

    def read(self, parent: str | None, cursor: str, /) -> Key:
        """Return the key that a cursor holds; raises InvalidCursorError."""
        return self.ordering.parse(self.source, decode_cursor(self.name.format(parent=parent), cursor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[T]):
    """A list of one table's rows.

    Attributes:
        where: Which rows.
        parent: The column with the parent's id, for lists below parents.
    """

    shape: Shape[T]
    ordering: Ordering
    cursors: Cursors
    where: Where
    parent: str | None = None

    async def page(self, session: Session, request: PageRequest) -> Page[T]:
        """Return a page of the list; raises InvalidCursorError."""
        window = self._window(request, (None,))
        rows = await self._rows(session, window)
        edges = await self._edges(session, window)
        return self._page(window, rows, edges, None)

    async def pages(self, session: Session, request: PageRequest, parents: Collection[str]) -> Mapping[str, Page[T]]:
        """Return a page of each parent's list; raises InvalidCursorError."""
        ids = sorted(set(parents))
        if not ids:
            return {}
        window = self._window(request, ids)
        rows: dict[str, list[AnyRow]] = {parent: [] for parent in ids}
        for row in await session.rows(self._rows_below(window, await session.dialect()), parents=ids):
            rows[row[-1]].append(row)
        edges: dict[str, AnyRow] = {}
        if window.looks_beyond:
            found = await session.rows(self._edges_below(window), parents=ids)
            edges = {row[-1]: row for row in found}
        return {parent: self._page(window, rows[parent], edges.get(parent), parent) for parent in ids}

    def _window(self, request: PageRequest, parents: Sequence[str | None]) -> _Window:
        return _Window(request, self._key(request.after, parents), self._key(request.before, parents))

    def _key(self, cursor: str | None, parents: Sequence[str | None]) -> Key | None:
        if cursor is None:
            return None
        keys = {self.cursors.read(parent, cursor) for parent in parents}
        if len(keys) > 1:
            raise InvalidCursorError("The cursor is not one of all these lists; start without it.")
        return keys.pop()

    # Rows

    async def _rows(self, session: Session, window: _Window) -> Sequence[AnyRow]:
        table = self.shape.table
        ranges = self._ranges(table, self._columns(table), self.where(table), window)
        match ranges:
            case []:
                return ()
            case [single]:
                return await session.rows(single)
            case several:
                parts = [select(part.subquery()) for part in several]
                whole = union_all(*parts).subquery()
                order = self.ordering.whole(whole, backward=window.request.backward)
                return await session.rows(select(whole).order_by(*order).limit(window.rows))

    def _rows_below(self, window: _Window, dialect: str) -> AnySelect:
        """Return the first rows below each parent; each range is read by the index that leads with the parent."""
        assert self.parent is not None
        table = self.shape.table
        parents = texts(listed("parents"))
        last = self.ordering.names[-1]
        inner = table.alias("below")
        conditions = [inner.c[self.parent] == parents.c.value, *self.where(inner)]
        ranges = self._ranges(inner, [inner.c[last].label("last")], conditions, window)
        lists = [select(part.correlate(parents).subquery()) for part in ranges]
        columns = [*self._columns(table), table.c[self.parent]]
        if not lists:
            return select(*columns).where(false())
        chosen = lists[0] if len(lists) == 1 else union_all(*lists)
        order = self.ordering.whole(table, backward=window.request.backward)
        if dialect == POSTGRESQL:  # which would compare each row with the list rather than look the list's rows up
            found = chosen.correlate(parents).lateral() if isinstance(chosen, Select) else chosen.lateral()
            join = parents.join(found, true()).join(
                table, and_(table.c[self.parent] == parents.c.value, table.c[last] == found.c["last"])
            )
            return select(*columns).select_from(join).order_by(table.c[self.parent], *order)
        match_last = table.c[last].in_(chosen)
        same = [table.c[self.parent] == parents.c.value] if table.c[self.parent].primary_key else []
        join = parents.join(table, and_(*same, match_last))
        return select(*columns).select_from(join).order_by(table.c[self.parent], *order)

    def _columns(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the record's columns and what more the key needs."""
        more = [name for name in self.ordering.names if name not in self.shape.fields]
        return [*self.shape.columns(source), *(source.c[name] for name in more)]

    def _ranges(
        self,
        source: FromClause,
        columns: Sequence[Any],
        conditions: Sequence[ColumnElement[bool]],
        window: _Window,
    ) -> list[AnySelect]:
        """Return a query for each range of the list that can have rows in the window."""
        found = []
        for part in self.ordering.ranges(source):
            sides = [part.belongs]
            for key, later in ((window.after, True), (window.before, False)):
                side = part.side(self.ordering, key, later=later) if key is not None else part.belongs
                if side is None:
                    break
                sides.append(side)
            else:
                order = self.ordering.by(part.columns, backward=window.request.backward)
                found.append(select(*columns).where(*conditions, *sides).order_by(*order).limit(window.rows))
        return found

    # What is beyond the page

    async def _edges(self, session: Session, window: _Window) -> AnyRow | None:
        if not window.looks_beyond:
            return None
        table = self.shape.table
        return await session.row(select(*self._beyond(table, self.where(table), window)))

    def _edges_below(self, window: _Window) -> AnySelect:
        assert self.parent is not None
        parents: TableValuedAlias = texts(listed("parents"))
        inner = self.shape.table.alias("beyond")
        conditions = [inner.c[self.parent] == parents.c.value, *self.where(inner)]
        return select(*self._beyond(inner, conditions, window, parents), parents.c.value).select_from(parents)

    def _beyond(
        self,
        source: FromClause,
        conditions: Sequence[ColumnElement[bool]],
        window: _Window,
        *outer: FromClause,
    ) -> list[ColumnElement[Any]]:
        """Return whether rows lie up to `after`, whether they lie from `before` on, and how many the list has."""
        found: list[ColumnElement[Any]] = []
        for key, later in ((window.after, False), (window.before, True)):
            sides = [
                side
                for part in self.ordering.ranges(source)
                if key is not None and (side := part.side(self.ordering, key, later=later, inclusive=True)) is not None
            ]
            exists = [select(source.c[self.ordering.names[-1]]).where(*conditions, side) for side in sides]
            found.append(or_(false(), *(each.correlate(*outer).exists() for each in exists)))
        if window.request.count:
            found.append(
                select(func.count()).select_from(source).where(*conditions).correlate(*outer).scalar_subquery()
            )
        return found

    def _page(self, window: _Window, rows: Sequence[AnyRow], edges: AnyRow | None, parent: str | None) -> Page[T]:
        request = window.request
        more = len(rows) > request.limit
        kept = list(rows[: request.limit])
        if request.backward:
            kept.reverse()
        earlier, later = (bool(edges[0]), bool(edges[1])) if edges is not None else (False, False)
        names = [column.key for column in self._columns(self.shape.table)]
        places = [names.index(name) for name in self.ordering.names]
        return Page(
            items=[self.shape.read(row) for row in kept],
            cursors=[self.cursors.write(parent, tuple(row[place] for place in places)) for row in kept],
            has_next=later or (more and not request.backward),
            has_previous=earlier or (more and request.backward),
            total=edges[2] if edges is not None and request.count else None,
        )


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a list that a request wants."""

    request: PageRequest
    after: Key | None
    before: Key | None

    @property
    def rows(self) -> int:
        """Rows to read: one more than wanted tells whether the list goes on."""
        return self.request.limit + 1

    @property
    def looks_beyond(self) -> bool:
        """Whether the rows alone can't tell what is asked for."""
        return self.after is not None or self.before is not None or self.request.count
