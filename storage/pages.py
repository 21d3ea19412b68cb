"""Pages of lists, and of the lists below many parents: one statement, one more where a cursor or a count needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import FromClause

from domain.errors import CursorExpiredError
from domain.paging import Fields, Page, PageRequest, Related, decode_cursor, encode_cursor
from domain.rows import Made, Rows
from storage import page_statements as statements
from storage.filters import Terms, Where
from storage.joined import joins, needed
from storage.keyset import Bound, Key, Ordering
from storage.page_statements import Floor, Outline
from storage.session import Session, Shape
from storage.statements import AnyRow, Result

T = TypeVar("T")
P = TypeVar("P", str, None)

_KEPT: Final = 512
"""Outlines; clients ask for few combinations of lists and filters, but may ask for any."""


class Cursors(Protocol):
    """Writes and reads the cursors of a list, or of the list below a parent."""

    def write(self, parent: str | None, parts: Sequence[Any], /) -> str:
        """Return the cursor of a row, given the parts of its key that it holds."""
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

    def write(self, parent: str | None, parts: Sequence[Any], /) -> str:
        """Return the cursor of a row, given the parts of its key that it holds."""
        return encode_cursor(self.name.format(parent=parent), parts)

    def read(self, parent: str | None, cursor: str, /) -> Key:
        """Return the key that a cursor holds; raises InvalidCursorError."""
        return self.ordering.parse(self.source, decode_cursor(self.name.format(parent=parent), cursor))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listing(Generic[T]):
    """A list of one table's rows.

    Attributes:
        parent: The column with the parent's id, for lists below parents.
        floor: Where the list begins, for lists that may have lost their first rows.
        merged: Columns each of whose values has the list's order by an index.
    """

    shape: Shape[T]
    ordering: Ordering
    cursors: Cursors
    parent: str | None = None
    floor: Floor | None = None
    merged: frozenset[str] = frozenset()

    async def page(self, session: Session, request: PageRequest, where: Where) -> Page[T]:
        """Return a page of some of the list's rows; raises InvalidCursorError, CursorExpiredError."""
        window = self._window(request, where, (None,))
        statement = statements.rows(window.outline, session.dialect)
        found = await session.result(statement, **window.values)
        edges = None
        if window.looks_beyond:
            edges = await session.row(statements.edges(window.outline, count=request.count), **window.values)
            assert edges is not None
            self._check_floor(window, {None: edges})
        return self._page(window, found, found.rows, edges, None)

    async def pages(
        self, session: Session, request: PageRequest, where: Where, parents: Collection[str]
    ) -> Mapping[str, Page[T]]:
        """Return a page of some rows of each parent's list; raises InvalidCursorError, CursorExpiredError."""
        ids = sorted(set(parents))
        if not ids:
            return {}
        window = self._window(request, where, ids)
        rows: dict[str, list[AnyRow]] = {parent: [] for parent in ids}
        statement = statements.rows_below(window.outline, session.dialect)
        found = await session.result(statement, parents=ids, **window.values)
        for row in found.rows:
            rows[row[-1]].append(row)
        edges: dict[str, AnyRow] = {}
        if window.looks_beyond:
            statement = statements.edges_below(window.outline, count=request.count)
            edges = {row[-1]: row for row in await session.rows(statement, parents=ids, **window.values)}
            self._check_floor(window, edges)
        return {parent: self._page(window, found, rows[parent], edges.get(parent), parent) for parent in ids}

    def _window(self, request: PageRequest, where: Where, parents: Sequence[str | None]) -> _Window:
        after, after_values = self._bound("after", request.after, parents)
        before, before_values = self._bound("before", request.before, parents)
        outline = _outline(
            self, request.fields, request.related, where.terms, after=after, before=before, backward=request.backward
        )
        rows = request.limit + 1  # one more than wanted tells whether the list goes on
        return _Window(request, outline, {**where.values, **after_values, **before_values, "rows": rows})

    def _bound(
        self, name: str, cursor: str | None, parents: Sequence[str | None]
    ) -> tuple[Bound | None, dict[str, Any]]:
        if cursor is None:
            return None, {}
        (key,) = {self.cursors.read(parent, cursor) for parent in parents}  # one that is not of all lists is refused
        bound = Bound(name, is_null=key[0] is None)
        return bound, bound.values(key)

    def _check_floor(self, window: _Window, edges: Mapping[P, AnyRow]) -> None:
        """Refuse a cursor at which a list misses rows: it would go on as if there had been none."""
        if self.floor is None:
            return
        parent, floor = max(((parent, row[2]) for parent, row in edges.items()), key=itemgetter(1))
        after, before = window.values.get("after_0", floor), window.values.get("before_0", floor + 1)
        if floor and (after < floor or before <= floor):
            raise CursorExpiredError(self.cursors.write(parent, (floor,)))

    def _page(
        self, window: _Window, found: Result, rows: Sequence[AnyRow], edges: AnyRow | None, parent: str | None
    ) -> Page[T]:
        request = window.request
        more = len(rows) > request.limit
        kept = list(rows[: request.limit])
        if request.backward:
            kept.reverse()
        earlier, later = (bool(edges[0]), bool(edges[1])) if edges is not None else (False, False)
        cells, write = statements.key_cells(window.outline, found.readers), self.cursors.write

        def cursor(row: AnyRow) -> str:
            parts = [row[at] if read is None or row[at] is None else read(row[at]) for at, read in cells]
            return write(parent, parts)

        return Page(
            items=Rows(statements.layout(window.outline, found.readers), kept),
            cursors=Made(cursor, kept),
            has_next=later or (more and not request.backward),
            has_previous=earlier or (more and request.backward),
            total=edges[3] if edges is not None and request.count else None,
        )


class _Window(NamedTuple):
    """The part of a list that a request wants."""

    request: PageRequest
    outline: Outline
    values: dict[str, Any]

    @property
    def looks_beyond(self) -> bool:
        """Whether the rows alone can't tell what is asked for."""
        return self.request.count or self.outline.after is not None or self.outline.before is not None


@lru_cache(_KEPT)
def _outline(
    listing: Listing[Any],
    fields: Fields,
    related: Related,
    terms: Terms,
    *,
    after: Bound | None,
    before: Bound | None,
    backward: bool,
) -> Outline:
    """Return the outline of pages on which some fields are wanted, and some related records."""
    along = joins(listing.shape, related)
    return Outline(
        shape=listing.shape,
        fields=listing.shape.chosen(fields, *needed(along)),
        ordering=listing.ordering,
        terms=terms,
        parent=listing.parent,
        after=after,
        before=before,
        backward=backward,
        floor=listing.floor,
        merged=listing.merged,
        joins=along,
    )
