"""Records by their ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import Select, bindparam, select

from domain.paging import Fields, Related
from domain.rows import Layout, Rows
from storage.joined import Joins, join, joins, layouts, needed
from storage.session import Session, Shape
from storage.sql import one_of, owned
from storage.statements import Readers

T = TypeVar("T")

_KEPT: Final = 256
"""Of each kind; clients ask for few combinations of fields, but may ask for any."""


async def by_id(
    session: Session, shape: Shape[T], ids: Collection[str], fields: Fields, related: Related = ()
) -> Mapping[str, T]:
    """Return the records of a table that has the columns `id` and `tenant`, by their ids; perhaps with related ones."""
    along = joins(shape, related)
    names = shape.chosen(fields, "id", *needed(along))
    if len(ids) == 1:
        (only,) = ids
        found = await session.result(_one(shape, names, along), only=only)
    else:
        found = await session.result(_many(shape, names, along), ids=list(ids))
    return Rows(_layout(shape, names, along, found.readers), found.rows).by("id")


@lru_cache(_KEPT)
def _one(shape: Shape[Any], fields: tuple[str, ...], along: Joins) -> Select[Any]:
    """Return what finds the record with the id `only`, without the detour of a list."""
    key = shape.table.c.id
    return _found(shape, fields, along).where(key == bindparam("only", type_=key.type))


@lru_cache(_KEPT)
def _many(shape: Shape[Any], fields: tuple[str, ...], along: Joins) -> Select[Any]:
    """Return what finds the records with `ids`."""
    return _found(shape, fields, along).where(one_of(shape.table.c.id, "ids"))


def _found(shape: Shape[Any], fields: tuple[str, ...], along: Joins) -> Select[Any]:
    columns = shape.table.c
    source, more = join(shape.table, along)
    return select(*(columns[name] for name in fields), *more).select_from(source).where(owned(columns.tenant))


@lru_cache(_KEPT)
def _layout(shape: Shape[T], fields: tuple[str, ...], along: Joins, readers: Readers) -> Layout[T]:
    return shape.layout(readers, fields, related=layouts(along, readers, len(fields)))
