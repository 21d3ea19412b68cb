"""Reads for one operation: what fields of the same level ask for is one statement.

A key is what differs between the objects of a level, such as the run whose artifacts are wanted. Everything else, such
as a page's arguments, is equal for all of them and names the loader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from domain.events import Event, EventType
from domain.model import Artifact, Decision, LogLine, Metric, MetricPoint, MetricSummary, Plan, Principal, Run, Task
from domain.paging import Fields, Page, PageRequest, Related, RunOrder, TimeRange
from domain.store import LogFilter, MetricFilter, ReadTx, RunFilter, Store
from graph.domain_errors import translated

T = TypeVar("T")
Fetch: TypeAlias = Callable[[ReadTx, Collection[str]], Awaitable[Mapping[str, T]]]
Types: TypeAlias = tuple[EventType, ...] | None
Names: TypeAlias = tuple[str, ...] | None

_EMPTY_PAGE: Page[Any] = Page()


class Loader(Generic[T]):
    """Finds records by their keys: those that are asked for in one turn of the loop by one statement, each once.

    One wait serves a batch, where strawberry's DataLoader has one for each key, which costs more than the statement.

    Args:
        fetch: Returns the records that there are.
    """

    def __init__(self, fetch: Callable[[Collection[str]], Awaitable[Mapping[str, T]]]) -> None:
        self._fetch = fetch
        self._batches: dict[str, asyncio.Task[Mapping[str, T]]] = {}
        self._next: tuple[dict[str, None], asyncio.Task[Mapping[str, T]]] | None = None

    async def one(self, key: str, default: Any = None) -> Any:
        """Return the record of a key, the default if there is none."""
        return (await self.many((key,))).get(key, default)

    async def many(self, keys: Iterable[str]) -> Mapping[str, T]:
        """Return the records of keys, perhaps with others that were asked for meanwhile."""
        keys = tuple(keys)
        if new := [key for key in keys if key not in self._batches]:
            self._add(new)
        found: Mapping[str, T] = {}
        batches = dict.fromkeys(map(self._batches.__getitem__, keys))
        for batch in batches:
            # Whoever asks for it and is cancelled does not take it from the others.
            records = await asyncio.shield(batch)
            found = records if len(batches) == 1 else {**found, **records}
        return found

    def _add(self, new: Sequence[str]) -> None:
        if self._next is None:
            keys: dict[str, None] = {}
            self._next = keys, asyncio.create_task(self._run(keys))
        keys, batch = self._next
        keys.update(dict.fromkeys(new))
        self._batches.update(dict.fromkeys(new, batch))

    async def _run(self, keys: Collection[str]) -> Mapping[str, T]:
        self._next = None
        return await self._fetch(list(keys))


class Loaders:
    """Answers for many objects at once, and remembers what was read.

    Args:
        store: Read in one view for each batch.
        principal: Whose data.
    """

    def __init__(self, store: Store, principal: Principal) -> None:
        self._store = store
        self._principal = principal
        self._loaders: dict[Hashable, Loader[Any]] = {}

    async def read(self, query: Callable[[ReadTx], Awaitable[T]]) -> T:
        """Run a query that is nobody's child, such as a page of all runs."""
        with translated():
            async with self._store.read(self._principal) as tx:
                return await query(tx)

    # Things by id

    def tasks(self, fields: Fields = None, related: Related = ()) -> Loader[Task]:
        """Find tasks."""
        return self._records("task", fields, related, lambda tx, ids: tx.tasks.many(ids, fields, related))

    def all_runs(self, fields: Fields = None, related: Related = ()) -> Loader[Run]:
        """Find runs."""
        return self._records("run", fields, related, lambda tx, ids: tx.runs.many(ids, fields, related))

    def all_metrics(self, fields: Fields = None, related: Related = ()) -> Loader[Metric]:
        """Find samples."""
        return self._records("metric", fields, related, lambda tx, ids: tx.metrics.many(ids, fields, related))

    def all_artifacts(self) -> Loader[Artifact]:
        """Find artifacts."""
        return self._loader("artifact", lambda tx, ids: tx.runs.artifacts(ids))

    # What belongs to a run

    def current_plans(self, _fields: Fields = None) -> Loader[Plan]:
        """Find the newest version of each run's plan, whole."""
        return self._loader("current plan", lambda tx, ids: tx.runs.current_plans(ids))

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
        return self._loader(name, fetch).one(key, default)

    def _records(self, name: str, fields: Fields, related: Related, fetch: Fetch[T]) -> Loader[T]:
        """Return what finds records; where whole ones are being read, those will do."""
        whole = self._loaders.get((name, None, ()))
        return self._loader((name, fields, related), fetch) if whole is None else whole

    def _loader(self, name: Hashable, fetch: Fetch[T]) -> Loader[T]:
        loader = self._loaders.get(name)
        if loader is None:
            loader = self._loaders[name] = Loader(lambda keys: self.read(lambda tx: fetch(tx, keys)))
        return loader
