"""The log of events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, assert_never

from sqlalchemy import ColumnElement, Integer, Select, Text, bindparam, func, insert, select

from domain.errors import InvalidCursorError
from domain.events import TERMINAL, Event, EventType
from domain.history import Extent
from domain.paging import Page, PageRequest, decode_event_cursor, encode_event_cursor
from domain.store import AllScope, RunScope, Scope, TaskScope
from storage import history
from storage.filters import Terms, Where, above, conditions, equals, present
from storage.keyset import Key, Ordering
from storage.page_statements import Floor
from storage.pages import Listing
from storage.session import Session
from storage.shapes import EVENT
from storage.tables import events

ENDINGS: Final = TERMINAL | {EventType.RUN_DELETED, EventType.TASK_DELETED}
"""Events that end a followed run or task."""

_newest: Final = select(func.coalesce(func.max(events.c.pos), 0)).scalar_subquery()
_of: Final = bindparam("of", type_=Text())
_INSERT: Final = insert(events)
_BY_POS: Final = Ordering(("pos",))


@dataclass(frozen=True, slots=True)
class _EventCursors:
    """Cursors that are good in every list of events of one log."""

    log_id: str

    def write(self, _parent: str | None, parts: Sequence[Any], /) -> str:
        return encode_event_cursor(self.log_id, parts[0])

    def read(self, _parent: str | None, cursor: str, /) -> Key:
        return (decode_event_cursor(self.log_id, cursor),)


@lru_cache
def _listing(log_id: str, floor: Floor, *, parent: str | None = None) -> Listing[Event]:
    return Listing(shape=EVENT, ordering=_BY_POS, cursors=_EventCursors(log_id), parent=parent, floor=floor)


class SqlEventReads:
    """Implements `domain.store.EventReads`."""

    def __init__(self, session: Session, log_id: str) -> None:
        self._session = session
        self._log_id = log_id

    async def head(self) -> int:
        """Return the place of the newest event, whoever's it is and even if it is gone; 0 in an empty log."""
        return (await self.extent(AllScope())).head

    async def extent(self, scope: Scope, /) -> Extent:
        """Return how far back and how far on the log goes."""
        match scope:
            case RunScope(run_id):
                statement, of = _OF_RUN, run_id
            case TaskScope(task_id):
                statement, of = _OF_TASK, task_id
            case AllScope():
                statement, of = _OF_TENANT if self._session.tenant is not None else _OF_ALL, ""
            case _:
                assert_never(scope)
        row = await self._session.row(statement, of=of)
        assert row is not None
        horizon, newest, gone = row
        return Extent(horizon=horizon, head=max(newest, gone))

    async def after(
        self, scope: Scope, pos: int, /, *, limit: int, types: Collection[EventType] | None = None
    ) -> Sequence[Event]:
        """Read what happened after a place, oldest first, at most `limit` events."""
        where = _in_scope(Where(self._session.tenant), scope).holds(above, "pos", pos)
        where.any_of("type", None if types is None else {*types, *ENDINGS})
        rows = await self._session.rows(_after(where.terms), limit=limit, **where.values)
        return [EVENT.read(row) for row in rows]

    async def page(self, request: PageRequest, types: Collection[EventType] | None, /) -> Page[Event]:
        """Return a page of the whole log, oldest first."""
        await self._check(request)
        floor = history.of_all if self._session.tenant is None else history.of_tenant
        return await _listing(self._log_id, floor).page(self._session, request, self._where(types))

    async def pages_of_runs(
        self, run_ids: Collection[str], request: PageRequest, types: Collection[EventType] | None, /
    ) -> Mapping[str, Page[Event]]:
        """Return a page of each run's own events."""
        await self._check(request)
        listing = _listing(self._log_id, history.of_run, parent="run_id")
        return await listing.pages(self._session, request, self._where(types).holds(present, "sequence"), run_ids)

    async def pages_of_tasks(
        self, task_ids: Collection[str], request: PageRequest, types: Collection[EventType] | None, /
    ) -> Mapping[str, Page[Event]]:
        """Return a page of each task's events, those of its runs among them."""
        await self._check(request)
        listing = _listing(self._log_id, history.of_task, parent="task_id")
        return await listing.pages(self._session, request, self._where(types), task_ids)

    def _where(self, types: Collection[EventType] | None) -> Where:
        return Where(self._session.tenant).any_of("type", types)

    async def _check(self, request: PageRequest) -> None:
        """Refuse a cursor beyond the log's head: it is of a log that a restore has cut."""
        cursors = [cursor for cursor in (request.after, request.before) if cursor is not None]
        if cursors:
            newest = max(decode_event_cursor(self._log_id, cursor) for cursor in cursors)
            if newest > await self.head():
                raise InvalidCursorError("The cursor is newer than the log; start without it.")


class SqlEventWrites:
    """Implements `domain.store.EventWrites`."""

    def __init__(self, session: Session, head: int) -> None:
        """Append to a log whose newest event, before the transaction, is at `head`."""
        self._session = session
        self.head = head
        self.appended: list[Event] = []

    async def append(self, events: Sequence[Event], /) -> Sequence[Event]:
        """Add events, to be delivered after the commit in this order; return them with their places."""
        if not events:
            return ()
        placed = [event.at(pos) for pos, event in enumerate(events, self.head + 1)]
        await self._session.execute(_INSERT, *[EVENT.values(event) for event in placed])
        self.head += len(placed)
        self.appended += placed
        return placed


def _extent(horizon: ColumnElement[int]) -> Select[*tuple[Any, ...]]:
    # The newest event may be gone; its place is not given again, and cursors of it are good.
    return select(horizon.label("horizon"), _newest.label("newest"), history.of_all().label("gone"))


_OF_RUN: Final = _extent(history.of_run(_of))
_OF_TASK: Final = _extent(history.of_task(_of))
_OF_TENANT: Final = _extent(history.of_tenant())
_OF_ALL: Final = _extent(history.of_all())


@lru_cache
def _after(terms: Terms) -> Select[*tuple[Any, ...]]:
    return (
        select(*EVENT.columns())
        .where(*conditions(terms, events))
        .order_by(events.c.pos)
        .limit(bindparam("limit", type_=Integer()))
    )


def _in_scope(where: Where, scope: Scope) -> Where:
    match scope:
        case RunScope(run_id):
            return where.holds(equals, "run_id", run_id)
        case TaskScope(task_id):
            return where.holds(equals, "task_id", task_id)
        case AllScope():
            return where
        case _:
            assert_never(scope)
