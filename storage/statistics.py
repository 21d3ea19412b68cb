"""What many samples come to, worked out by the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, and_, bindparam, case, func, literal, select

from domain.model import MetricPoint, MetricSummary
from domain.paging import TimeRange
from storage.session import Session
from storage.sql import Micros, any_of, one_of, owned, within
from storage.tables import metrics
from storage.types import from_micros, to_micros


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
    conditions = [one_of(parent, "parents"), owned(metrics.c.tenant), *within(metrics.c.timestamp, TimeRange(since))]
    if names is not None:
        conditions.append(any_of(metrics.c.name, names))
    newest_first = (metrics.c.timestamp.desc(), metrics.c.id.desc())
    place = func.row_number().over(partition_by=[parent, metrics.c.name], order_by=newest_first)
    samples = (
        select(parent, metrics.c.name, metrics.c.unit, metrics.c.value, metrics.c.timestamp, place.label("place"))
        .where(*conditions)
        .subquery()
    )
    of = samples.c[parent.name]
    is_last = samples.c.place == 1
    statement = (
        select(
            of,
            samples.c.name,
            func.max(case((is_last, samples.c.unit))),
            func.count(),
            func.min(samples.c.value),
            func.max(samples.c.value),
            func.avg(samples.c.value),
            func.max(case((is_last, samples.c.value))),
            func.max(samples.c.timestamp),
        )
        .group_by(of, samples.c.name)
        .order_by(of, samples.c.name)
    )
    for parent_id, name, unit, count, low, high, average, last, last_at in await session.rows(
        statement, parents=list(ids)
    ):
        found[parent_id].append(
            MetricSummary(name=name, unit=unit, count=count, min=low, max=high, avg=average, last=last, last_at=last_at)
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
    range_ = range_ or TimeRange()
    time = Micros(metrics.c.timestamp, type_=BigInteger())
    wanted = and_(
        one_of(parent, "parents"),
        owned(metrics.c.tenant),
        metrics.c.name == bindparam("name"),
        *within(metrics.c.timestamp, range_),
    )
    first = func.min(time) if range_.start is None else literal(to_micros(range_.start), BigInteger())
    end = func.max(time) + 1 if range_.end is None else literal(to_micros(range_.end), BigInteger())
    bounds = (
        select(parent, first.label("first"), ((end - first + max_points - 1) // max_points).label("width"))
        .where(wanted)
        .group_by(parent)
        .subquery()
    )
    bucket = ((time - bounds.c.first) // bounds.c.width).label("bucket")
    start = bounds.c.first + bucket * bounds.c.width
    statement = (
        select(parent, start, func.avg(metrics.c.value))
        .join(bounds, bounds.c[parent.name] == parent)
        .where(wanted)
        .group_by(parent, bounds.c.first, bounds.c.width, bucket)
        .order_by(parent, bucket)
    )
    for parent_id, micros, average in await session.rows(statement, parents=list(ids), name=name):
        found[parent_id].append(MetricPoint(timestamp=from_micros(micros), value=average))
    return found
