"""What the domain asks of its store: repositories to read and to write, in transactions.

Methods that take several ids answer for all of them in one statement and leave out what does not exist. Pages of
children come for many parents at once, so that a query costs one statement a level.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from domain.events import Event, EventType
from domain.fold import RunState
from domain.history import Extent, HistoryWrites
from domain.model import (
    Artifact,
    Decision,
    LogLevel,
    LogLine,
    Metric,
    MetricPoint,
    MetricSummary,
    MetricType,
    Plan,
    Principal,
    Run,
    RunStatus,
    Task,
    TaskStatus,
)
from domain.paging import Fields, Page, PageRequest, Related, RunOrder, TaskOrder, TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks; all conditions hold together, a collection means any of, None means no condition.

    Attributes:
        query: Case-insensitive substring of the name.
    """

    ids: Collection[str] | None = None
    status: Collection[TaskStatus] | None = None
    labels: Collection[str] | None = None
    teams: Collection[str] | None = None
    query: str | None = None
    created_at: TimeRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; as for tasks. `needs_approval` true means AWAITING_APPROVAL, false anything else."""

    task_ids: Collection[str] | None = None
    status: Collection[RunStatus] | None = None
    labels: Collection[str] | None = None
    created_at: TimeRange | None = None
    needs_approval: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFilter:
    """Which samples; as for tasks."""

    task_ids: Collection[str] | None = None
    run_ids: Collection[str] | None = None
    names: Collection[str] | None = None
    types: Collection[MetricType] | None = None
    range: TimeRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which lines of a run's log: from a level up, and of one step where that is given."""

    min_level: LogLevel = LogLevel.INFO
    step: str | None = None


@dataclass(frozen=True, slots=True)
class RunScope:
    """The events of one run (and the news that it was deleted)."""

    run_id: str


@dataclass(frozen=True, slots=True)
class TaskScope:
    """The events of one task and all its runs."""

    task_id: str


@dataclass(frozen=True, slots=True)
class AllScope:
    """All events that the caller may see."""


Scope: TypeAlias = RunScope | TaskScope | AllScope


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A client's key: it belongs to an actor and a mutation; `input_digest` tells whether the input is the same."""

    mutation: str
    key: str
    input_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCensus:
    """How many runs there are.

    Attributes:
        by_status: States that no run is in are left out.
        waiting: Runs that need a worker and have none.
        waiting_since: When anything last happened to that one of them where this was longest ago; None without any.
    """

    by_status: Mapping[RunStatus, int]
    waiting: int
    waiting_since: datetime | None


class TaskReads(Protocol):
    """Tasks, read."""

    async def many(self, ids: Collection[str], /, fields: Fields = None, related: Related = ()) -> Mapping[str, Task]:
        """Return the tasks with these ids."""
        ...

    async def page(self, request: PageRequest, filter_: TaskFilter, order: TaskOrder, /) -> Page[Task]:
        """Return a page of all tasks.

        Raises:
            InvalidCursorError: A cursor is not of this order.
        """
        ...


class RunReads(Protocol):
    """Runs with their plans and decisions, read."""

    async def many(self, ids: Collection[str], /, fields: Fields = None, related: Related = ()) -> Mapping[str, Run]:
        """Return the runs with these ids."""
        ...

    async def page(self, request: PageRequest, filter_: RunFilter, order: RunOrder, /) -> Page[Run]:
        """Return a page of all runs; raises InvalidCursorError."""
        ...

    async def pages_of_tasks(
        self, task_ids: Collection[str], request: PageRequest, filter_: RunFilter, order: RunOrder, /
    ) -> Mapping[str, Page[Run]]:
        """Return a page of each task's runs, an empty one where there are none; raises InvalidCursorError."""
        ...

    async def plans(self, run_ids: Collection[str], /) -> Mapping[str, Sequence[Plan]]:
        """Return all versions of each run's plan that were delivered, oldest first, with their steps as they stand."""
        ...

    async def current_plans(self, run_ids: Collection[str], /) -> Mapping[str, Plan]:
        """Return the newest version of each run's plan that was delivered."""
        ...

    async def decisions(self, run_ids: Collection[str], /) -> Mapping[str, Sequence[Decision]]:
        """Return each run's decisions, oldest first."""
        ...

    async def logs(
        self, run_ids: Collection[str], request: PageRequest, filter_: LogFilter, /
    ) -> Mapping[str, Page[LogLine]]:
        """Return a page of each run's log, oldest first; cursors are those of `domain.paging.log_cursor`.

        Raises:
            InvalidCursorError: A cursor is of another run's log.
            CursorExpiredError: The log is no longer kept, and a cursor is of a line before its end.
        """
        ...

    async def artifacts_of(self, run_ids: Collection[str], /) -> Mapping[str, Sequence[Artifact]]:
        """Return each run's artifacts, oldest first."""
        ...

    async def artifacts(self, ids: Collection[str], /) -> Mapping[str, Artifact]:
        """Return the artifacts with these ids."""
        ...

    def content(self, artifact: Artifact, /) -> AsyncIterator[bytes]:
        """Read an artifact's bytes in chunks."""
        ...

    async def census(self, now: datetime, /) -> RunCensus:
        """Count the runs; a worker whose lease has lapsed by now is none."""
        ...


class MetricReads(Protocol):
    """Samples, read. Lists are in order of time, oldest first."""

    async def many(self, ids: Collection[str], /, fields: Fields = None, related: Related = ()) -> Mapping[str, Metric]:
        """Return the samples with these ids."""
        ...

    async def page(self, request: PageRequest, filter_: MetricFilter, /) -> Page[Metric]:
        """Return a page of all samples; raises InvalidCursorError."""
        ...

    async def pages_of_runs(
        self, run_ids: Collection[str], request: PageRequest, filter_: MetricFilter, /
    ) -> Mapping[str, Page[Metric]]:
        """Return a page of each run's samples; raises InvalidCursorError."""
        ...

    async def summaries_of_runs(
        self, run_ids: Collection[str], names: Collection[str] | None, /
    ) -> Mapping[str, Sequence[MetricSummary]]:
        """Return a row for each metric name of each run, sorted by name."""
        ...

    async def summaries_of_tasks(
        self, task_ids: Collection[str], names: Collection[str] | None, since: datetime | None, /
    ) -> Mapping[str, Sequence[MetricSummary]]:
        """Return a row for each metric name of each task, over the task's own samples and those of all its runs."""
        ...

    async def series_of_runs(
        self, run_ids: Collection[str], name: str, max_points: int, range_: TimeRange | None, /
    ) -> Mapping[str, Sequence[MetricPoint]]:
        """Return each run's averages in at most `max_points` buckets of equal width over the range."""
        ...

    async def series_of_tasks(
        self, task_ids: Collection[str], name: str, max_points: int, range_: TimeRange | None, /
    ) -> Mapping[str, Sequence[MetricPoint]]:
        """Return each task's averages, as for runs."""
        ...


class EventReads(Protocol):
    """The log, read. `pos` is an event's place in it; cursors are those of `domain.paging` with the store's log id."""

    async def head(self) -> int:
        """Return the place of the newest event, 0 in an empty log."""
        ...

    async def extent(self, scope: Scope, /) -> Extent:
        """Return how far back and how far on the log goes."""
        ...

    async def after(
        self, scope: Scope, pos: int, /, *, limit: int, types: Collection[EventType] | None = None
    ) -> Sequence[Event]:
        """Read what is kept after a place, oldest first, at most `limit` events.

        That is all there was, unless the place is below the horizon.

        With `types`, events that end a followed run or task (terminal ones, RUN_DELETED, TASK_DELETED) come as well, so
        that a follower learns that nothing will follow.
        """
        ...

    async def page(self, request: PageRequest, types: Collection[EventType] | None, /) -> Page[Event]:
        """Return a page of the whole log above its horizon, oldest first.

        Raises:
            InvalidCursorError: A cursor is of another log or beyond this one's head.
            CursorExpiredError: A cursor is below the horizon.
        """
        ...

    async def pages_of_runs(
        self, run_ids: Collection[str], request: PageRequest, types: Collection[EventType] | None, /
    ) -> Mapping[str, Page[Event]]:
        """Return a page of each run's own events (RUN_DELETED is not one of them); raises as `page`."""
        ...

    async def pages_of_tasks(
        self, task_ids: Collection[str], request: PageRequest, types: Collection[EventType] | None, /
    ) -> Mapping[str, Page[Event]]:
        """Return a page of each task's events, those of its runs among them; raises as `page`."""
        ...


class ReadTx(Protocol):
    """A consistent view of the store, of the principal's tenant only."""

    @property
    def tasks(self) -> TaskReads:
        """Tasks."""
        ...

    @property
    def runs(self) -> RunReads:
        """Runs, plans, decisions, logs and artifacts."""
        ...

    @property
    def metrics(self) -> MetricReads:
        """Samples."""
        ...

    @property
    def events(self) -> EventReads:
        """The log."""
        ...


class TaskWrites(Protocol):
    """Tasks, changed."""

    async def lock(self, task_id: str, /) -> Task | None:
        """Lock a task's row until the transaction ends, and read it; before any lock on its runs."""
        ...

    async def insert(self, task: Task, /) -> None:
        """Add a task."""
        ...

    async def save(self, task: Task, /) -> None:
        """Write a locked task."""
        ...

    async def delete(self, task_id: str, /) -> None:
        """Remove a task with its runs, their plans, logs, metrics, artifacts and all its events."""
        ...


class RunWrites(Protocol):
    """Runs, changed."""

    async def lock(self, run_id: str, /) -> RunState | None:
        """Lock a run's row until the transaction ends, and read everything that decides about it."""
        ...

    async def lock_with_task(self, run_id: str, /) -> RunState | None:
        """Lock the row of a run's task, and then the run as `lock` does."""
        ...

    async def insert(self, state: RunState, /) -> None:
        """Add a run, with the plan that it carries over if it does."""
        ...

    async def save(self, before: RunState, after: RunState, /) -> None:
        """Write what differs between two states of a locked run: its row, a new plan, changed steps, new decisions."""
        ...

    async def set_labels(self, run_id: str, labels: tuple[str, ...], /) -> None:
        """Replace a run's labels."""
        ...

    async def delete(self, run_id: str, /) -> None:
        """Remove a run with its plans, logs, metrics, artifacts and events."""
        ...

    async def active(self, task_id: str, /) -> Sequence[Run]:
        """Return a task's runs that are not final, oldest first."""
        ...

    async def latest(self, task_id: str, /) -> Run | None:
        """Return a task's run with the highest number."""
        ...

    async def release_next(self, task_id: str, /) -> Run | None:
        """Let the task's next held run go (highest priority, then lowest number) and return it."""
        ...

    async def add_lines(self, run: Run, lines: Sequence[LogLine], /) -> None:
        """Add numbered lines to a run's log."""
        ...

    async def add_artifact(self, artifact: Artifact, content: bytes | None, /) -> None:
        """Add an artifact; None as content means that its bytes are stored already, under their SHA-256."""
        ...

    async def claimable(self, now: datetime, limit: int, teams: Collection[str] | None = None, /) -> Sequence[str]:
        """Return the runs, of these teams or any, that need a worker and have none alive, by priority and then age."""
        ...

    async def renew(self, owner: str, run_ids: Collection[str], until: datetime, /) -> Mapping[str, RunStatus]:
        """Renew a worker's leases of these runs, and return those of them that it has.

        Waits for nobody: the lease of a run that is being written stays as it is, or as the writer makes it.
        """
        ...

    async def due(self, now: datetime, limit: int, /) -> Sequence[str]:
        """Return the runs whose deadline has come, earliest first."""
        ...

    async def next_deadline(self) -> datetime | None:
        """Return the earliest deadline of an AWAITING_APPROVAL or CANCELLING run."""
        ...

    async def expire_leases(self, now: datetime, /) -> None:
        """Let every lease without an end lapse: the only process that could hold one is gone."""
        ...


class MetricWrites(Protocol):
    """Samples, changed."""

    async def add(self, metrics: Sequence[Metric], /) -> None:
        """Add samples."""
        ...

    async def get(self, metric_id: str, /) -> Metric | None:
        """Return a sample."""
        ...

    async def save(self, metric: Metric, /) -> None:
        """Replace a sample."""
        ...

    async def delete(self, metric_id: str, /) -> None:
        """Remove a sample."""
        ...


class EventWrites(Protocol):
    """The log, appended to."""

    async def append(self, events: Sequence[Event], /) -> Sequence[Event]:
        """Add events, to be delivered after the commit in this order; return them, with their places where known."""
        ...


class IdempotencyWrites(Protocol):
    """Clients' keys, kept for 24 hours."""

    async def find(self, key: IdempotencyKey, /) -> Sequence[str] | None:
        """Return the ids that the first request with this key led to, None when it is new.

        Raises:
            IdempotencyKeyReusedError: The key came with another input.
        """
        ...

    async def keep(self, key: IdempotencyKey, ids: Sequence[str], /) -> None:
        """Remember what a request led to, and forget keys older than 24 hours."""
        ...


class WriteTx(Protocol):
    """One transaction: commits when its block ends well, and only then delivers its events; else nothing happened."""

    @property
    def principal(self) -> Principal:
        """Who writes."""
        ...

    @property
    def tasks(self) -> TaskWrites:
        """Tasks."""
        ...

    @property
    def runs(self) -> RunWrites:
        """Runs, plans, decisions, logs and artifacts."""
        ...

    @property
    def metrics(self) -> MetricWrites:
        """Samples."""
        ...

    @property
    def events(self) -> EventWrites:
        """The log."""
        ...

    @property
    def idempotency(self) -> IdempotencyWrites:
        """Clients' keys."""
        ...

    @property
    def history(self) -> HistoryWrites:
        """The history of runs that are long over."""
        ...

    @property
    def read(self) -> ReadTx:
        """The same transaction's view of the store."""
        ...

    async def now(self) -> datetime:
        """Return the transaction's time, read once: at the first call, which comes after the locks."""
        ...

    def after_commit(self, callback: Callable[[], None], /) -> None:
        """Call back once the transaction is committed; not if it fails."""
        ...


class Store(Protocol):
    """Where everything is kept."""

    @property
    def log_id(self) -> str:
        """Name of this log: random, made with the database, renewed by a restore."""
        ...

    def read(self, principal: Principal, /) -> AbstractAsyncContextManager[ReadTx]:
        """Open a view for reading."""
        ...

    def write(self, principal: Principal, /, *, short: bool = False) -> AbstractAsyncContextManager[WriteTx]:
        """Open a transaction for writing.

        Args:
            principal: Who writes.
            short: Whether all of it is a few rows. Where one writes at a time, such transactions that come together may
                be committed together; each stands for itself, and none is over before it is committed.

        Raises:
            StoreBusyError: Another writer held the database for too long.
            StoreFullError: The database can't grow or be written.
        """
        ...
