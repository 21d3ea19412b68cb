"""Every query finds its rows by an index, and a page needs no sorting of what is not on it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from domain.events import EventType
from domain.model import ANONYMOUS, ENGINE, RunStatus, TaskStatus
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
from storage.tables import metadata
from tests.contract.world import NOON, SECOND
from tests.storage.files import opened, plan, recorded

Read = Callable[[ReadTx], Awaitable[object]]
Write = Callable[[WriteTx], Awaitable[object]]

NAMES = frozenset({"id"})
FIRST = PageRequest(related=(("task_id", NAMES), ("retry_of", NAMES), ("latest_run_id", NAMES)))
BOTH = ["a", "b"]
TABLE = re.compile(rf"SCAN (?:{'|'.join(table.name for table in metadata.sorted_tables)}|below|beyond|each|owner)$")


def _runs_by(order: RunOrder) -> Read:
    return lambda tx: tx.runs.page(FIRST, RunFilter(), order)


def _tasks_by(order: TaskOrder) -> Read:
    return lambda tx: tx.tasks.page(FIRST, TaskFilter(), order)


def _runs_of_tasks_by(order: RunOrder) -> Read:
    return lambda tx: tx.runs.pages_of_tasks(BOTH, FIRST, RunFilter(), order)


def _runs_of_some_by(filter_: RunFilter, order: RunOrder) -> Read:
    return lambda tx: tx.runs.page(FIRST, filter_, order)


def _lists() -> dict[str, tuple[Read, str]]:
    """Lists of everything, with the index that has their order."""
    runs = {
        f"runs by {field} {direction}": (
            _runs_by(RunOrder(field, direction)),
            f"ix_runs_tenant_{field.lower()}_id",
        )
        for field in RunOrderField
        for direction in Direction
    }
    columns = {TaskOrderField.NAME: "folded_name"}
    tasks = {
        f"tasks by {field} {direction}": (
            _tasks_by(TaskOrder(field, direction)),
            f"ix_tasks_tenant_{columns.get(field, field.lower())}_id",
        )
        for field in TaskOrderField
        for direction in Direction
    }
    return {
        **runs,
        **tasks,
        "runs of a status": (
            lambda tx: tx.runs.page(FIRST, RunFilter(status=[RunStatus.RUNNING]), RunOrder()),
            "ix_runs_tenant_status_created_at_id",
        ),
        "runs that need approval": (
            lambda tx: tx.runs.page(FIRST, RunFilter(needs_approval=True), RunOrder()),
            "ix_runs_tenant_status_created_at_id",
        ),
        "runs of a task among all": (
            lambda tx: tx.runs.page(FIRST, RunFilter(task_ids=["a"]), RunOrder()),
            "ix_runs_task_id_created_at_id",
        ),
        "runs of a time": (
            lambda tx: tx.runs.page(FIRST, RunFilter(created_at=TimeRange(NOON, NOON)), RunOrder()),
            "ix_runs_tenant_created_at_id",
        ),
        "tasks of a status": (
            lambda tx: tx.tasks.page(FIRST, TaskFilter(status=[TaskStatus.FAILED]), TaskOrder()),
            "ix_tasks_tenant_status_created_at_id",
        ),
        "samples": (lambda tx: tx.metrics.page(FIRST, MetricFilter()), "ix_metrics_tenant_timestamp_id"),
        "samples of a run among all": (
            lambda tx: tx.metrics.page(FIRST, MetricFilter(run_ids=["a"])),
            "ix_metrics_run_id_timestamp_id",
        ),
        "events": (lambda tx: tx.events.page(FIRST, None), "ix_events_tenant_pos"),
        "events after a place": (lambda tx: tx.events.after(AllScope(), 7, limit=9), "ix_events_tenant_pos"),
        "events of a run after a place": (
            lambda tx: tx.events.after(RunScope("a"), 7, limit=9, types=[EventType.LOG]),
            "ix_events_run_id_pos",
        ),
        "events of a task after a place": (
            lambda tx: tx.events.after(TaskScope("a"), 7, limit=9),
            "ix_events_task_id_pos",
        ),
    }


BELOW: dict[str, tuple[Read, str]] = {
    **{
        f"runs of tasks by {field}": (
            _runs_of_tasks_by(RunOrder(field)),
            f"ix_runs_task_id_{field.lower()}_id",
        )
        for field in RunOrderField
    },
    **{
        f"runs of some tasks among all by {field}": (
            _runs_of_some_by(RunFilter(task_ids=BOTH), RunOrder(field)),
            f"ix_runs_task_id_{field.lower()}_id",
        )
        for field in RunOrderField
    },
    "runs of some statuses": (
        _runs_of_some_by(RunFilter(status=[RunStatus.RUNNING, RunStatus.AWAITING_APPROVAL]), RunOrder()),
        "ix_runs_tenant_status_created_at_id",
    ),
    "tasks of some statuses": (
        lambda tx: tx.tasks.page(FIRST, TaskFilter(status=[TaskStatus.FAILED, TaskStatus.RUNNING]), TaskOrder()),
        "ix_tasks_tenant_status_created_at_id",
    ),
    "runs with some labels": (
        _runs_of_some_by(RunFilter(labels=BOTH), RunOrder()),
        "PRIMARY KEY (tenant=? AND label=?)",
    ),
    "runs with some labels, of a time": (
        _runs_of_some_by(RunFilter(labels=BOTH, created_at=TimeRange(NOON, NOON)), RunOrder()),
        "PRIMARY KEY (tenant=? AND label=? AND created_at>? AND created_at<?)",
    ),
    "runs of some statuses with some labels": (
        _runs_of_some_by(RunFilter(labels=BOTH, status=[RunStatus.RUNNING, RunStatus.FAILED]), RunOrder()),
        "ix_runs_tenant_status_created_at_id",
    ),
    "runs of tasks with some labels": (
        lambda tx: tx.runs.pages_of_tasks(BOTH, FIRST, RunFilter(labels=BOTH), RunOrder()),
        "ix_runs_task_id_created_at_id",
    ),
    "runs of some tasks among all with some labels": (
        _runs_of_some_by(RunFilter(labels=BOTH, task_ids=BOTH), RunOrder(RunOrderField.DURATION)),
        "ix_runs_task_id_duration_id",
    ),
    "tasks with some labels": (
        lambda tx: tx.tasks.page(FIRST, TaskFilter(labels=BOTH), TaskOrder()),
        "PRIMARY KEY (tenant=? AND label=?)",
    ),
    "samples of runs": (
        lambda tx: tx.metrics.pages_of_runs(BOTH, FIRST, MetricFilter()),
        "ix_metrics_run_id_timestamp_id",
    ),
    "events of runs": (lambda tx: tx.events.pages_of_runs(BOTH, FIRST, None), "ix_events_run_id_pos"),
    "events of tasks": (lambda tx: tx.events.pages_of_tasks(BOTH, FIRST, None), "ix_events_task_id_pos"),
    "logs of runs": (lambda tx: tx.runs.logs(BOTH, FIRST, LogFilter()), "PRIMARY KEY"),
}
OTHERS: dict[str, Read] = {
    "extent of a run": lambda tx: tx.events.extent(RunScope("a")),
    "extent of a task": lambda tx: tx.events.extent(TaskScope("a")),
    "extent of everything": lambda tx: tx.events.extent(AllScope()),
    "tasks by ids": lambda tx: tx.tasks.many(BOTH),
    "runs by ids": lambda tx: tx.runs.many(BOTH),
    "runs by labels": lambda tx: tx.runs.page(PageRequest(count=True), RunFilter(labels=BOTH), RunOrder()),
    "runs by labels and a status": lambda tx: tx.runs.page(
        FIRST, RunFilter(labels=BOTH, status=[RunStatus.FAILED]), RunOrder()
    ),
    "runs by labels in another order": lambda tx: tx.runs.page(
        FIRST, RunFilter(labels=BOTH), RunOrder(RunOrderField.DURATION)
    ),
    "plans": lambda tx: tx.runs.plans(BOTH),
    "current plans": lambda tx: tx.runs.current_plans(BOTH),
    "decisions": lambda tx: tx.runs.decisions(BOTH),
    "artifacts of runs": lambda tx: tx.runs.artifacts_of(BOTH),
    "summaries of runs": lambda tx: tx.metrics.summaries_of_runs(BOTH, None),
    "summaries of tasks": lambda tx: tx.metrics.summaries_of_tasks(BOTH, BOTH, NOON),
    "series of runs": lambda tx: tx.metrics.series_of_runs(BOTH, "rows", 9, None),
    "series of tasks": lambda tx: tx.metrics.series_of_tasks(BOTH, "rows", 9, TimeRange(NOON)),
    "counted runs of tasks": lambda tx: tx.runs.pages_of_tasks(BOTH, PageRequest(count=True), RunFilter(), RunOrder()),
}
KEY = IdempotencyKey(mutation="createTask", key="k", input_digest="d")
WRITES: dict[str, Write] = {
    "claimable": lambda tx: tx.runs.claimable(NOON, 9),
    "due": lambda tx: tx.runs.due(NOON, 9),
    "next deadline": lambda tx: tx.runs.next_deadline(),
    "expire leases": lambda tx: tx.runs.expire_leases(NOON),
    "active": lambda tx: tx.runs.active("a"),
    "latest": lambda tx: tx.runs.latest("a"),
    "release next": lambda tx: tx.runs.release_next("a"),
    "lock": lambda tx: tx.runs.lock("a"),
    "delete run": lambda tx: tx.runs.delete("a"),
    "delete task": lambda tx: tx.tasks.delete("a"),
    "idempotency": lambda tx: tx.idempotency.find(KEY),
    "forget keys": lambda tx: tx.idempotency.keep(KEY, []),
    "forget history": lambda tx: tx.history.forget(SECOND, 9),
}


async def _steps_of_read(path: Path, read: Read) -> list[str]:
    async with opened(path) as store, store.read(ANONYMOUS) as tx:
        with recorded() as statements:
            await read(tx)
    assert statements
    return [step for statement in statements for step in plan(path, statement)]


@pytest.mark.parametrize(("read", "index"), _lists().values(), ids=_lists())
async def test_a_list_is_read_in_the_order_of_an_index(tmp_path: Path, read: Read, index: str) -> None:
    steps = await _steps_of_read(tmp_path / "mgx.db", read)

    tables = [step for step in steps if " USING " in step and "TEMP" not in step and " horizons " not in step]
    along = [step for step in tables if "_record " in step]
    assert all("_1 (id=?) LEFT-JOIN" in step for step in along), steps
    tables = [step for step in tables if step not in along]
    assert tables
    assert all(f"USING INDEX {index} (" in step for step in tables), steps
    # Where the key may be null, the page's own few rows of both ranges are put together by a sort.
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    assert len(sorts) == (1 if "COMPOUND QUERY" in steps else 0), steps


@pytest.mark.parametrize(("read", "index"), BELOW.values(), ids=BELOW)
async def test_lists_below_parents_or_values_are_each_read_in_the_order_of_an_index(
    tmp_path: Path, read: Read, index: str
) -> None:
    steps = await _steps_of_read(tmp_path / "mgx.db", read)

    below = [step for step in steps if step.startswith("SEARCH below ")]
    assert below
    assert all(index in step for step in below), steps
    assert not [step for step in steps if TABLE.match(step)]


@pytest.mark.parametrize("read", OTHERS.values(), ids=OTHERS)
async def test_no_query_reads_a_whole_table(tmp_path: Path, read: Read) -> None:
    steps = await _steps_of_read(tmp_path / "mgx.db", read)
    assert not [step for step in steps if TABLE.match(step)]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_nothing_that_a_transaction_looks_for_reads_a_whole_table(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path) as store, store.write(ENGINE) as tx:
        with recorded() as statements:
            await write(tx)
    steps = [step for statement in statements for step in plan(path, statement)]

    assert statements
    assert not [step for step in steps if TABLE.match(step)], steps


def test_the_check_for_whole_tables_finds_one() -> None:
    assert TABLE.match("SCAN runs")
    assert not TABLE.match("SCAN runs USING INDEX ix_runs_workable")


Count = Callable[[ReadTx, list[str], PageRequest], Awaitable[Any]]
COUNTED: dict[str, Count] = {
    "all runs": lambda tx, _, request: tx.runs.page(request, RunFilter(), RunOrder()),
    "all tasks": lambda tx, _, request: tx.tasks.page(request, TaskFilter(), TaskOrder()),
    "runs": lambda tx, ids, request: tx.runs.pages_of_tasks(ids, request, RunFilter(), RunOrder()),
    "runs by duration": lambda tx, ids, request: tx.runs.pages_of_tasks(
        ids, request, RunFilter(), RunOrder(RunOrderField.DURATION)
    ),
    "logs": lambda tx, ids, request: tx.runs.logs(ids, request, LogFilter()),
    "samples": lambda tx, ids, request: tx.metrics.pages_of_runs(ids, request, MetricFilter()),
    "events of runs": lambda tx, ids, request: tx.events.pages_of_runs(ids, request, None),
    "events of tasks": lambda tx, ids, request: tx.events.pages_of_tasks(ids, request, None),
    "artifacts": lambda tx, ids, _: tx.runs.artifacts_of(ids),
    "decisions": lambda tx, ids, _: tx.runs.decisions(ids),
    "summaries": lambda tx, ids, _: tx.metrics.summaries_of_runs(ids, None),
    "series": lambda tx, ids, _: tx.metrics.series_of_runs(ids, "rows", 9, None),
    "tasks": lambda tx, ids, _: tx.tasks.many(ids),
}


@pytest.mark.parametrize("read", COUNTED.values(), ids=COUNTED)
async def test_what_a_list_shows_or_is_below_many_parents_takes_one_statement(tmp_path: Path, read: Count) -> None:
    parents = [f"parent_{number}" for number in range(100)]
    async with opened(tmp_path / "mgx.db") as store, store.read(ANONYMOUS) as tx:
        with recorded() as statements:
            await read(tx, parents, FIRST)
    assert len(statements) == 1


async def test_a_count_takes_one_statement_more_for_all_parents_together(tmp_path: Path) -> None:
    async with opened(tmp_path / "mgx.db") as store, store.read(ANONYMOUS) as tx:
        with recorded() as statements:
            await tx.runs.pages_of_tasks(BOTH, PageRequest(count=True), RunFilter(), RunOrder())
    assert len(statements) == 2


async def test_more_ids_than_a_statement_may_have_variables_are_no_trouble(tmp_path: Path) -> None:
    async with opened(tmp_path / "mgx.db") as store, store.read(ANONYMOUS) as tx:
        many = [f"task_{number}" for number in range(300_000)]
        assert await tx.tasks.many(many) == {}
        assert (await tx.tasks.page(FIRST, TaskFilter(ids=many, labels=many), TaskOrder())).items == []
