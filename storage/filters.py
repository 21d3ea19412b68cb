"""Which rows a list has: tests of columns on the one hand, the values that they compare with on the other.

Statements are built of the tests alone and kept, since building one takes longer than executing it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Self, TypeAlias

from sqlalchemy import BindParameter, ColumnElement, FromClause, Table, bindparam, select

from domain.paging import TimeRange
from storage.sql import one_of

Test: TypeAlias = Callable[[ColumnElement[Any], str], ColumnElement[bool]]
"""Makes a condition of a column and the name of the parameter that it is compared with."""

Terms: TypeAlias = tuple[tuple[Test, str, str], ...]
"""Tests that all hold, each with its column and parameter; they are hashable."""

_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})


class Labels(Enum):
    """What labels are to a list."""

    LEAD = auto()
    """It is read in the order of their table; what else is asked for is looked up for each row."""

    LOOKED_UP = auto()
    """It is read by something else that few rows have, and theirs are looked up."""

    COLLECTED = auto()
    """All rows that have them are found first, and then sorted."""


class Where:
    """The conditions of a list, put together one by one; None as a value sets no condition.

    Attributes:
        values: What the parameters stand for.
    """

    def __init__(self, tenant: str | None) -> None:
        """Begin with the rows of a tenant, or of all of them."""
        self._terms: list[tuple[Test, str, str]] = [] if tenant is None else [(equals, "tenant", "tenant")]
        self._has_tenant = tenant is not None
        self.values: dict[str, Any] = {}

    @property
    def terms(self) -> Terms:
        """The tests."""
        return tuple(self._terms)

    def holds(self, test: Test, column: str, value: object = True) -> Self:
        """Ask for a test of a column to hold."""
        if value is not None:
            name = f"given_{len(self._terms)}"
            self._terms.append((test, column, name))
            self.values[name] = value
        return self

    def any_of(self, column: str, choices: Collection[str] | None) -> Self:
        """Ask for one of some strings; of no strings it never is one."""
        if choices is None:
            return self
        match sorted(set(choices)):
            case [only]:
                return self.holds(equals, column, only)  # lets an index that goes on behind the column serve its order
            case several:
                return self.holds(among, column, several)

    def labelled(self, labels: Table, column: str, choices: Collection[str] | None, part: Labels) -> Self:
        """Ask for one of some labels in a table of labels, which names the row in a column."""
        if choices is None:
            return self
        return self.holds(Labelled(labels, column, self._has_tenant, part), "id", sorted(set(choices)))

    def within(self, column: str, range_: TimeRange | None) -> Self:
        """Ask for a time in a half-open range."""
        if range_ is None:
            return self
        return self.holds(at_least, column, range_.start).holds(below, column, range_.end)

    def contains(self, column: str, part: str | None) -> Self:
        """Ask for a casefolded text that contains another, whatever its case and whatever signs are in it."""
        return self.holds(like, column, None if part is None else f"%{part.casefold().translate(_ESCAPED)}%")


def conditions(terms: Terms, source: FromClause) -> list[ColumnElement[bool]]:
    """Return what makes a row of a table, or of an alias of it, fulfil the tests."""
    return [test(source.c[column], name) for test, column, name in terms]


def equals(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is the parameter."""
    return value == _like(value, name)


def differs(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is not the parameter."""
    return value != _like(value, name)


def at_least(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is the parameter or above."""
    return value >= _like(value, name)


def above(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is above the parameter."""
    return value > _like(value, name)


def below(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is below the parameter."""
    return value < _like(value, name)


def like(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value matches the parameter, a pattern in which a backslash escapes."""
    return value.like(_like(value, name), escape="\\")


def present(value: ColumnElement[Any], _name: str) -> ColumnElement[bool]:
    """Return whether there is a value at all."""
    return value.is_not(None)


def among(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is in the list that is the parameter."""
    return one_of(value, name)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Tests whether an id has one of the labels in the list that is the parameter.

    Attributes:
        labels: The table of labels.
        column: Its column with the id.
        has_tenant: Whether labels of one tenant count, or all.
        part: What labels are to the list.
    """

    labels: Table
    column: str
    has_tenant: bool
    part: Labels

    def __call__(self, value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Make the condition of the id."""
        found = select(self.labels.c[self.column]).where(one_of(self.labels.c.label, name))
        if self.has_tenant:
            found = found.where(equals(self.labels.c.tenant, "tenant"))
        if self.part is Labels.LOOKED_UP:
            return found.where(self.labels.c[self.column] == value).exists()
        return value.in_(found)


def _like(value: ColumnElement[Any], name: str) -> BindParameter[Any]:
    return bindparam(name, type_=value.type)
