"""A page takes SQLite as many steps in a long list as in a short one, wherever in the list it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from domain.model import ANONYMOUS, RunStatus
from domain.paging import Page, PageRequest, RunOrder, TaskOrder, TimeRange
from domain.store import ReadTx, RunFilter, TaskFilter
from storage import labels
from tests.contract.world import NOON, SetClock, World, task, task_event
from tests.storage.files import Statement, opened, recorded

Fetch: TypeAlias = Callable[[ReadTx, PageRequest], Awaitable[Page[Any]]]

SHORT: Final = 100
LONG: Final = 5_000
SIZE: Final = 5
SINCE: Final = TimeRange(NOON, NOON + timedelta(days=1))
RARE: Final = [RunStatus.AWAITING_APPROVAL, RunStatus.CANCELLING]
BOTH: Final = ["every", "one"]
"""Labels that all have."""


def _runs(**conditions: Any) -> Fetch:
    return lambda view, request: view.runs.page(request, RunFilter(**conditions), RunOrder())


def _runs_with_task(**conditions: Any) -> Fetch:
    return lambda view, request: view.runs.page(
        replace(request, related=(("task_id", frozenset({"name"})),)), RunFilter(**conditions), RunOrder()
    )


LISTS: Final[dict[str, Fetch]] = {
    "events": lambda view, request: view.events.page(request, None),
    "runs": _runs(),
    "runs with their task": _runs_with_task(),
    "runs of a time": _runs(created_at=SINCE),
    "runs of some statuses": _runs(status=RARE),
    "runs with a label": _runs(labels=BOTH[:1]),
    "runs with a label, with their task": _runs_with_task(labels=BOTH[:1]),
    "runs with one of two labels": _runs(labels=BOTH),
    "runs with a label, of a time": _runs(labels=BOTH[:1], created_at=SINCE),
    "runs with a label, of a status": _runs(labels=BOTH[:1], status=[RunStatus.COMPLETED]),
    "runs with a label, of a rare status": _runs(labels=BOTH[:1], status=RARE[:1]),
    "runs with one of two labels, of rare statuses": _runs(labels=BOTH, status=RARE),
    "tasks with a label": lambda view, request: view.tasks.page(request, TaskFilter(labels=BOTH[:1]), TaskOrder()),
}


async def _steps(path: Path, length: int, fetch: Fetch) -> list[int]:
    """Return the steps to pages at the list's ends and in it, of a database of so many runs and events."""
    async with opened(path) as store:
        world = World(store, SetClock())
        of = await world.add_task(labels=BOTH)
        for number in range(SIZE):
            await world.add_run(of, number + 1, status=RARE[number % 2], created_at=NOON, labels=BOTH)
        await world.add_run(of, SIZE + 1, status=RunStatus.COMPLETED, created_at=NOON, labels=BOTH)
        await world.keep(task_event(task()))
    _lengthen(path, length)
    async with opened(path) as store, store.read(ANONYMOUS) as view:
        with recorded() as statements:
            first = await fetch(view, PageRequest(limit=SIZE))
            last = await fetch(view, PageRequest(limit=SIZE, backward=True))
            await fetch(view, PageRequest(limit=SIZE, after=last.cursors[0]))
            await fetch(view, PageRequest(limit=SIZE, backward=True, before=last.cursors[-1]))
            await fetch(view, PageRequest(limit=SIZE, after=first.cursors[0]))
            await fetch(view, PageRequest(limit=SIZE, backward=True, before=first.cursors[-1]))
    return [_count(path, statement) for statement in statements]


def _lengthen(path: Path, length: int) -> None:
    """Copy the last run, event and task, with their labels."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, others, key in (
            ("run_labels", {"run_id": "run_id || n", "created_at": "created_at + n"}, "run_id"),
            ("task_labels", {"task_id": "task_id || n", "created_at": "created_at + n"}, "task_id"),
            ("runs", {"id": "id || n", "number": "number + n", "created_at": "created_at + n"}, "id"),
            ("tasks", {"id": "id || n", "created_at": "created_at + n"}, "id"),
            ("events", {"id": "id || n", "pos": "pos + n"}, "pos"),
        ):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(others.get(column, column) for column in columns)
            connection.execute(
                f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {length}) "
                f"INSERT INTO {table} SELECT {values} FROM series, {table} WHERE {table}.{key} = "
                f"(SELECT max({key}) FROM {table})"
            )


def _count(path: Path, statement: Statement) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    text, parameters = statement
    with closing(sqlite3.connect(path)) as connection:
        connection.set_progress_handler(count, 1)
        connection.execute(text, parameters).fetchall()
    return steps


@pytest.mark.parametrize("fetch", LISTS.values(), ids=LISTS)
async def test_a_page_takes_as_many_steps_however_long_its_list_is(
    tmp_path: Path, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "FEW", SIZE + 1)  # or both lists would have few
    short = await _steps(tmp_path / "short.db", SHORT, fetch)
    long = await _steps(tmp_path / "long.db", LONG, fetch)

    assert len(short) == len(long)
    assert all(more < less + SHORT for less, more in zip(short, long, strict=True)), (short, long)
