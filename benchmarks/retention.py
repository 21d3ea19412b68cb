"""What it takes to remove the history of runs that are long over, and what those who write meanwhile notice of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

from benchmarks.results import Table, milliseconds
from domain import commands as c
from domain.lifecycle import create, decide_all
from domain.model import ANONYMOUS, ENGINE, RunFailure, Task
from domain.retention import Retention
from domain.services.inputs import NewMetric, NewMetrics, NewRun, NewTask
from domain.services.metrics import MetricService
from domain.store import AllScope, Store, WriteTx
from graph.bootstrap import open_application
from graph.settings import Settings
from storage.store import SqliteSettings, open_store
from tests.backing import PostgresServer, running
from tests.contract.world import NOON, SetClock, log_line, run, task

RUNS = 3_334
EVENTS_EACH = 30
ALONE_SECONDS = 10.0
LONG_AGO = NOON - timedelta(days=1000)


async def measure(folder: Path) -> Table:
    """Measure on both databases, one after the other."""
    table = Table(
        f"{RUNS * EVENTS_EACH} events and {RUNS * (EVENTS_EACH - 3)} lines of {RUNS} finished runs, removed beside one "
        "client that records samples of a run, one call after the other; p50 / p99 / max of a call"
    )
    await _measure(table, "SQLite", f"sqlite+aiosqlite:///{folder / 'mgx.db'}")
    with running(PostgresServer) as server, server.database() as name:
        await _measure(table, "PostgreSQL", server.url(name, driver="psycopg"))
    return table


async def _measure(table: Table, name: str, url: str) -> None:
    clock, quick = SetClock(LONG_AGO), SqliteSettings(synchronous="NORMAL")
    async with open_store(url, clock=clock, on_commit=lambda _: None, settings=quick) as store:
        await _fill(store)
    async with open_application(Settings(database_url=url, default_team="rehearsal")) as application:
        services = application.services
        waiting = await services.tasks.create(ANONYMOUS, NewTask(name="Benchmark", config={"planSeconds": 3600}))
        run_id = (await services.runs.create(ANONYMOUS, NewRun(task_id=waiting.id))).id
        await _write_during(asyncio.sleep(1), services.metrics, run_id)  # warm
        alone = await _write_during(asyncio.sleep(ALONE_SECONDS), services.metrics, run_id)
        began = time.perf_counter()
        sweep = Retention(services.store, timedelta(days=1)).sweep()
        beside = await _write_during(sweep, services.metrics, run_id)
        seconds = time.perf_counter() - began
        async with services.store.read(ENGINE) as tx:
            assert (await tx.events.extent(AllScope())).horizon == RUNS * EVENTS_EACH
    table.row(f"{name}: removed in", f"{seconds:.1f} s", f"{RUNS * EVENTS_EACH / seconds:.0f} events a second")
    for what, calls in (("alone", alone), ("beside", beside)):
        table.row(f"{name}: createMetrics {what}", milliseconds(calls), f"{len(calls)} calls")
        table.samples[f"{name} {what}"] = calls


async def _write_during(something: Awaitable[object], metrics: MetricService, run_id: str) -> list[float]:
    """Record samples until something is done; return how long each call took, in seconds."""
    done = asyncio.ensure_future(something)
    times = []
    while not done.done():
        began = time.perf_counter()
        await metrics.create(ANONYMOUS, NewMetrics(run_id=run_id, metrics=[NewMetric(name="n", value=1.0)]))
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    await done
    return times


async def _fill(store: Store) -> None:
    """Keep runs that ended long ago."""
    of = task(created_at=LONG_AGO)
    async with store.write(ENGINE) as tx:
        await tx.tasks.insert(of)
    for first in range(0, RUNS, 10):
        async with store.write(ENGINE) as tx:
            for number in range(first, min(first + 10, RUNS)):
                await _add(tx, of, number + 1)


async def _add(tx: WriteTx, of: Task, number: int) -> None:
    """Add a run with 1 event when it was created, 1 when it was taken, 1 in the end, and a line in each between."""
    begun = create(run(of, number, created_at=LONG_AGO), LONG_AGO)
    said = c.NewLine(message="A line such as programs write. " * 3, timestamp=LONG_AGO)
    life: list[c.Command] = [
        c.Claim(owner="worker", lease_until=None),
        *(c.WriteLog(lines=(said,)) for _ in range(EVENTS_EACH - 3)),
        c.Fail(failure=RunFailure(code="TEAM_ERROR", message="It broke.")),
    ]
    ended = decide_all(begun.state, life, LONG_AGO)
    await tx.runs.insert(ended.state)
    await tx.runs.add_lines(ended.state.run, [log_line(line) for line in range(1, EVENTS_EACH - 2)])
    await tx.events.append([*begun.events, *ended.events])
