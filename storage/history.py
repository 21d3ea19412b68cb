"""What is kept of the history of runs: where lists of it begin, and its removal.

A run's history is removed in two moves. The first marks it: the place of its last event becomes the horizon of the run,
and of its task and tenant unless theirs is further on already. From that commit on no reader sees it: lists begin above
the horizon, and a cursor below it is refused. The second removes the rows, the first ones first, in as many
transactions as it takes. So what a reader sees has no hole at any time, wherever a process is killed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Integer,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)

from storage import locks
from storage.session import Session
from storage.sql import one_of
from storage.tables import REMEMBERED, events, horizons, logs, runs, tasks
from storage.types import POSTGRESQL, UtcDateTime

RUNS: Final = 50
"""Runs at most whose history one transaction removes, so that it keeps few rows locked."""

_last_pos: Final = (
    select(events.c.pos)
    .where(events.c.run_id == runs.c.id, events.c.sequence == runs.c.last_sequence)
    .scalar_subquery()
)
_DUE: Final = (
    select(
        runs.c.id,
        runs.c.task_id,
        runs.c.tenant,
        (runs.c.last_sequence + runs.c.log_count).label("rows"),
        func.coalesce(runs.c.horizon, _last_pos).label("pos"),
    )
    .join(tasks, tasks.c.id == runs.c.task_id)
    .where(REMEMBERED, runs.c.completed_at <= bindparam("until", type_=UtcDateTime()))
    .where(or_(runs.c.horizon.is_not(None), _last_pos.is_not(None)))  # its last event may wait for its place
    .order_by(runs.c.completed_at, runs.c.id)
    .limit(RUNS)
    # It waits for nobody, and so nobody for each other; what is locked has its turn later.
    .with_for_update(of=[runs, tasks], key_share=True, skip_locked=True)
)

_MARK_RUN: Final = update(runs).where(runs.c.id == bindparam("of_run")).values(horizon=bindparam("place"))
_MARK_TASK: Final = (
    update(tasks)
    .where(tasks.c.id == bindparam("of_task"), func.coalesce(tasks.c.horizon, 0) < bindparam("place"))
    .values(horizon=bindparam("place"))
)
_MARK_TENANT: Final = (
    update(horizons)
    .where(horizons.c.tenant == bindparam("of_tenant"), horizons.c.pos < bindparam("place"))
    .values(pos=bindparam("place"))
)
_ADD_TENANT: Final = insert(horizons).from_select(
    ["tenant", "pos"],
    select(bindparam("of_tenant", type_=horizons.c.tenant.type), bindparam("place", type_=horizons.c.pos.type)).where(
        ~exists().where(horizons.c.tenant == bindparam("of_tenant"))
    ),
)


def _remove(number: Column[int]) -> Delete:
    """Return what removes the first rows of a run, which a column numbers without a gap."""
    first = number.table.alias("first")
    of_run = bindparam("of_run", type_=runs.c.id.type)
    lowest = select(func.min(first.c[number.name])).where(first.c.run_id == of_run).scalar_subquery()
    # A range of an index on either database; how many rows there are can't lead a planner astray.
    return delete(number.table).where(
        number.table.c.run_id == of_run, number < lowest + bindparam("rows", type_=Integer())
    )


_REMOVE_EVENTS: Final = _remove(events.c.sequence)
_REMOVE_LINES: Final = _remove(logs.c.number)
_FORGET: Final = (
    update(runs)
    .where(
        one_of(runs.c.id, "chosen"),
        ~exists().where(events.c.run_id == runs.c.id),
        ~exists().where(logs.c.run_id == runs.c.id),
    )
    .values(forgotten=true())
)
_FORGOTTEN: Final = select(func.count()).where(one_of(runs.c.id, "chosen"), runs.c.forgotten)
_ALONE: Final = text(locks.FORGET)


def of_all(_: object = None) -> ColumnElement[int]:
    """Return the horizon of all tenants together."""
    return _highest(horizons.c.pos)


def of_tenant(_: object = None) -> ColumnElement[int]:
    """Return the horizon of the parameter `tenant`."""
    return _highest(horizons.c.pos, horizons.c.tenant == bindparam("tenant"))


def of_task(task_id: ColumnElement[str] | None) -> ColumnElement[int]:
    """Return a task's horizon."""
    return _highest(tasks.c.horizon, tasks.c.id == task_id)


def of_run(run_id: ColumnElement[str] | None) -> ColumnElement[int]:
    """Return a run's horizon."""
    return _highest(runs.c.horizon, runs.c.id == run_id)


def of_lines(run_id: ColumnElement[str] | None) -> ColumnElement[int]:
    """Return the number of the last line of a run whose history is gone, 0 for others."""
    return _highest(runs.c.log_count, runs.c.id == run_id, runs.c.horizon.is_not(None))


class _Due(NamedTuple):
    """A run whose history may go: how many rows it has, and the place of its last event."""

    run_id: str
    task_id: str
    tenant: str
    rows: int
    pos: int


class SqlHistoryWrites:
    """Implements `domain.history.HistoryWrites`."""

    def __init__(self, session: Session, now: Callable[[], Awaitable[datetime]]) -> None:
        self._session = session
        self._now = now

    async def forget(self, kept: timedelta, rows: int, /) -> int | None:
        """Remove history of runs that have been final for longer than `kept`, those first that ended first."""
        if not await self._is_alone():
            return None
        due = await self._session.rows(_DUE, until=await self._now() - kept)
        chosen = _fitting([_Due(*row) for row in due], rows)
        if not chosen:
            return None
        await self._mark(chosen)
        parts = [{"of_run": run.run_id, "rows": rows} for run in chosen]
        await self._session.execute(_REMOVE_EVENTS, *parts)
        await self._session.execute(_REMOVE_LINES, *parts)
        some = {"chosen": [run.run_id for run in chosen]}
        await self._session.execute(_FORGET, some)
        ((gone,),) = await self._session.rows(_FORGOTTEN, **some)
        return int(gone)

    async def _is_alone(self) -> bool:
        """Whether no other process removes history now."""
        if self._session.dialect != POSTGRESQL:
            return True
        row = await self._session.row(_ALONE)
        return row is not None and bool(row[0])

    async def _mark(self, chosen: Sequence[_Due]) -> None:
        of_tasks: dict[str, int] = {}
        of_tenants: dict[str, int] = {}
        for run in chosen:
            of_tasks[run.task_id] = max(of_tasks.get(run.task_id, 0), run.pos)
            of_tenants[run.tenant] = max(of_tenants.get(run.tenant, 0), run.pos)
        marks = [{"of_tenant": tenant, "place": pos} for tenant, pos in of_tenants.items()]
        await self._session.execute(_ADD_TENANT, *marks)
        await self._session.execute(_MARK_TENANT, *marks)
        await self._session.execute(_MARK_TASK, *[{"of_task": id_, "place": pos} for id_, pos in of_tasks.items()])
        await self._session.execute(_MARK_RUN, *[{"of_run": run.run_id, "place": run.pos} for run in chosen])


def _highest(place: Column[int], *where: ColumnElement[bool]) -> ColumnElement[int]:
    """Return the highest place in some rows, 0 where there is none."""
    return select(func.coalesce(func.max(place), 0)).where(*where).correlate_except(place.table).scalar_subquery()


def _fitting(due: Sequence[_Due], rows: int) -> Sequence[_Due]:
    """Return the first runs that have no more rows together than may be removed; one in any case."""
    count, total = 0, 0
    for run in due:
        total += run.rows
        if count and total > rows:
            break
        count += 1
    return due[:count]
