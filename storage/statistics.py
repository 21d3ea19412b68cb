"""What many samples come to, worked out by the database."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import BigInteger, Column, ColumnElement, Double, Select, bindparam, case, cast, func, select

from domain.codec import from_micros, to_micros
from domain.model import MetricPoint, MetricSummary
from domain.paging import TimeRange
from storage.filters import Terms, Where, conditions, equals
from storage.session import Session
from storage.sql import Micros, one_of
from storage.tables import metrics

_SHARE: Final = 2.0**-40
"""What is added up of each value, so that no sum of finite ones overflows; a power of two rounds nothing off."""

_NEXT_TO_NOTHING: Final = 1e-290
"""A smaller value is taken for 0, since its share is none that every database has."""

AnySelect: TypeAlias = Select[*tuple[Any, ...]]


async def summaries(
    session: Session,
    parent: Column[Any],
    ids: Collection[str],
    *,
    names: Collection[str] | None,
    since: datetime | None = None,
) -> Mapping[str, Sequence[MetricSummary]]:
    """Return a row for each metric name below each parent, sorted by name; the unit is the last sample's."""
    found: dict[str, list[MetricSummary]] = {parent_id: [] for parent_id in ids}
    where = Where(session.tenant).any_of("name", names).within("timestamp", TimeRange(since))
    rows = await session.rows(_summaries(parent, where.terms), parents=list(ids), **where.values)
    for parent_id, name, unit, count, low, high, share, last, last_at in rows:
        found[parent_id].append(
            MetricSummary(
                name=name, unit=unit, count=count, min=low, max=high, avg=_whole(share), last=last, last_at=last_at
            )
        )
    return found


async def series(
    session: Session,
    parent: Column[Any],
    ids: Collection[str],
    *,
    name: str,
    max_points: int,
    range_: TimeRange | None,
) -> Mapping[str, Sequence[MetricPoint]]:
    """Return averages in at most `max_points` buckets of equal width, empty ones left out.

    They cover the range; where a side of it is open, the samples from the first or up to the last.
    """
    found: dict[str, list[MetricPoint]] = {parent_id: [] for parent_id in ids}
    start, end = (None, None) if range_ is None else (range_.start, range_.end)
    where = Where(session.tenant).holds(equals, "name", name).within("timestamp", range_)
    values = where.values | {
        "points": max_points,
        "start": None if start is None else to_micros(start),
        "end": None if end is None else to_micros(end),
    }
    for parent_id, micros, share in await session.rows(_series(parent, where.terms), parents=list(ids), **values):
        found[parent_id].append(MetricPoint(timestamp=from_micros(micros), value=_whole(share)))
    return found


@lru_cache
def _summaries(parent: Column[Any], terms: Terms) -> AnySelect:
    newest_first = (metrics.c.timestamp.desc(), metrics.c.id.desc())
    place = func.row_number().over(partition_by=[parent, metrics.c.name], order_by=newest_first)
    samples = (
        select(parent, metrics.c.name, metrics.c.unit, metrics.c.value, metrics.c.timestamp, place.label("place"))
        .where(one_of(parent, "parents"), *conditions(terms, metrics))
        .subquery()
    )
    of, value, is_last = samples.c[parent.name], samples.c.value, samples.c.place == 1
    return (
        select(
            of,
            samples.c.name,
            func.max(case((is_last, samples.c.unit))),
            func.count(),
            func.min(value),
            func.max(value),
            _average(value),
            func.max(case((is_last, value))),
            func.max(samples.c.timestamp),
        )
        .group_by(of, samples.c.name)
        .order_by(of, samples.c.name)
    )


@lru_cache
def _series(parent: Column[Any], terms: Terms) -> AnySelect:
    time = Micros(metrics.c.timestamp, type_=BigInteger())
    points, start, end = (bindparam(name, type_=BigInteger()) for name in ("points", "start", "end"))
    wanted = [one_of(parent, "parents"), *conditions(terms, metrics)]
    first = func.coalesce(start, func.min(time))
    width = (func.coalesce(end, func.max(time) + 1) - first + points - 1) // points
    bounds = select(parent, first.label("first"), width.label("width")).where(*wanted).group_by(parent).subquery()
    bucket = ((time - bounds.c.first) // bounds.c.width).label("bucket")
    return (
        select(parent, bounds.c.first + bucket * bounds.c.width, _average(metrics.c.value))
        .join(bounds, bounds.c[parent.name] == parent)
        .where(*wanted)
        .group_by(parent, bounds.c.first, bounds.c.width, bucket)
        .order_by(parent, bucket)
    )


def _average(value: ColumnElement[float]) -> ColumnElement[Any]:
    # avg of PostgreSQL fails where a square overflows, and its product where it underflows
    share = case((func.abs(value) < _NEXT_TO_NOTHING, 0.0), else_=value * _SHARE)
    return cast(func.sum(share) / func.count(value), Double)


def _whole(share: float) -> float:
    """Return the average of the values, of which their share's is given; no rounding carries it beyond a float."""
    return max(-sys.float_info.max, min(share / _SHARE, sys.float_info.max))
