"""Events of a database with many writers: each waits in `arrivals` until it gets its place in the log.

One who writes can't know the place: transactions commit in another order than that in which they write, and a reader
that has gone past a place never looks there again. So places are given afterwards, to what is committed, by one
process at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, Text, and_, bindparam, delete, insert, literal_column, select, union_all

from domain.events import Event
from domain.records import values_of
from storage.session import Session
from storage.shapes import EVENT
from storage.tables import arrivals, events
from storage.types import POSTGRESQL, UtcDateTime

BATCH: Final = 500
"""Events that get their places in one transaction."""

_INSERT: Final = insert(arrivals)
_FOUND: Final = union_all(
    *(
        select(table.c.id).where(
            and_(
                table.c.task_id == bindparam("task_id"),
                table.c.id == bindparam("event_id"),
                table.c.timestamp == bindparam("at", type_=UtcDateTime()),
            )
        )
        for table in (arrivals, events)
    )
)
_DELETE_OF_RUN: Final = delete(arrivals).where(arrivals.c.run_id == bindparam("of_run"))
_DELETE_OF_TASK: Final = delete(arrivals).where(arrivals.c.task_id == bindparam("of_task"))

_values: Final = values_of(*(name for name in EVENT.fields if name != "pos"))
_due: Final = select(arrivals.c.seq).order_by(arrivals.c.seq).limit(BATCH)
_moved: Final = (
    delete(arrivals)
    .where(arrivals.c.seq.in_(_due))
    # xmin is the transaction that wrote the row (https://www.postgresql.org/docs/18/ddl-system-columns.html).
    .returning(*arrivals.c, literal_column("arrivals.xmin::text", Text).label("writer"))
    .cte("moved")
)
_ordered: Final = select(_moved).order_by(_moved.c.seq).subquery("ordered")
_placed: Final = select(literal_column("nextval('events_pos_seq')", BigInteger).label("pos"), _ordered).cte("placed")
_stored: Final = insert(events).from_select(list(EVENT.fields), select(*EVENT.columns(_placed))).cte("stored")
NUMBER: Final = select(*EVENT.columns(_placed), _placed.c.writer).order_by(_placed.c.pos).add_cte(_stored)
"""Moves what arrived first to the log, in the order of arrival, and returns it with its places and its transactions.

It sees all that was committed before it began: so it must begin after the one before it was committed.
"""


class ArrivingEventWrites:
    """Implements `domain.store.EventWrites`.

    Attributes:
        last: The last event that was added.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.last: Event | None = None

    async def append(self, events: Sequence[Event], /) -> Sequence[Event]:
        """Add events and return them; they get their places, and are delivered, after the commit."""
        if events:
            self.last = events[-1]
            await self._session.execute(_INSERT, *map(_values, events))
        return events


async def has_arrived(session: Session, event: Event) -> bool:
    """Whether an event was committed: this one, and not another that was given its id after it had got lost."""
    found = await session.row(_FOUND, task_id=event.task_id, event_id=event.id, at=event.timestamp)
    return found is not None


async def forget_run(session: Session, run_id: str) -> None:
    """Remove a run's events that have no place yet; before those of the log, where they may have got to meanwhile."""
    if session.dialect == POSTGRESQL:
        await session.execute(_DELETE_OF_RUN, {"of_run": run_id})


async def forget_task(session: Session, task_id: str) -> None:
    """Remove a task's events, and those of its runs, that have no place yet; before those of the log."""
    if session.dialect == POSTGRESQL:
        await session.execute(_DELETE_OF_TASK, {"of_task": task_id})
