"""A list that is gone on with from a cursor, either way, is still read by an index and in its order."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import Table, UniqueConstraint

from domain.events import EventType
from domain.model import ANONYMOUS, LogLevel, RunStatus, TaskStatus
from domain.paging import Direction, PageRequest, RunOrder, RunOrderField, TaskOrder, TaskOrderField, TimeRange
from domain.store import LogFilter, MetricFilter, ReadTx, RunFilter, TaskFilter
from storage.tables import metadata
from tests.contract.world import NOON, SECOND, SetClock, World, log_line, metric
from tests.storage.files import Statement, opened, recorded

Look: TypeAlias = Callable[[ReadTx, PageRequest, Sequence[str]], Awaitable[Any]]
"""Reads a list, or the lists below some parents."""

NEWEST = TaskOrder()
NEWEST_RUN = RunOrder()
OLDEST_RUN = RunOrder(direction=Direction.ASC)
LABEL = "nightly"
_NO_TABLE = r"SCAN (CONSTANT|\(subquery|anon_|listed VIRTUAL)"
"""No row, or those of a subquery, whose own steps are looked at, or of a parameter's list."""


def _bad(database: Path, statement: Statement, *, sorts_result: bool = False) -> list[str]:
    """Return the steps that read a whole table or sort; at the end a result may be sorted where that is said."""
    text, parameters = statement
    found = []
    with closing(sqlite3.connect(database)) as connection:
        for _, parent, _, step in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters):
            scans = step.startswith("SCAN ") and not re.match(_NO_TABLE, step)
            sorts = "USE TEMP B-TREE" in step and not (sorts_result and parent == 0)
            if scans or sorts:
                found.append(step)
    return found


def _tasks(order: TaskOrder) -> Look:
    return lambda view, request, _: view.tasks.page(request, TaskFilter(), order)


def _runs(order: RunOrder) -> Look:
    return lambda view, request, _: view.runs.page(request, RunFilter(), order)


def _runs_below(order: RunOrder) -> Look:
    return lambda view, request, parents: view.runs.pages_of_tasks(parents, request, RunFilter(), order)


LISTS: dict[str, Look] = {
    **{f"tasks by {field} {way}": _tasks(TaskOrder(field, way)) for field in TaskOrderField for way in Direction},
    "tasks of a status": lambda view, request, _: view.tasks.page(
        request, TaskFilter(status=[TaskStatus.PENDING]), NEWEST
    ),
    "tasks of a time": lambda view, request, _: view.tasks.page(
        request, TaskFilter(created_at=TimeRange(NOON, NOON + SECOND)), NEWEST
    ),
    "runs, newest first": _runs(NEWEST_RUN),
    "runs, oldest first": _runs(OLDEST_RUN),
    "runs of a status": lambda view, request, _: view.runs.page(
        request, RunFilter(status=[RunStatus.AWAITING_APPROVAL]), NEWEST_RUN
    ),
    "runs that wait": lambda view, request, _: view.runs.page(request, RunFilter(needs_approval=True), NEWEST_RUN),
    "metrics": lambda view, request, _: view.metrics.page(request, MetricFilter()),
    "metrics of a time": lambda view, request, _: view.metrics.page(
        request, MetricFilter(range=TimeRange(NOON, NOON + SECOND))
    ),
    "events": lambda view, request, _: view.events.page(request, None),
}
NULLABLE: dict[str, Look] = {
    f"runs by {field} {way}": _runs(RunOrder(field, way))
    for field in RunOrderField
    if field is not RunOrderField.CREATED_AT
    for way in Direction
}
"""Lists of two ranges, each of which is read in order; the page's rows are sorted once more."""

MERGED: dict[str, Look] = {
    "runs of some statuses": lambda view, request, _: view.runs.page(
        request, RunFilter(status=[RunStatus.AWAITING_APPROVAL, RunStatus.RUNNING]), NEWEST_RUN
    ),
    "runs of some tasks": lambda view, request, parents: view.runs.page(
        request, RunFilter(task_ids=[*parents, "other"]), NEWEST_RUN
    ),
    "tasks of some statuses": lambda view, request, _: view.tasks.page(
        request, TaskFilter(status=[TaskStatus.PENDING, TaskStatus.RUNNING]), NEWEST
    ),
    "runs with some labels": lambda view, request, _: view.runs.page(
        request, RunFilter(labels=[LABEL, "other"]), NEWEST_RUN
    ),
    "runs with some labels, of a time": lambda view, request, _: view.runs.page(
        request, RunFilter(labels=[LABEL], created_at=TimeRange(NOON, NOON + SECOND)), OLDEST_RUN
    ),
    "tasks with some labels": lambda view, request, _: view.tasks.page(
        request, TaskFilter(labels=[LABEL, "other"]), NEWEST
    ),
}
"""Lists of rows with one of several values or labels, each read in order; the page's rows are sorted once more."""

OF_TASKS: dict[str, Look] = {
    **{
        f"runs of tasks by {field} {way}": _runs_below(RunOrder(field, way))
        for field in RunOrderField
        for way in Direction
    },
    "events of tasks": lambda view, request, parents: view.events.pages_of_tasks(parents, request, None),
}
OF_RUNS: dict[str, Look] = {
    "metrics of runs": lambda view, request, parents: view.metrics.pages_of_runs(parents, request, MetricFilter()),
    "named metrics of runs": lambda view, request, parents: view.metrics.pages_of_runs(
        parents, request, MetricFilter(names=["rows"])
    ),
    "logs": lambda view, request, parents: view.runs.logs(parents, request, LogFilter(min_level=LogLevel.DEBUG)),
    "events of runs": lambda view, request, parents: view.events.pages_of_runs(parents, request, None),
    "events of runs by type": lambda view, request, parents: view.events.pages_of_runs(
        parents, request, [EventType.RUN_CREATED]
    ),
}
BELOW = OF_TASKS | OF_RUNS
EVERY = LISTS | NULLABLE | MERGED | BELOW


@pytest.mark.parametrize("name", EVERY)
async def test_a_list_is_gone_on_with_by_an_index(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path) as store:
        world = World(store, SetClock())
        of = await world.add_task(labels=(LABEL,))
        run = (await world.add_run(of, status=RunStatus.AWAITING_APPROVAL, labels=(LABEL,))).run
        await world.keep(metric(run))
        await world.keep_lines(run, log_line(1))
        parents = [of.id] if name in OF_TASKS | MERGED else [run.id]
        async with store.read(ANONYMOUS) as view:
            found = await EVERY[name](view, PageRequest(), parents)
            (cursor,) = (found[parents[0]] if name in BELOW else found).cursors
            for backward in (False, True):
                with recorded() as statements:
                    request = PageRequest(after=cursor, before=cursor, backward=backward)
                    await EVERY[name](view, request, parents)
                *_, page, edges = statements
                assert len(statements) == (3 if "events" in name else 2), "an event's cursor is held against the head"
                assert _bad(path, page, sorts_result=name not in LISTS) == []
                assert _bad(path, edges) == []


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_what_refers_to_another_row_is_found_by_an_index_when_that_is_deleted(table: Table) -> None:
    indexes = [[column.name for column in index.columns] for index in table.indexes]
    indexes.append([column.name for column in table.primary_key])
    indexes += [
        [column.name for column in constraint.columns]
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    for key in table.foreign_key_constraints:
        columns = [column.name for column in key.columns]
        assert any(index[: len(columns)] == columns for index in indexes), f"{table}: {columns}"
