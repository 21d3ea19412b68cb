"""Reads for one operation: what fields of the same level ask for is one statement.

A key is what differs between the objects of a level, such as the run whose artifacts are wanted. Everything else, such
as a page's arguments, is equal for all of them and names the loader.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from strawberry.dataloader import DataLoader

from domain.events import Event, EventType
from domain.model import Artifact, Decision, LogLine, Metric, MetricPoint, MetricSummary, Plan, Principal, Run, Task
from domain.paging import Page, PageRequest, RunOrder, TimeRange
from domain.store import LogFilter, MetricFilter, ReadTx, RunFilter, Store
from graph.domain_errors import translated

T = TypeVar("T")
Fetch: TypeAlias = Callable[[ReadTx, Collection[str]], Awaitable[Mapping[str, T]]]
Types: TypeAlias = tuple[EventType, ...] | None
Names: TypeAlias = tuple[str, ...] | None

_EMPTY_PAGE: Page[Any] = Page()


class Loaders:
    """Answers for many objects at once, and remembers what was read.

    Args:
        store: Read in one view for each batch.
        principal: Whose data.
    """

    def __init__(self, store: Store, principal: Principal) -> None:
        self._store = store
        self._principal = principal
        self._loaders: dict[Hashable, DataLoader[str, Any]] = {}

    async def read(self, query: Callable[[ReadTx], Awaitable[T]]) -> T:
        """Run a query that is nobody's child, such as a page of all runs."""
        with translated():
            async with self._store.read(self._principal) as tx:
                return await query(tx)

    # Things by id; None for what does not exist

    def task(self, id_: str) -> Awaitable[Task | None]:
        """Load a task."""
        return self._load("task", id_, lambda tx, ids: tx.tasks.many(ids))

    def run(self, id_: str) -> Awaitable[Run | None]:
        """Load a run."""
        return self._load("run", id_, lambda tx, ids: tx.runs.many(ids))

    def metric(self, id_: str) -> Awaitable[Metric | None]:
        """Load a sample."""
        return self._load("metric", id_, lambda tx, ids: tx.metrics.many(ids))

    def artifact(self, id_: str) -> Awaitable[Artifact | None]:
        """Load an artifact."""
        return self._load("artifact", id_, lambda tx, ids: tx.runs.artifacts(ids))

    # What belongs to a run

    def current_plan(self, run_id: str) -> Awaitable[Plan | None]:
        """Load the newest version of a run's plan."""
        return self._load("current plan", run_id, lambda tx, ids: tx.runs.current_plans(ids))

    def plans(self, run_id: str) -> Awaitable[Sequence[Plan]]:
        """Load all versions of a run's plan, oldest first."""
        return self._load("plans", run_id, lambda tx, ids: tx.runs.plans(ids), ())

    def decisions(self, run_id: str) -> Awaitable[Sequence[Decision]]:
        """Load a run's decisions, oldest first."""
        return self._load("decisions", run_id, lambda tx, ids: tx.runs.decisions(ids), ())

    def artifacts(self, run_id: str) -> Awaitable[Sequence[Artifact]]:
        """Load a run's artifacts, oldest first."""
        return self._load("artifacts", run_id, lambda tx, ids: tx.runs.artifacts_of(ids), ())

    def logs(self, run_id: str, page: PageRequest, filter_: LogFilter) -> Awaitable[Page[LogLine]]:
        """Load a page of a run's log."""
        key = ("logs", page, filter_)
        return self._load(key, run_id, lambda tx, ids: tx.runs.logs(ids, page, filter_), _EMPTY_PAGE)

    def metrics(self, run_id: str, page: PageRequest, filter_: MetricFilter) -> Awaitable[Page[Metric]]:
        """Load a page of a run's samples."""
        key = ("metrics", page, filter_)
        return self._load(key, run_id, lambda tx, ids: tx.metrics.pages_of_runs(ids, page, filter_), _EMPTY_PAGE)

    def run_summaries(self, run_id: str, names: Names) -> Awaitable[Sequence[MetricSummary]]:
        """Load a row for each metric name of a run."""
        key = ("run summaries", names)
        return self._load(key, run_id, lambda tx, ids: tx.metrics.summaries_of_runs(ids, names), ())

    def run_series(
        self, run_id: str, name: str, max_points: int, range_: TimeRange | None
    ) -> Awaitable[Sequence[MetricPoint]]:
        """Load averages of a run's samples."""
        key = ("run series", name, max_points, range_)
        return self._load(key, run_id, lambda tx, ids: tx.metrics.series_of_runs(ids, name, max_points, range_), ())

    def run_events(self, run_id: str, page: PageRequest, types: Types) -> Awaitable[Page[Event]]:
        """Load a page of a run's events."""
        key = ("run events", page, types)
        return self._load(key, run_id, lambda tx, ids: tx.events.pages_of_runs(ids, page, types), _EMPTY_PAGE)

    # What belongs to a task

    def runs(self, task_id: str, page: PageRequest, filter_: RunFilter, order: RunOrder) -> Awaitable[Page[Run]]:
        """Load a page of a task's runs."""
        key = ("runs", page, filter_, order)
        return self._load(key, task_id, lambda tx, ids: tx.runs.pages_of_tasks(ids, page, filter_, order), _EMPTY_PAGE)

    def task_summaries(self, task_id: str, names: Names, since: datetime | None) -> Awaitable[Sequence[MetricSummary]]:
        """Load a row for each metric name of a task and all its runs."""
        key = ("task summaries", names, since)
        return self._load(key, task_id, lambda tx, ids: tx.metrics.summaries_of_tasks(ids, names, since), ())

    def task_series(
        self, task_id: str, name: str, max_points: int, range_: TimeRange | None
    ) -> Awaitable[Sequence[MetricPoint]]:
        """Load averages of the samples of a task and all its runs."""
        key = ("task series", name, max_points, range_)
        return self._load(key, task_id, lambda tx, ids: tx.metrics.series_of_tasks(ids, name, max_points, range_), ())

    def task_events(self, task_id: str, page: PageRequest, types: Types) -> Awaitable[Page[Event]]:
        """Load a page of the events of a task and its runs."""
        key = ("task events", page, types)
        return self._load(key, task_id, lambda tx, ids: tx.events.pages_of_tasks(ids, page, types), _EMPTY_PAGE)

    def _load(self, name: Hashable, key: str, fetch: Fetch[Any], default: object = None) -> Awaitable[Any]:
        loader = self._loaders.get(name)
        if loader is None:
            loader = self._loaders[name] = DataLoader(self._batch(fetch, default))
        return loader.load(key)

    def _batch(self, fetch: Fetch[T], default: T) -> Callable[[list[str]], Awaitable[list[T]]]:
        async def batch(keys: list[str]) -> list[T]:
            found = await self.read(lambda tx: fetch(tx, keys))
            return [found.get(key, default) for key in keys]

        return batch
