"""Records that come along with others by the same statement: a run's task, a task's latest run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, FromClause

from domain.paging import Related
from domain.rows import Layout
from storage.session import Shape
from storage.statements import Readers
from storage.types import Json

_KEPT: Final = 512
"""Of each kind; clients ask for few combinations of fields, but may ask for any."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Records of a shape, one for each row or none; they are the row's tenant's, as whatever a row names.

    Attributes:
        key: Field of the row's own record that holds their id.
        fields: Those of their fields that are asked for.
    """

    key: str
    shape: Shape[Any]
    fields: tuple[str, ...]


Joins: TypeAlias = tuple[Joined, ...]


@lru_cache(_KEPT)
def joins(shape: Shape[Any], related: Related) -> Joins:
    """Return those of the records that are wanted with a shape's which can come along.

    Whole documents don't: a task's config would be read for each of its runs, and be a value of its own in each.
    """
    found = []
    for key, fields in related:
        other = shape.related.get(key)
        if other is not None and not any(isinstance(other.table.c[name].type, Json) for name in other.chosen(fields)):
            found.append(Joined(key, other, other.chosen(fields, "id")))
    return tuple(found)


def join(rows: FromClause, several: Joins, to: FromClause | None = None) -> tuple[FromClause, list[ColumnElement[Any]]]:
    """Return rows with what comes along, and the columns of that.

    Args:
        rows: What it comes along with.
        several: What comes along.
        to: What of the rows has the keys; all of them if nothing else is said.
    """
    columns: list[ColumnElement[Any]] = []
    keys = rows if to is None else to
    for each in several:
        table = each.shape.table.alias(f"{each.key}_record")
        rows = rows.outerjoin(table, table.c.id == keys.c[each.key])
        columns += [table.c[name] for name in each.fields]
    return rows, columns


def layouts(several: Joins, readers: Readers, first: int) -> tuple[tuple[str, Layout[Any]], ...]:
    """Return how rows keep what came along, by the keys.

    Args:
        several: What came, in the order of the columns.
        readers: Of all columns of the rows.
        first: Place of the first of these columns.
    """
    found: list[tuple[str, Layout[Any]]] = []
    for each in several:
        found.append((each.key, each.shape.layout(readers, each.fields, first)))
        first += len(each.fields)
    return tuple(found)


def needed(several: Sequence[Joined]) -> tuple[str, ...]:
    """Return the fields without which nothing comes along."""
    return tuple(each.key for each in several)
