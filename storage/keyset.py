"""Where a page begins and ends, in SQL: no offset, every range read in the order of an index.

A list is sorted by a key: one or two columns of which the last is unique, all of them the same way. Where the first may
be null, the list has two ranges: the rows that have it, then (in both directions) those that have not, by the rest of
the key. Neither database sorts nulls like that by index, so each range is read by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, UnaryExpression, and_, bindparam, tuple_

from domain.codec import from_micros, to_micros
from domain.errors import InvalidCursorError
from domain.paging import KeyPart
from storage.types import Reader, UtcDateTime

Key: TypeAlias = tuple[Any, ...]
Condition: TypeAlias = ColumnElement[bool] | None
"""None holds for no row."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A key that a window begins or ends with, without its values: they are the parameters `name_0`, `name_1`.

    Attributes:
        is_null: Whether the first part is null, so that the key is in the second range.
    """

    name: str
    is_null: bool

    def values(self, key: Key) -> dict[str, Any]:
        """Return the values of a key's parameters."""
        return {f"{self.name}_{place}": part for place, part in enumerate(key)}


@dataclass(frozen=True, slots=True)
class Ordering:
    """How a list is sorted.

    Attributes:
        names: Columns of the key; the last is unique, within one parent at least.
        descending: Whether the list goes from high to low.
        nullable: Whether the first column may be null; such rows come last in both directions.
    """

    names: tuple[str, ...]
    descending: bool = False
    nullable: bool = False

    def key(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the key's columns in a table or an alias of it."""
        return [source.c[name] for name in self.names]

    def by(self, columns: Sequence[ColumnElement[Any]], *, backward: bool = False) -> list[UnaryExpression[Any]]:
        """Return an ORDER BY of some of the key's columns, in the list's direction or against it."""
        return [column.desc() if self.descending != backward else column.asc() for column in columns]

    def whole(self, source: FromClause, *, backward: bool = False) -> list[ColumnElement[Any]]:
        """Return the ORDER BY of all ranges together, which sorts what was read of each."""
        columns = self.key(source)
        order: list[ColumnElement[Any]] = list(self.by(columns, backward=backward))
        if self.nullable:
            missing = columns[0].is_(None)
            order.insert(0, missing.desc() if backward else missing.asc())
        return order

    def ranges(self, source: FromClause) -> list[Range]:
        """Return the list's ranges in its order."""
        columns = self.key(source)
        if not self.nullable:
            return [Range(columns=columns)]
        first, *rest = columns
        return [Range(columns=columns, holds=first.is_not(None)), Range(columns=rest, holds=first.is_(None), place=1)]

    def parse(self, source: FromClause, parts: Sequence[KeyPart]) -> Key:
        """Return the key whose parts a cursor holds.

        Raises:
            InvalidCursorError: It is no key of this list.
        """
        columns = self.key(source)
        if len(parts) != len(columns):
            raise InvalidCursorError("The cursor is not one of this list; start without it.")
        nullable = [self.nullable, *(False for _ in columns[1:])]
        return tuple(map(_parse, columns, parts, nullable))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A part of a list that one index reads in order.

    Attributes:
        columns: Those of the key that differ in it.
        holds: What makes a row belong to it; None where every row does.
        place: 0 for the first of the list, 1 for the second.
    """

    columns: list[ColumnElement[Any]]
    holds: ColumnElement[bool] | None = None
    place: int = 0

    def side(self, ordering: Ordering, bound: Bound, *, later: bool, inclusive: bool = False) -> Condition:
        """Return which of the range's rows come later, or earlier, than a key in the list, or are the one that has it.

        None when none do.
        """
        own = int(bound.is_null)
        if self.place != own:
            return self.belongs if later == (self.place > own) else None
        first = len(ordering.names) - len(self.columns)
        binds = [
            bindparam(f"{bound.name}_{place}", type_=column.type) for place, column in enumerate(self.columns, first)
        ]
        left = self.columns[0] if len(self.columns) == 1 else tuple_(*self.columns)
        right = binds[0] if len(binds) == 1 else tuple_(*binds)
        if later != ordering.descending:
            beyond = left >= right if inclusive else left > right
        else:
            beyond = left <= right if inclusive else left < right
        return and_(self.belongs, beyond)

    @property
    def belongs(self) -> ColumnElement[bool]:
        """Whether a row is in the range."""
        return and_(True) if self.holds is None else self.holds


def part_reader(read: Reader | None) -> Reader | None:
    """Return what makes a cursor's part of the cell of a key's column, given what reads the cell; None if it is that.

    A time is held as its microseconds.
    """
    if read is None or read is from_micros:
        return None

    def part(cell: Any) -> KeyPart:
        value = read(cell)
        return to_micros(value) if isinstance(value, datetime) else value

    return part


def _parse(column: ColumnElement[Any], part: KeyPart, nullable: bool) -> Any:
    if part is None and nullable:
        return None
    is_time = isinstance(column.type, UtcDateTime)
    kind = int if is_time else column.type.python_type
    if isinstance(part, kind) and not isinstance(part, bool):
        try:
            return from_micros(part) if is_time else part
        except OverflowError:
            pass
    raise InvalidCursorError("The cursor is not one of this list; start without it.")
