"""SQLite reads every list by an index, in order, and answers for many parents with one statement."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import Table, UniqueConstraint

from domain.events import EventType
from domain.model import ANONYMOUS, ENGINE, LogLevel, Run, RunStatus, Task, TaskStatus
from domain.paging import Direction, PageRequest, RunOrder, RunOrderField, TaskOrder, TaskOrderField, TimeRange
from domain.store import (
    AllScope,
    IdempotencyKey,
    LogFilter,
    MetricFilter,
    ReadTx,
    RunFilter,
    RunScope,
    TaskFilter,
    TaskScope,
    WriteTx,
)
from storage.store import open_store
from storage.tables import metadata
from tests.contract.statements import Sent, sent
from tests.contract.world import NOON, SECOND, SetClock, World, artifact_of, log_line, metric
from tests.unit.lives import CLAIM, deliver

Look: TypeAlias = Callable[[ReadTx, PageRequest, Sequence[str]], Awaitable[Any]]
"""Reads a list, or the lists below some parents."""

_NO_TABLE = r"SCAN (CONSTANT|\(subquery|anon_|listed VIRTUAL|runs USING (COVERING )?INDEX ix_runs_(workable|waiting)$)"
"""No row, or those of a subquery, whose own steps are looked at; a parameter's list; an index of few runs."""

KEY = IdempotencyKey(mutation="createTask", key="k", input_digest="d")
SOME = [f"some_{number}" for number in range(20)]
NEWEST = TaskOrder()
NEWEST_RUN = RunOrder()
OLDEST_RUN = RunOrder(direction=Direction.ASC)


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Path:
    return Path(shutil.copy(migrated_file, tmp_path / "mgx.db"))


@pytest.fixture
async def world(database: Path) -> AsyncIterator[World]:
    async with open_store(f"sqlite:///{database}", clock=SetClock(), on_commit=lambda _: None) as store:
        yield World(store, SetClock())


def _bad(database: Path, statement: Sent, *, sorts_result: bool = False) -> list[str]:
    """Return the steps that read a whole table or sort; at the end a result may be sorted where that is said."""
    found = []
    with closing(sqlite3.connect(database)) as connection:
        for _, parent, _, step in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.params):
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
EVERY = LISTS | NULLABLE | BELOW


async def _statements(world: World, look: Look, request: PageRequest, parents: Sequence[str]) -> list[Sent]:
    async with world.store.read(ANONYMOUS) as view:
        with sent() as statements:
            await look(view, request, parents)
    return statements


@pytest.mark.parametrize("name", EVERY)
async def test_a_list_is_read_by_an_index_in_its_order(world: World, database: Path, name: str) -> None:
    for backward in (False, True):
        page, edges = await _statements(world, EVERY[name], PageRequest(backward=backward, count=True), SOME)
        assert _bad(database, page, sorts_result=name not in LISTS) == []
        assert _bad(database, edges) == []


@pytest.mark.parametrize("name", EVERY)
async def test_a_list_is_gone_on_with_by_an_index(world: World, database: Path, name: str) -> None:
    of = await world.add_task()
    run = (await world.add_run(of, status=RunStatus.AWAITING_APPROVAL)).run
    await world.keep(metric(run))
    await world.keep_lines(run, log_line(1))
    parents = [of.id] if name in OF_TASKS else [run.id]
    async with world.store.read(ANONYMOUS) as view:
        found = await EVERY[name](view, PageRequest(), parents)
    (cursor,) = (found[parents[0]] if name in BELOW else found).cursors

    for backward in (False, True):
        request = PageRequest(after=cursor, before=cursor, backward=backward)
        statements = await _statements(world, EVERY[name], request, parents)
        *_, page, edges = statements
        assert len(statements) == (3 if "events" in name else 2), "an event's cursor is held against the head besides"
        assert _bad(database, page, sorts_result=name not in LISTS) == []
        assert _bad(database, edges) == []


@pytest.mark.parametrize("name", BELOW)
async def test_lists_below_many_parents_are_read_by_one_statement(world: World, name: str) -> None:
    assert len(await _statements(world, BELOW[name], PageRequest(), SOME)) == 1
    assert len(await _statements(world, BELOW[name], PageRequest(count=True), SOME)) == 2


LOOKS: dict[str, tuple[int, Callable[[ReadTx], Awaitable[Any]]]] = {
    "tasks": (1, lambda view: view.tasks.many(SOME)),
    "runs": (1, lambda view: view.runs.many(SOME)),
    "plans": (2, lambda view: view.runs.plans(SOME)),
    "current plans": (2, lambda view: view.runs.current_plans(SOME)),
    "decisions": (1, lambda view: view.runs.decisions(SOME)),
    "artifacts of runs": (1, lambda view: view.runs.artifacts_of(SOME)),
    "artifacts": (1, lambda view: view.runs.artifacts(SOME)),
    "metrics": (1, lambda view: view.metrics.many(SOME)),
    "summaries of runs": (1, lambda view: view.metrics.summaries_of_runs(SOME, None)),
    "named summaries of runs": (1, lambda view: view.metrics.summaries_of_runs(SOME, ["rows"])),
    "summaries of tasks": (1, lambda view: view.metrics.summaries_of_tasks(SOME, None, NOON)),
    "series of runs": (1, lambda view: view.metrics.series_of_runs(SOME, "rows", 10, None)),
    "series of tasks": (1, lambda view: view.metrics.series_of_tasks(SOME, "rows", 10, TimeRange(NOON))),
    "head": (1, lambda view: view.events.head()),
    "log": (1, lambda view: view.events.after(AllScope(), 0, limit=100)),
    "log of a run": (1, lambda view: view.events.after(RunScope("run_1"), 0, limit=100)),
    "log of a task": (1, lambda view: view.events.after(TaskScope("task_1"), 0, limit=100)),
    "log by type": (1, lambda view: view.events.after(RunScope("run_1"), 0, limit=100, types=[EventType.LOG])),
}


@pytest.mark.parametrize("name", LOOKS)
async def test_nothing_is_read_without_an_index(world: World, database: Path, name: str) -> None:
    most, look = LOOKS[name]
    for principal in (ANONYMOUS, ENGINE):
        with sent() as statements:
            async with world.store.read(principal) as view:
                await look(view)
        assert 1 <= len(statements) <= most
        for statement in statements:
            assert [step for step in _bad(database, statement) if "TEMP B-TREE" not in step] == []


WORK: dict[str, Callable[[WriteTx, Task, Run], Awaitable[Any]]] = {
    "lock a task": lambda tx, of, _: tx.tasks.lock(of.id),
    "delete a task": lambda tx, of, _: tx.tasks.delete(of.id),
    "lock a run": lambda tx, _, run: tx.runs.lock(run.id),
    "label a run": lambda tx, _, run: tx.runs.set_labels(run.id, ("new",)),
    "delete a run": lambda tx, _, run: tx.runs.delete(run.id),
    "active": lambda tx, of, _: tx.runs.active(of.id),
    "latest": lambda tx, of, _: tx.runs.latest(of.id),
    "release": lambda tx, of, _: tx.runs.release_next(of.id),
    "claimable": lambda tx, *_: tx.runs.claimable(NOON, 100),
    "due": lambda tx, *_: tx.runs.due(NOON, 100),
    "next deadline": lambda tx, *_: tx.runs.next_deadline(),
    "expire": lambda tx, *_: tx.runs.expire_leases(NOON),
    "find a key": lambda tx, *_: tx.idempotency.find(KEY),
    "keep a key": lambda tx, *_: tx.idempotency.keep(KEY, ["task_1"]),
    "get a sample": lambda tx, *_: tx.metrics.get("metric_1"),
    "delete a sample": lambda tx, *_: tx.metrics.delete("metric_1"),
    "add an artifact": lambda tx, _, run: tx.runs.add_artifact(artifact_of(run, b"new", name="new"), b"new"),
}
SORTS = {"active", "release"}
"""Of the runs of one task."""


@pytest.mark.parametrize("name", WORK)
async def test_nothing_is_found_to_be_changed_without_an_index(world: World, database: Path, name: str) -> None:
    of = await world.add_task()
    run = (await world.do((await world.add_run(of, held=False)).run.id, CLAIM, deliver())).run
    await world.keep_artifact(artifact_of(run, b"old"), b"old")
    with sent() as statements:
        async with world.store.write(ENGINE) as tx:
            await WORK[name](tx, of, run)
    assert statements
    for statement in statements:
        assert _bad(database, statement, sorts_result=name in SORTS) == []


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
