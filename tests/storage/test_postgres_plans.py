"""A page takes PostgreSQL no longer the more there is beside it, whatever it believes of how rows are spread."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeAlias

import psycopg
import pytest

from domain.model import ANONYMOUS, RunStatus
from domain.paging import Fields, PageRequest, Related, RunOrder, RunOrderField
from domain.store import ReadTx, RunFilter
from storage.pipeline import PostgresLink
from storage.statements import Query
from storage.store import open_store
from tests.backing import PostgresServer
from tests.contract.world import SetClock, World

Read: TypeAlias = Callable[[ReadTx, PageRequest], Awaitable[object]]

RUNS: Final = 30_000
MOST: Final = 2_000
"""Rows that a page of fifty may have the server look at."""
EMPTY: Final = "task_without_runs"
BUSY: Final = "task_with_all_runs"
FIELDS: Final[Fields] = frozenset({"id", "status", "task_id"})
RELATED: Final[Related] = (("task_id", frozenset({"name"})), ("retry_of", frozenset({"status"})))
BY_DURATION: Final = RunOrder(RunOrderField.DURATION)
RARE: Final = [RunStatus.AWAITING_APPROVAL, RunStatus.RUNNING]

READS: Final[dict[str, Read]] = {
    "runs": lambda tx, request: tx.runs.page(request, RunFilter(), RunOrder()),
    "runs by duration": lambda tx, request: tx.runs.page(request, RunFilter(), BY_DURATION),
    "runs in rare statuses": lambda tx, request: tx.runs.page(request, RunFilter(status=RARE), RunOrder()),
    "runs in statuses": lambda tx, request: tx.runs.page(
        request, RunFilter(status=[RunStatus.COMPLETED, *RARE]), RunOrder()
    ),
    "runs of a task without": lambda tx, request: tx.runs.page(request, RunFilter(task_ids=[EMPTY]), RunOrder()),
    "runs of tasks": lambda tx, request: tx.runs.page(request, RunFilter(task_ids=[EMPTY, BUSY]), RunOrder()),
    "runs of tasks by duration": lambda tx, request: tx.runs.page(
        request, RunFilter(task_ids=[EMPTY, BUSY]), BY_DURATION
    ),
    "runs below tasks": lambda tx, request: tx.runs.pages_of_tasks([EMPTY, BUSY], request, RunFilter(), RunOrder()),
    "runs below tasks by duration": lambda tx, request: tx.runs.pages_of_tasks(
        [EMPTY, BUSY], request, RunFilter(), BY_DURATION
    ),
    "runs with a rare label": lambda tx, request: tx.runs.page(request, RunFilter(labels=["rare"]), RunOrder()),
    "runs with a label": lambda tx, request: tx.runs.page(request, RunFilter(labels=["all", "rare"]), RunOrder()),
}


@pytest.fixture(scope="module")
def filled(_postgres_of_session: PostgresServer) -> Iterator[str]:
    """Return the name of a database to be filled; nearly all its runs are one task's."""
    with _postgres_of_session.database() as name:
        yield name


async def _fill(server: PostgresServer, name: str) -> None:
    """Copy a run under other ids and times, if that was not done, and let the server look how rows are spread."""
    async with open_store(_url(server, name), clock=SetClock(), on_commit=lambda _: None) as store:
        async with store.read(ANONYMOUS) as tx:
            if await tx.tasks.many([BUSY]):
                return
        world = World(store, SetClock())
        await world.add_task(id=EMPTY)
        await world.add_run(await world.add_task(id=BUSY), id="run_0", status=RunStatus.COMPLETED, labels=("all",))
    columns = server.sql(
        "SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute "
        "WHERE attrelid = 'runs'::regclass AND attnum > 0 AND NOT attisdropped",
        name,
    )
    other = {
        "id": "'run_' || lpad(n::text, 26, '0')",
        "number": "n + 1",
        "created_at": "created_at + n * interval '1 minute'",
        "status": f"CASE n % {RUNS // 20} WHEN 0 THEN 'AWAITING_APPROVAL' WHEN 1 THEN 'RUNNING' ELSE status END",
    }
    copied = ", ".join(other.get(column, column) for column in columns.split(","))
    server.sql(f"INSERT INTO runs ({columns}) SELECT {copied} FROM runs CROSS JOIN generate_series(1, {RUNS}) n", name)
    for label, which in (("all", "number > 1"), ("rare", f"number % {RUNS // 20} = 0")):
        server.sql(
            "INSERT INTO run_labels (tenant, label, created_at, run_id) "
            f"SELECT tenant, '{label}', created_at, id FROM runs WHERE {which}",
            name,
        )
    server.sql("VACUUM ANALYZE", name)


def _url(server: PostgresServer, name: str) -> str:
    return server.url(name, driver="psycopg")


@pytest.mark.parametrize("related", [(), RELATED], ids=["alone", "along"])
@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_a_page_is_read_without_what_is_not_on_it(
    postgres: PostgresServer, filled: str, monkeypatch: pytest.MonkeyPatch, read: Read, related: Related
) -> None:
    await _fill(postgres, filled)
    asked: list[Query] = []
    fetch = PostgresLink.fetch

    async def recorded(link: PostgresLink, *queries: Query) -> Any:
        asked.extend(queries)
        return await fetch(link, *queries)

    monkeypatch.setattr(PostgresLink, "fetch", recorded)
    opened = open_store(_url(postgres, filled), clock=SetClock(), on_commit=lambda _: None)
    async with opened as store, store.read(ANONYMOUS) as tx:
        asked.clear()
        await read(tx, PageRequest(limit=50, fields=FIELDS, related=related))
        statements = [(statement.text, statement.bind(params)) for statement, params in asked]
    assert statements
    with psycopg.connect(postgres.url(filled)) as connection:
        for text, values in statements:
            explained = psycopg.RawCursor(connection).execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", values)
            row = explained.fetchone()
            assert row is not None
            assert _looked_at(row[0][0]["Plan"]) < MOST, text


def _looked_at(node: dict[str, Any]) -> float:
    """Return how many rows the nodes of a plan had to do with, kept or not."""
    here = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return float(here * node["Actual Loops"]) + sum(map(_looked_at, node.get("Plans", ())))
