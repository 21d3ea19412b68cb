"""Runs, changed, and what the engine looks for among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Final

from sqlalchemy import and_, bindparam, delete, func, insert, literal, or_, select, update

from domain.fold import RunState, with_run
from domain.model import Artifact, LogLine, Run, RunStatus
from domain.records import values_of
from domain.transitions import FINAL
from storage import arrivals, artifacts, plans
from storage.run_states import RunStates
from storage.session import Session
from storage.shapes import LOG_LINE, RUN
from storage.sql import one_of, owned
from storage.statements import AnyRow, Result
from storage.tables import WAITING, WORKABLE, events, logs, run_labels, runs
from storage.tasks import LOCK_OF_RUN, SqlTaskWrites
from storage.types import UtcDateTime

_FIXED: Final = frozenset(
    {
        *("id", "tenant", "task_id", "number", "team", "labels", "config", "settings"),
        *("auto_approve", "priority", "retry_of", "created_at"),
    }
)
_MOVING: Final = tuple(name for name in RUN.fields if name not in _FIXED)
_INDEXED: Final = frozenset({"held", *(column.name for index in runs.indexes for column in index.columns)})
_UNINDEXED: Final = tuple(name for name in _MOVING if name not in _INDEXED)
_MOVING_OF: Final = values_of(*_MOVING)
_UNINDEXED_OF: Final = values_of(*_UNINDEXED)
_INDEXED_OF: Final = attrgetter(*(name for name in _MOVING if name in _INDEXED))
"""What indexes hold of a run that may change; `held` is in their conditions alone."""

_LOCK: Final = (
    select(*RUN.columns())
    .where(runs.c.id == bindparam("run_id"), owned(runs.c.tenant))
    .with_for_update(key_share=True)  # who adds a row that refers to the run need not wait
)
_ID, _LAST_SEQUENCE, _STATUS = (RUN.fields.index(name) for name in ("id", "last_sequence", "status"))
_SHIFTING: Final = ("labels", "held", "owner", "lease_until", "attempt", "begun")
"""What of a run may change without an event."""

_SHIFTING_OF: Final = attrgetter(*_SHIFTING)
_SHIFTING_AT: Final = tuple(map(RUN.fields.index, _SHIFTING))

_INSERT: Final = insert(runs)
_SAVE, _SAVE_UNINDEXED = (
    update(runs).where(runs.c.id == bindparam("of_run")).values({name: bindparam(name) for name in names})
    for names in (_MOVING, _UNINDEXED)
)
"""The second for what no index holds: SQLite writes an index anew for each of its columns that is set, though the value
is the same."""

_SET_LABELS: Final = update(runs).where(runs.c.id == bindparam("of_run")).values(labels=bindparam("labels"))
_INSERT_LABEL: Final = insert(run_labels)
_DELETE_LABELS: Final = delete(run_labels).where(run_labels.c.run_id == bindparam("of_run"))
_DELETE: Final = delete(runs).where(runs.c.id == bindparam("of_run"))
_DELETE_EVENTS: Final = delete(events).where(events.c.run_id == bindparam("of_run"))
_INSERT_LINE: Final = insert(logs)

_OF_TASK: Final = and_(runs.c.task_id == bindparam("task_id"), owned(runs.c.tenant))
_final: Final = [literal(status, runs.c.status.type) for status in sorted(FINAL)]
_ACTIVE: Final = select(*RUN.columns()).where(_OF_TASK, runs.c.status.not_in(_final)).order_by(runs.c.number)
_LATEST: Final = select(*RUN.columns()).where(_OF_TASK).order_by(runs.c.number.desc()).limit(1)
_NEXT_HELD: Final = (
    select(*RUN.columns())
    .where(_OF_TASK, runs.c.held, runs.c.status == RunStatus.PENDING)
    .order_by(runs.c.priority.desc(), runs.c.number)
    .limit(1)
)
_RELEASE: Final = update(runs).where(runs.c.id == bindparam("of_run")).values(held=False)

_now: Final = bindparam("now", type_=UtcDateTime())
_CLAIMABLE: Final = (
    select(runs.c.id)
    .where(WORKABLE, or_(runs.c.owner.is_(None), runs.c.lease_until <= _now))
    .order_by(runs.c.priority.desc(), runs.c.created_at, runs.c.id)
    .limit(bindparam("limit"))
)
_CLAIMABLE_OF_TEAMS: Final = _CLAIMABLE.where(one_of(runs.c.team, "teams"))
_OWNED: Final = and_(WORKABLE, one_of(runs.c.id, "run_ids"), runs.c.owner == bindparam("of_owner"))
_RENEW: Final = (
    update(runs)
    .where(runs.c.id.in_(select(runs.c.id).where(_OWNED).with_for_update(key_share=True, skip_locked=True)))
    .values(lease_until=bindparam("until"))
)
_HELD_BY: Final = select(runs.c.id, runs.c.status).where(_OWNED)
_DUE: Final = (
    select(runs.c.id)
    .where(WAITING, runs.c.deadline <= _now)
    .order_by(runs.c.deadline, runs.c.id)
    .limit(bindparam("limit"))
)
_NEXT_DEADLINE: Final = select(func.min(runs.c.deadline)).where(WAITING)
_EXPIRE: Final = (
    update(runs)
    .where(WORKABLE, runs.c.owner.is_not(None), runs.c.lease_until.is_(None))
    .values(lease_until=bindparam("now"))
)


class SqlRunWrites:
    """Implements `domain.store.RunWrites`."""

    def __init__(self, session: Session, tasks: SqlTaskWrites, states: RunStates) -> None:
        self._session = session
        self._tasks = tasks
        self._states = states
        self._saved: dict[str, RunState] = {}

    def committed(self) -> None:
        """Remember the states that were written."""
        self._states.keep(self._saved)

    async def lock(self, run_id: str, /) -> RunState | None:
        """Lock a run's row until the transaction ends, and read everything that decides about it."""
        (found,) = await self._session.locked(_LOCK, run_id=run_id)
        return await self._state(found)

    async def lock_with_task(self, run_id: str, /) -> RunState | None:
        """Lock the row of a run's task, and then the run as `lock` does."""
        task, found = await self._session.locked(LOCK_OF_RUN, _LOCK, run_id=run_id)
        self._tasks.keep(task.first())
        return await self._state(found)

    async def insert(self, state: RunState, /) -> None:
        """Add a run, with the plan that it carries over if it does."""
        run = state.run
        await self._session.execute(_INSERT, RUN.values(run))
        await self._add_labels(run, run.labels)
        if state.plan is not None:
            await plans.insert_plan(self._session, run, state.plan)

    async def save(self, before: RunState, after: RunState, /) -> None:
        """Write what differs between two states of a locked run."""
        run = after.run
        if before.run.last_sequence != run.last_sequence or before.run != run:
            same = _INDEXED_OF(before.run) == _INDEXED_OF(run)
            save, values = (_SAVE_UNINDEXED, _UNINDEXED_OF(run)) if same else (_SAVE, _MOVING_OF(run))
            await self._session.execute(save, values | {"of_run": run.id})
        await plans.save(self._session, before, after)
        self._saved[run.id] = after

    async def set_labels(self, run_id: str, labels: tuple[str, ...], /) -> None:
        """Replace a run's labels."""
        (found,) = await self._session.locked(_LOCK, run_id=run_id)
        if (row := found.first()) is None:
            return
        await self._session.execute(_SET_LABELS, {"of_run": run_id, "labels": labels})
        await self._session.execute(_DELETE_LABELS, {"of_run": run_id})
        await self._add_labels(RUN.read(row), labels)

    async def delete(self, run_id: str, /) -> None:
        """Remove a run with its plans, logs, metrics, artifacts and events."""
        if await self.lock(run_id) is None:
            return  # not there, or another tenant's
        await artifacts.drop_content_of_run(self._session, run_id)
        await self._session.execute(_DELETE, {"of_run": run_id})
        await arrivals.forget_run(self._session, run_id)
        await self._session.execute(_DELETE_EVENTS, {"of_run": run_id})

    async def active(self, task_id: str, /) -> Sequence[Run]:
        """Return a task's runs that are not final, oldest first."""
        return [RUN.read(row) for row in await self._session.rows(_ACTIVE, task_id=task_id)]

    async def latest(self, task_id: str, /) -> Run | None:
        """Return a task's run with the highest number."""
        row = await self._session.row(_LATEST, task_id=task_id)
        return None if row is None else RUN.read(row)

    async def release_next(self, task_id: str, /) -> Run | None:
        """Let the task's next held run go and return it."""
        row = await self._session.row(_NEXT_HELD, task_id=task_id)
        if row is None:
            return None
        run = replace(RUN.read(row), held=False)
        await self._session.execute(_RELEASE, {"of_run": run.id})
        return run

    async def add_lines(self, run: Run, lines: Sequence[LogLine], /) -> None:
        """Add numbered lines to a run's log."""
        key = {"tenant": run.tenant, "run_id": run.id}
        if lines:
            await self._session.execute(_INSERT_LINE, *[LOG_LINE.values(line, **key) for line in lines])

    async def add_artifact(self, artifact: Artifact, content: bytes | None, /) -> None:
        """Add an artifact; None as content means that its bytes are stored already, under their SHA-256."""
        await artifacts.add(self._session, artifact, content)

    async def claimable(self, now: datetime, limit: int, teams: Collection[str] | None = None, /) -> Sequence[str]:
        """Return the runs, of these teams or any, that need a worker and have none alive, by priority and then age."""
        if teams is None:
            rows = await self._session.rows(_CLAIMABLE, now=now, limit=limit)
        else:
            rows = await self._session.rows(_CLAIMABLE_OF_TEAMS, now=now, limit=limit, teams=sorted(teams))
        return [row[0] for row in rows]

    async def renew(self, owner: str, run_ids: Collection[str], until: datetime, /) -> Mapping[str, RunStatus]:
        """Renew a worker's leases of these runs, and return those of them that it has."""
        ours = {"of_owner": owner, "run_ids": sorted(run_ids)}
        await self._session.execute(_RENEW, ours | {"until": until})
        return {row[0]: row[1] for row in await self._session.rows(_HELD_BY, **ours)}

    async def due(self, now: datetime, limit: int, /) -> Sequence[str]:
        """Return the runs whose deadline has come, earliest first."""
        return [row[0] for row in await self._session.rows(_DUE, now=now, limit=limit)]

    async def next_deadline(self) -> datetime | None:
        """Return the earliest deadline of an AWAITING_APPROVAL or CANCELLING run."""
        row = await self._session.row(_NEXT_DEADLINE)
        return None if row is None else row[0]

    async def expire_leases(self, now: datetime, /) -> None:
        """Let every lease without an end lapse."""
        await self._session.execute(_EXPIRE, {"now": now})

    async def _state(self, found: Result) -> RunState | None:
        if not found.rows:
            return None
        row = found.rows[0]
        run_id = row[_ID]
        known = None if run_id in self._saved else self._states.find(run_id, row[_LAST_SEQUENCE], row[_STATUS])
        if known is not None:
            return _shifted(known, found, row)
        (row,) = found.read()
        return await plans.state_of(self._session, RUN.read(row))

    async def _add_labels(self, run: Run, labels: tuple[str, ...]) -> None:
        of = {"tenant": run.tenant, "created_at": run.created_at, "run_id": run.id}
        rows = [of | {"label": label} for label in dict.fromkeys(labels)]
        if rows:
            await self._session.execute(_INSERT_LABEL, *rows)


def _shifted(known: RunState, found: Result, row: AnyRow) -> RunState:
    """Return the state of a run whose events are all known, as its row now is; most are as they were."""
    values = found.values(row, _SHIFTING_AT)
    return known if values == _SHIFTING_OF(known.run) else with_run(known, **dict(zip(_SHIFTING, values, strict=True)))
