"""Runs, read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from domain.model import Artifact, Decision, LogLine, Plan, Run, RunStatus
from domain.paging import Direction, Fields, Page, PageRequest, Related, RunOrder, RunOrderField
from domain.store import LogFilter, RunCensus, RunFilter
from storage import artifacts, census, history, plans
from storage.filters import Labels, Where, at_least, differs, equals
from storage.keyset import Ordering
from storage.labels import part_of
from storage.lookups import by_id
from storage.pages import ListCursors, Listing
from storage.session import Session
from storage.shapes import LOG_LINE, RUN
from storage.tables import logs, run_labels, runs

_COLUMNS: Final = {
    RunOrderField.CREATED_AT: "created_at",
    RunOrderField.STARTED_AT: "started_at",
    RunOrderField.COMPLETED_AT: "completed_at",
    RunOrderField.DURATION: "duration",
}
_MERGED: Final = frozenset({"task_id", "status"})
_MERGED_ALWAYS: Final = frozenset({"task_id"})
_BY_NUMBER: Final = Ordering(("number",))
_LOGS: Final = Listing(
    shape=LOG_LINE,
    ordering=_BY_NUMBER,
    cursors=ListCursors("logs:{parent}", _BY_NUMBER, logs),
    parent="run_id",
    floor=history.of_lines,
)


class SqlRunReads:
    """Implements `domain.store.RunReads`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def many(self, ids: Collection[str], /, fields: Fields = None, related: Related = ()) -> Mapping[str, Run]:
        """Return the runs with these ids."""
        return await by_id(self._session, RUN, ids, fields, related)

    async def page(self, request: PageRequest, filter_: RunFilter, order: RunOrder, /) -> Page[Run]:
        """Return a page of all runs."""
        where = _where(filter_, self._session.tenant, await self._part_of_labels(filter_, order))
        return await _listing(order, "runs").page(self._session, request, where)

    async def pages_of_tasks(
        self, task_ids: Collection[str], request: PageRequest, filter_: RunFilter, order: RunOrder, /
    ) -> Mapping[str, Page[Run]]:
        """Return a page of each task's runs."""
        where = _where(filter_, self._session.tenant, Labels.LOOKED_UP)
        return await _listing(order, "{parent}", parent="task_id").pages(self._session, request, where, task_ids)

    async def plans(self, run_ids: Collection[str], /) -> Mapping[str, Sequence[Plan]]:
        """Return all versions of each run's plan that were delivered, oldest first."""
        return await plans.of_runs(self._session, run_ids)

    async def current_plans(self, run_ids: Collection[str], /) -> Mapping[str, Plan]:
        """Return the newest version of each run's plan that was delivered."""
        return await plans.current(self._session, run_ids)

    async def decisions(self, run_ids: Collection[str], /) -> Mapping[str, Sequence[Decision]]:
        """Return each run's decisions, oldest first."""
        return await plans.decisions_of_runs(self._session, run_ids)

    async def logs(
        self, run_ids: Collection[str], request: PageRequest, filter_: LogFilter, /
    ) -> Mapping[str, Page[LogLine]]:
        """Return a page of each run's log, oldest first."""
        return await _LOGS.pages(self._session, request, _log_where(filter_, self._session.tenant), run_ids)

    async def artifacts_of(self, run_ids: Collection[str], /) -> Mapping[str, Sequence[Artifact]]:
        """Return each run's artifacts, oldest first."""
        return await artifacts.of_runs(self._session, run_ids)

    async def artifacts(self, ids: Collection[str], /) -> Mapping[str, Artifact]:
        """Return the artifacts with these ids."""
        return await artifacts.by_id(self._session, ids)

    def content(self, artifact: Artifact, /) -> AsyncIterator[bytes]:
        """Read an artifact's bytes in chunks."""
        return artifacts.content(self._session, artifact)

    async def census(self, now: datetime, /) -> RunCensus:
        """Count the runs."""
        return await census.take(self._session, now)

    async def _part_of_labels(self, filter_: RunFilter, order: RunOrder) -> Labels:
        return await part_of(
            filter_.labels,
            self._session,
            runs,
            [RunStatus.AWAITING_APPROVAL] if filter_.needs_approval else filter_.status,
            named=filter_.task_ids is not None,
            by_time=order.field is RunOrderField.CREATED_AT,
        )


@cache
def _listing(order: RunOrder, name: str, *, parent: str | None = None) -> Listing[Run]:
    ordering = Ordering(
        (_COLUMNS[order.field], "id"),
        descending=order.direction is Direction.DESC,
        nullable=order.field is not RunOrderField.CREATED_AT,
    )
    return Listing(
        shape=RUN,
        ordering=ordering,
        cursors=ListCursors(f"{name}:{order.field}:{order.direction}", ordering, runs),
        parent=parent,
        merged=_MERGED if order.field is RunOrderField.CREATED_AT else _MERGED_ALWAYS,
    )


def _where(filter_: RunFilter, tenant: str | None, labels: Labels) -> Where:
    where = Where(tenant).any_of("task_id", filter_.task_ids).any_of("status", filter_.status)
    if filter_.needs_approval is not None:
        where.holds(equals if filter_.needs_approval else differs, "status", RunStatus.AWAITING_APPROVAL)
    return where.labelled(run_labels, "run_id", filter_.labels, labels).within("created_at", filter_.created_at)


def _log_where(filter_: LogFilter, tenant: str | None) -> Where:
    return Where(tenant).holds(at_least, "level", filter_.min_level).holds(equals, "step", filter_.step)
