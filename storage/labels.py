"""By what a list of rows with some labels is read, so that it takes no longer the more rows have them."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import Integer, Select, Table, bindparam, func, select

from storage.filters import Labels, equals
from storage.session import Session
from storage.sql import listed, texts

FEW: Final = 500
"""Rows whose labels are looked up one by one, which takes a millisecond or two."""

AnySelect: TypeAlias = Select[*tuple[Any, ...]]


async def part_of(
    labels: Collection[str] | None,
    session: Session,
    table: Table,
    statuses: Collection[str] | None,
    *,
    named: bool,
    by_time: bool,
) -> Labels:
    """Return what labels are to a list of a table's rows.

    A label and a status that many rows have each, but few both, have no index: then all rows with the label are looked
    at, in order.

    Args:
        labels: Which are asked for; if None, what is returned is of no matter.
        session: Which asks how many rows have the statuses.
        table: Whose rows.
        statuses: Which are asked for; None if any will do.
        named: Whether rows are asked for by their ids or those of their parents.
        by_time: Whether the list has the order in which the rows were created.
    """
    if labels is None or named:
        return Labels.LOOKED_UP
    if not by_time or session.tenant is None:
        return Labels.COLLECTED
    if statuses is None:
        return Labels.LEAD
    row = await session.row(_counted(table), statuses=list(statuses), few=FEW)
    return Labels.LOOKED_UP if row is not None and (row[0] or 0) < FEW else Labels.LEAD


@lru_cache
def _counted(table: Table) -> AnySelect:
    """Return what counts the rows with some statuses, up to `few` of each."""
    choices = texts(listed("statuses"))
    some = (
        select(table.c.id)
        .where(equals(table.c.tenant, "tenant"), table.c.status == choices.c.value)
        .limit(bindparam("few", type_=Integer()))
        .correlate(choices)
        .subquery()
    )
    return select(func.sum(select(func.count()).select_from(some).scalar_subquery())).select_from(choices)
