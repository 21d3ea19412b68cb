"""Tasks in their table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from operator import attrgetter, is_
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update

from domain.model import Task
from domain.paging import Direction, Fields, Page, PageRequest, Related, TaskOrder, TaskOrderField
from domain.records import values_of
from domain.store import TaskFilter
from storage import arrivals
from storage.artifacts import drop_content_of_task
from storage.filters import Labels, Where
from storage.keyset import Ordering
from storage.labels import part_of
from storage.lookups import by_id
from storage.pages import ListCursors, Listing
from storage.session import Session
from storage.shapes import TASK
from storage.sql import owned
from storage.statements import AnyRow
from storage.tables import events, runs, task_labels, tasks

_LOCK: Final = (
    select(*TASK.columns())
    .where(tasks.c.id == bindparam("task_id"), owned(tasks.c.tenant))
    .with_for_update(key_share=True)  # a worker that has a run locked, and adds to it, must not wait for its task
)
LOCK_OF_RUN: Final = (
    select(*TASK.columns())
    .where(tasks.c.id.in_(select(runs.c.task_id).where(runs.c.id == bindparam("run_id"))), owned(tasks.c.tenant))
    .with_for_update(key_share=True)
)
"""The row of the task that a run is of."""

_INSERT: Final = insert(tasks)
_FIXED: Final = frozenset({"id", "tenant", "created_at"})
_SAVE: Final = (
    update(tasks)
    .where(tasks.c.id == bindparam("task_id"))
    .values({name: bindparam(name) for name in [*TASK.fields, "folded_name"] if name not in _FIXED})
)
_COUNTERS: Final = (
    *("latest_run_id", "last_run_at", "last_run_duration", "last_error"),
    *("total_runs", "finished_runs", "successful_runs", "failed_runs"),
)
_COUNTED: Final = ("status", *_COUNTERS)
_COUNTERS_OF: Final = values_of(*_COUNTERS)
_COUNTED_OF: Final = values_of(*_COUNTED)
_GIVEN: Final = attrgetter(*(name for name in TASK.fields if name not in _COUNTED))
_SAVE_COUNTED, _SAVE_COUNTERS = (
    update(tasks).where(tasks.c.id == bindparam("task_id")).values({name: bindparam(name) for name in names})
    for names in (_COUNTED, _COUNTERS)
)
"""For what its runs change of a task; the counters alone are in no index (see `storage.run_writes`)."""

_DELETE: Final = delete(tasks).where(tasks.c.id == bindparam("task_id"))
_DELETE_EVENTS: Final = delete(events).where(events.c.task_id == bindparam("of_task"))
_INSERT_LABEL: Final = insert(task_labels)
_DELETE_LABELS: Final = delete(task_labels).where(task_labels.c.task_id == bindparam("of_task"))

_COLUMNS: Final = {
    TaskOrderField.CREATED_AT: "created_at",
    TaskOrderField.UPDATED_AT: "updated_at",
    TaskOrderField.NAME: "folded_name",
}


class SqlTaskReads:
    """Implements `domain.store.TaskReads`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def many(self, ids: Collection[str], /, fields: Fields = None, related: Related = ()) -> Mapping[str, Task]:
        """Return the tasks with these ids."""
        return await by_id(self._session, TASK, ids, fields, related)

    async def page(self, request: PageRequest, filter_: TaskFilter, order: TaskOrder, /) -> Page[Task]:
        """Return a page of all tasks."""
        where = _where(filter_, self._session.tenant, await self._part_of_labels(filter_, order))
        return await _listing(order).page(self._session, request, where)

    async def _part_of_labels(self, filter_: TaskFilter, order: TaskOrder) -> Labels:
        return await part_of(
            filter_.labels,
            self._session,
            tasks,
            filter_.status,
            named=filter_.ids is not None,
            by_time=order.field is TaskOrderField.CREATED_AT,
        )


class SqlTaskWrites:
    """Implements `domain.store.TaskWrites`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._locked: dict[str, Task] = {}

    async def lock(self, task_id: str, /) -> Task | None:
        """Lock a task's row until the transaction ends, and read it."""
        known = self._locked.get(task_id)
        if known is not None:
            return known
        return self.keep(await self._session.row(_LOCK, task_id=task_id))

    def keep(self, row: AnyRow | None) -> Task | None:
        """Remember a locked task: until the transaction ends, nobody else can change it."""
        if row is None:
            return None
        task = self._locked[row[0]] = TASK.read(row)
        return task

    async def insert(self, task: Task, /) -> None:
        """Add a task."""
        await self._session.execute(_INSERT, TASK.values(task, folded_name=task.name.casefold()))
        await self._add_labels(task)

    async def save(self, task: Task, /) -> None:
        """Write a locked task."""
        before, self._locked[task.id] = self._locked[task.id], task
        if all(map(is_, _GIVEN(before), _GIVEN(task))):
            same = before.status is task.status
            save, values = (_SAVE_COUNTERS, _COUNTERS_OF(task)) if same else (_SAVE_COUNTED, _COUNTED_OF(task))
            await self._session.execute(save, values | {"task_id": task.id})
            return
        values = TASK.values(task, folded_name=task.name.casefold())
        values = {name: value for name, value in values.items() if name not in _FIXED}
        await self._session.execute(_SAVE, values | {"task_id": task.id})
        if before.labels != task.labels:
            await self._session.execute(_DELETE_LABELS, {"of_task": task.id})
            await self._add_labels(task)

    async def delete(self, task_id: str, /) -> None:
        """Remove a task with its runs, their plans, logs, metrics, artifacts and all its events."""
        if await self.lock(task_id) is None:
            return  # not there, or another tenant's
        await drop_content_of_task(self._session, task_id)
        await self._session.execute(_DELETE, {"task_id": task_id})
        await arrivals.forget_task(self._session, task_id)
        await self._session.execute(_DELETE_EVENTS, {"of_task": task_id})
        self._locked.pop(task_id, None)

    async def _add_labels(self, task: Task) -> None:
        of = {"tenant": task.tenant, "created_at": task.created_at, "task_id": task.id}
        rows = [of | {"label": label} for label in dict.fromkeys(task.labels)]
        if rows:
            await self._session.execute(_INSERT_LABEL, *rows)


@cache
def _listing(order: TaskOrder) -> Listing[Task]:
    ordering = Ordering((_COLUMNS[order.field], "id"), descending=order.direction is Direction.DESC)
    return Listing(
        shape=TASK,
        ordering=ordering,
        cursors=ListCursors(f"tasks:{order.field}:{order.direction}", ordering, tasks),
        merged=frozenset({"status"} if order.field is TaskOrderField.CREATED_AT else ()),
    )


def _where(filter_: TaskFilter, tenant: str | None, labels: Labels) -> Where:
    return (
        Where(tenant)
        .any_of("id", filter_.ids)
        .any_of("status", filter_.status)
        .any_of("team", filter_.teams)
        .labelled(task_labels, "task_id", filter_.labels, labels)
        .contains("folded_name", filter_.query)
        .within("created_at", filter_.created_at)
    )
