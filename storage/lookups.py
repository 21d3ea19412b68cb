"""Records by their ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import Select, select

from domain.paging import Fields
from domain.rows import Rows
from storage.session import Session, Shape
from storage.sql import one_of, owned

T = TypeVar("T")

_KEPT: Final = 256
"""Statements; clients ask for few combinations of fields, but may ask for any."""


async def by_id(session: Session, shape: Shape[T], ids: Collection[str], fields: Fields) -> Mapping[str, T]:
    """Return the records of a table that has the columns `id` and `tenant`, by their ids."""
    names = shape.chosen(fields, "id")
    found = await session.result(_by_id(shape, names), ids=list(ids))
    return Rows(shape.layout(found.readers, names), found.rows).by("id")


@lru_cache(_KEPT)
def _by_id(shape: Shape[Any], fields: tuple[str, ...]) -> Select[Any]:
    columns = shape.table.c
    return select(*(columns[name] for name in fields)).where(one_of(columns.id, "ids"), owned(columns.tenant))
