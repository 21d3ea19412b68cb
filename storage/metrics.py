"""Samples."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update

from domain.model import Metric, MetricPoint, MetricSummary
from domain.paging import Fields, Page, PageRequest, Related, TimeRange
from domain.store import MetricFilter
from storage import statistics
from storage.filters import Where
from storage.keyset import Ordering
from storage.lookups import by_id
from storage.pages import ListCursors, Listing
from storage.session import Session
from storage.shapes import METRIC
from storage.sql import owned
from storage.tables import metrics

_GET: Final = select(*METRIC.columns()).where(metrics.c.id == bindparam("metric_id"), owned(metrics.c.tenant))
_INSERT: Final = insert(metrics)
_SAVE: Final = (
    update(metrics)
    .where(metrics.c.id == bindparam("metric_id"))
    .values({name: bindparam(name) for name in METRIC.fields if name != "id"})
)
_DELETE: Final = delete(metrics).where(metrics.c.id == bindparam("metric_id"), owned(metrics.c.tenant))
_BY_TIME: Final = Ordering(("timestamp", "id"))
_LIST: Final = Listing(shape=METRIC, ordering=_BY_TIME, cursors=ListCursors("metrics", _BY_TIME, metrics))
_OF_RUN: Final = Listing(
    shape=METRIC, ordering=_BY_TIME, cursors=ListCursors("metrics:{parent}", _BY_TIME, metrics), parent="run_id"
)


class SqlMetricReads:
    """Implements `domain.store.MetricReads`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def many(self, ids: Collection[str], /, fields: Fields = None, related: Related = ()) -> Mapping[str, Metric]:
        """Return the samples with these ids."""
        return await by_id(self._session, METRIC, ids, fields, related)

    async def page(self, request: PageRequest, filter_: MetricFilter, /) -> Page[Metric]:
        """Return a page of all samples."""
        return await _LIST.page(self._session, request, _where(filter_, self._session.tenant))

    async def pages_of_runs(
        self, run_ids: Collection[str], request: PageRequest, filter_: MetricFilter, /
    ) -> Mapping[str, Page[Metric]]:
        """Return a page of each run's samples."""
        return await _OF_RUN.pages(self._session, request, _where(filter_, self._session.tenant), run_ids)

    async def summaries_of_runs(
        self, run_ids: Collection[str], names: Collection[str] | None, /
    ) -> Mapping[str, Sequence[MetricSummary]]:
        """Return a row for each metric name of each run, sorted by name."""
        return await statistics.summaries(self._session, metrics.c.run_id, run_ids, names=names)

    async def summaries_of_tasks(
        self, task_ids: Collection[str], names: Collection[str] | None, since: datetime | None, /
    ) -> Mapping[str, Sequence[MetricSummary]]:
        """Return a row for each metric name of each task."""
        return await statistics.summaries(self._session, metrics.c.task_id, task_ids, names=names, since=since)

    async def series_of_runs(
        self, run_ids: Collection[str], name: str, max_points: int, range_: TimeRange | None, /
    ) -> Mapping[str, Sequence[MetricPoint]]:
        """Return each run's averages in at most `max_points` buckets of equal width over the range."""
        return await statistics.series(
            self._session, metrics.c.run_id, run_ids, name=name, max_points=max_points, range_=range_
        )

    async def series_of_tasks(
        self, task_ids: Collection[str], name: str, max_points: int, range_: TimeRange | None, /
    ) -> Mapping[str, Sequence[MetricPoint]]:
        """Return each task's averages, as for runs."""
        return await statistics.series(
            self._session, metrics.c.task_id, task_ids, name=name, max_points=max_points, range_=range_
        )


class SqlMetricWrites:
    """Implements `domain.store.MetricWrites`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, metrics: Sequence[Metric], /) -> None:
        """Add samples."""
        if metrics:
            await self._session.execute(_INSERT, *[METRIC.values(metric) for metric in metrics])

    async def get(self, metric_id: str, /) -> Metric | None:
        """Return a sample."""
        row = await self._session.row(_GET, metric_id=metric_id)
        return None if row is None else METRIC.read(row)

    async def save(self, metric: Metric, /) -> None:
        """Replace a sample."""
        values = METRIC.values(metric)
        await self._session.execute(_SAVE, values | {"metric_id": values.pop("id")})

    async def delete(self, metric_id: str, /) -> None:
        """Remove a sample."""
        await self._session.execute(_DELETE, {"metric_id": metric_id, "tenant": self._session.tenant})


def _where(filter_: MetricFilter, tenant: str | None) -> Where:
    return (
        Where(tenant)
        .any_of("task_id", filter_.task_ids)
        .any_of("run_id", filter_.run_ids)
        .any_of("name", filter_.names)
        .any_of("type", filter_.types)
        .within("timestamp", filter_.range)
    )
