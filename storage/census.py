"""How many runs there are in each state, and how long the queue for a slot is."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, func, or_, select

from domain.model import RunStatus
from domain.store import RunCensus
from storage.session import Session
from storage.sql import owned
from storage.tables import WORKABLE, events, runs
from storage.types import UtcDateTime

# Both groups stand together in ix_runs_tenant_status_created_at_id, so that neither rows nor a sort are needed.
_BY_STATUS: Final = (
    select(runs.c.tenant, runs.c.status, func.count())
    .where(owned(runs.c.tenant))
    .group_by(runs.c.tenant, runs.c.status)
)

_now: Final = bindparam("now", type_=UtcDateTime())
_newest_event: Final = (
    select(events.c.timestamp)
    .where(events.c.run_id == runs.c.id, events.c.sequence == runs.c.last_sequence)
    .scalar_subquery()
)
# WORKABLE is the condition of ix_runs_workable, which holds only runs that are not done.
_queue: Final = (
    select(_newest_event.label("since"))
    .where(WORKABLE, owned(runs.c.tenant), or_(runs.c.owner.is_(None), runs.c.lease_until <= _now))
    .subquery()
)
_QUEUE: Final = select(func.count(), func.min(_queue.c.since))


async def take(session: Session, now: datetime) -> RunCensus:
    """Count the runs."""
    by_status: Counter[RunStatus] = Counter()
    for _, status, count in await session.rows(_BY_STATUS):
        by_status[status] += count
    ((waiting, since),) = await session.rows(_QUEUE, now=now)
    return RunCensus(by_status=by_status, waiting=waiting, waiting_since=since)
