"""The statements that read pages, each built once for the tests and the kind of window that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    false,
    func,
    null,
    or_,
    select,
    true,
    union_all,
)

from domain.rows import Layout
from storage.filters import Labelled, Labels, Terms, Test, among, conditions
from storage.joined import Joins, join, layouts
from storage.keyset import Bound, Ordering, part_reader
from storage.session import Shape
from storage.sql import listed, texts
from storage.statements import Reader, Readers
from storage.types import POSTGRESQL

AnySelect: TypeAlias = Select[*tuple[Any, ...]]

Floor: TypeAlias = Callable[[ColumnElement[str] | None], ColumnElement[Any]]
"""Makes, of the parent's id where the list is below one, the key at which a list begins: what is not above it is gone.
The list's key must be one column, ascending."""

_KEPT: Final = 512
"""Statements of each kind; clients ask for few combinations of filters and orders, but may ask for any."""

_ROWS: Final = bindparam("rows", type_=Integer())

_OF_PARENTS: Final = frozenset({"task_id", "run_id"})
"""Columns that an index leads with where others lead with the tenant."""

_WITH_LABELS: Final = frozenset({"tenant", "created_at"})
"""What tables of labels have of the rows that these belong to."""


@dataclass(frozen=True, eq=False)
class Outline:
    """What makes two pages come from the same statement; there is one for all of them (see `storage.pages`).

    Attributes:
        fields: Those of the record that are asked for.
        terms: Which rows the list has.
        parent: The column with the parent's id, for lists below parents.
        after: What the window begins after.
        before: What the window ends before.
        backward: Whether the last rows of the window are wanted.
        floor: Where the list begins, if that is not with its first row.
        merged: Columns each of whose values has the list's order by an index.
        joins: What comes along with each row, in columns behind those of `columns`.
    """

    shape: Shape[Any]
    fields: tuple[str, ...]
    ordering: Ordering
    terms: Terms
    parent: str | None
    after: Bound | None
    before: Bound | None
    backward: bool
    floor: Floor | None = None
    merged: frozenset[str] = frozenset()
    joins: Joins = ()

    def columns(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the fields' columns and what more the key needs."""
        return [source.c[name] for name in self.names]

    def choice(self) -> tuple[str, str, Outline] | None:
        """Return the column of a test of several values that has an index for each, its parameter, and what is left."""
        for term in self.terms:
            test, column, name = term
            if test is among and column in self.merged:
                return column, name, self._without(term)
        return None

    def labels(self) -> tuple[Labelled, str, Outline] | None:
        """Return the test of labels, if these lead, its parameter, and what is left."""
        for term in self.terms:
            test, _, name = term
            if isinstance(test, Labelled) and test.part is Labels.LEAD:
                return test, name, self._without(term)
        return None

    def _without(self, term: tuple[Test, str, str]) -> Outline:
        return replace(self, terms=tuple(other for other in self.terms if other is not term))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the fields' columns and of what more the key needs."""
        return (*self.fields, *(name for name in self.ordering.names if name not in self.fields))


@lru_cache(_KEPT)
def key_cells(outline: Outline, readers: Readers) -> tuple[tuple[int, Reader | None], ...]:
    """Return where in a row the cells of its key are, and what makes a cursor's part of each that is not null."""
    places = map(outline.names.index, outline.ordering.names)
    return tuple((place, part_reader(readers[place])) for place in places)


@lru_cache(_KEPT)
def layout(outline: Outline, readers: Readers) -> Layout[Any]:
    """Return how a page's rows keep the records; the columns have these readers."""
    along = layouts(outline.joins, readers, len(outline.names))
    return outline.shape.layout(readers, outline.fields, related=along)


@lru_cache(_KEPT)
def rows(outline: Outline, dialect: str) -> AnySelect:
    """Return what reads a page: at most `rows` rows of the window, in the direction that is wanted."""
    if (labels := outline.labels()) is not None:
        return _rows_of_labels(*labels, dialect)
    if (choice := outline.choice()) is not None:
        return _rows_of_each(*choice, dialect)
    table = outline.shape.table
    own = [*conditions(outline.terms, table), *_above_floor(outline, table)]
    ranges = _ranges(outline, table, outline.columns(table), own)
    match ranges:
        case []:
            source, along = join(table, outline.joins)
            return select(*outline.columns(table), *along).select_from(source).where(false())
        case [single]:
            source, along = join(table, outline.joins)
            return single.add_columns(*along).select_from(source)
        case several:
            whole = union_all(*(select(part.subquery()) for part in several)).subquery()
            source, along = join(whole, outline.joins)
            order = outline.ordering.whole(whole, backward=outline.backward)
            return select(whole, *along).select_from(source).order_by(*order).limit(_ROWS)


@lru_cache(_KEPT)
def rows_below(outline: Outline, dialect: str) -> AnySelect:
    """Return what reads a page below each of `parents`, whose id is each row's last column."""
    assert outline.parent is not None
    parents = texts(listed("parents"))
    rows, source, tests = _rows_of(outline, outline.parent, parents, dialect)
    source, along = join(source, outline.joins, to=rows)
    page = select(*outline.columns(rows), *along, parents.c.value).select_from(source).where(*tests)
    return page.order_by(parents.c.value, *outline.ordering.whole(rows, backward=outline.backward))


def _rows_of_each(column: str, name: str, outline: Outline, dialect: str) -> AnySelect:
    """Return what `rows` does for a list of the rows whose column has one of several values.

    A page of each is read by the index that leads with the column, and of these the page. No index has the order of all
    of them, and to look for rare ones among the others takes longer the more there are.
    """
    rows, source, tests = _rows_of(outline, column, texts(listed(name)), dialect)
    source, along = join(source, outline.joins, to=rows)
    page = select(*outline.columns(rows), *along).select_from(source).where(*tests)
    return page.order_by(*outline.ordering.whole(rows, backward=outline.backward)).limit(_ROWS)


def _rows_of_labels(test: Labelled, name: str, outline: Outline, dialect: str) -> AnySelect:
    """Return what `rows` does for a list of the rows that have one of several labels.

    A page of each label is read by the key of their table, and of the rows of all these the page: a row that has
    several of the labels comes once.
    """
    table = outline.shape.table
    choices = texts(listed(name))
    (of_each,) = _ranges(*_of_labels(test, choices, outline))
    if dialect == POSTGRESQL:  # which looks up what it found, where it would compare each row with a list
        found = of_each.lateral()
        ids = select(found.c["last"]).select_from(choices.join(found, true()))
    else:
        row = table.alias("each")
        ids = select(row.c.id).select_from(choices.join(row, row.c.id.in_(of_each.correlate(choices))))
    source, along = join(table, outline.joins)
    page = select(*outline.columns(table), *along).select_from(source).where(table.c.id.in_(ids))
    return page.order_by(*outline.ordering.whole(table, backward=outline.backward)).limit(_ROWS)


def _of_labels(
    test: Labelled, choices: FromClause, outline: Outline
) -> tuple[Outline, FromClause, list[ColumnElement[Any]], list[ColumnElement[bool]]]:
    """Return a list as `_ranges` takes it, of the labels of its rows, where each of `choices` is looked for."""
    source = test.labels.alias("below")
    owner = outline.shape.table.alias("owner")
    own = [source.c.label == choices.c.value]
    own += conditions(tuple(term for term in outline.terms if term[1] in _WITH_LABELS), source)
    others = conditions(tuple(term for term in outline.terms if term[1] not in _WITH_LABELS), owner)
    if others:
        own.append(select(owner.c.id).where(owner.c.id == source.c[test.column], *others).exists())
    ordering = replace(outline.ordering, names=(*outline.ordering.names[:-1], test.column))
    return replace(outline, ordering=ordering), source, [source.c[test.column].label("last")], own


def _edges_of_labels(test: Labelled, name: str, outline: Outline, *, count: bool) -> AnySelect:
    """Return what `edges` does for such a list.

    One looks from a bound on: the row that has it is still there as a rule, and the next may be far away.
    """
    choices = texts(listed(name))
    by_label, source, (key,), own = _of_labels(test, choices, outline)
    (whole,) = by_label.ordering.ranges(source)
    found: list[ColumnElement[Any]] = []
    for bound, later in ((outline.after, False), (outline.before, True)):
        side = None if bound is None else whole.side(by_label.ordering, bound, later=later, inclusive=True)
        if side is None:
            found.append(false())
            continue
        order = by_label.ordering.by(whole.columns, backward=not later)
        nearest = select(key).where(side, *own).order_by(*order).limit(1).correlate(choices).scalar_subquery()
        found.append(select(choices.c.value).where(nearest.is_not(None)).exists())
    found.append(null())
    if count:
        found.append(select(func.count(key.distinct())).where(*own).scalar_subquery())
    return select(*found)


@lru_cache(_KEPT)
def edges(outline: Outline, *, count: bool) -> AnySelect:
    """Return what tells whether rows lie up to `after`, whether from `before` on, and more.

    That is the floor, null where the list has none; and how many rows the whole list has, if that is asked for.
    """
    if (labels := outline.labels()) is not None:
        return _edges_of_labels(*labels, count=count)
    table = outline.shape.table
    return select(*_edges(outline, table, conditions(outline.terms, table), count))


@lru_cache(_KEPT)
def edges_below(outline: Outline, *, count: bool) -> AnySelect:
    """Return what `edges` does for each of `parents`, whose id is each row's last column."""
    assert outline.parent is not None
    parents = texts(listed("parents"))
    inner = outline.shape.table.alias("beyond")
    own = [inner.c[outline.parent] == parents.c.value, *conditions(outline.terms, inner)]
    return select(*_edges(outline, inner, own, count, parents), parents.c.value).select_from(parents)


def _rows_of(
    outline: Outline, column: str, values: FromClause, dialect: str
) -> tuple[FromClause, FromClause, list[ColumnElement[bool]]]:
    """Return the rows of a page of each of `values`, which are of a column, both joined, and what is left to be tested.

    Each range is read by the index that leads with the column; of two ranges a value may have up to twice as many rows
    as were asked for, the right ones first.
    """
    table, last = outline.shape.table, outline.ordering.names[-1]
    inner = table.alias("below")
    lateral = dialect == POSTGRESQL  # SQLite has none: there the rows are looked up by what is last in their key
    terms, later = _split(outline.terms, column)
    own = [inner.c[column] == values.c.value, *conditions(terms, inner), *_above_floor(outline, inner, values)]
    names = dict.fromkeys((*outline.names, *(term[1] for term in later)))
    ranges = _ranges(outline, inner, [inner.c[n] for n in names] if lateral else [inner.c[last].label("last")], own)
    if not ranges:
        return table, values.join(table, false()), []
    parts = [select(part.correlate(values).subquery()) for part in ranges]
    chosen = parts[0] if len(parts) == 1 else union_all(*parts)
    if lateral:
        rows = chosen.lateral()
        return rows, values.join(rows, true()), conditions(later, rows)
    same = [table.c[column] == values.c.value] if table.c[column].primary_key else []
    return table, values.join(table, and_(*same, table.c[last].in_(chosen))), conditions(later, table)


def _split(terms: Terms, column: str) -> tuple[Terms, Terms]:
    """Return the tests that choose rows by a column, and those that all rows with the same value pass, or none.

    All rows of a parent are its tenant's. To ask for the tenant while they are looked for lets PostgreSQL go through
    all rows of the tenant, which an index has in the same order, if it believes that most are the parent's: it would
    find none for long where the parent has few.
    """
    if column not in _OF_PARENTS:
        return terms, ()
    return tuple(it for it in terms if it[1] != "tenant"), tuple(it for it in terms if it[1] == "tenant")


def _ranges(
    outline: Outline, source: FromClause, columns: Sequence[ColumnElement[Any]], own: Sequence[ColumnElement[bool]]
) -> list[AnySelect]:
    """Return a query for each range of the list that can have rows in the window.

    The window's sides come first, here and wherever they stand beside other conditions: of two limits to the same side
    SQLite goes by the first, and would read all that lies between a time, or the floor, and the window.
    """
    found = []
    for part in outline.ordering.ranges(source):
        sides = [part.belongs]
        for bound, later in ((outline.after, True), (outline.before, False)):
            side = part.belongs if bound is None else part.side(outline.ordering, bound, later=later)
            if side is None:
                break
            sides.append(side)
        else:
            # By the whole key, though a part may be null in all of a range: so is the index that PostgreSQL shall take.
            order = outline.ordering.by(outline.ordering.key(source), backward=outline.backward)
            found.append(select(*columns).where(*sides, *own).order_by(*order).limit(_ROWS))
    return found


def _above_floor(outline: Outline, source: FromClause, parents: FromClause | None = None) -> list[ColumnElement[bool]]:
    """Return what keeps rows out that are gone from the list; nothing where `after`, which is no lower, does so."""
    if outline.floor is None or outline.after is not None:
        return []
    return [source.c[outline.ordering.names[0]] > _floor(outline.floor, parents)]


def _floor(floor: Floor, parents: FromClause | None) -> ColumnElement[Any]:
    return floor(None if parents is None else parents.c.value)


def _edges(
    outline: Outline,
    source: FromClause,
    own: Sequence[ColumnElement[bool]],
    count: bool,
    parents: FromClause | None = None,
) -> list[ColumnElement[Any]]:
    outer = () if parents is None else (parents,)
    floor = null() if outline.floor is None else _floor(outline.floor, parents)
    if outline.floor is not None:
        own = [*own, source.c[outline.ordering.names[0]] > floor]
    found: list[ColumnElement[Any]] = []
    for bound, later in ((outline.after, False), (outline.before, True)):
        sides = [
            side
            for part in outline.ordering.ranges(source)
            if bound is not None
            and (side := part.side(outline.ordering, bound, later=later, inclusive=True)) is not None
        ]
        key = source.c[outline.ordering.names[-1]]
        found.append(or_(false(), *(select(key).where(side, *own).correlate(*outer).exists() for side in sides)))
    found.append(floor)
    if count:
        found.append(select(func.count()).select_from(source).where(*own).correlate(*outer).scalar_subquery())
    return found
