"""What one run, one event and one subscriber cost each part, in processor time and bytes.

Processor time and not speed: it tells what a part can bear when it has a core to itself, however busy this machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.client import QUIET, Subscription, approve, create_run, create_task, http, subscribed
from benchmarks.process import cpu_seconds, family_cpu_seconds, resident_bytes
from benchmarks.results import Table
from tests.long.cluster import Cluster, Layout, running_cluster

RUNS = 300
IN_FLIGHT = 16
METRICS = 1_000
SUBSCRIBERS = 250
EVENTS_EACH = 200

_FOLLOW = """
subscription ($t: ID!) { taskEvents(taskId: $t) { id type timestamp cursor ... on RunEvent { runId sequence } } }
"""
_METRIC = """
mutation ($t: ID!, $r: ID!) {
  createMetrics(input: {taskId: $t, runId: $r, metrics: [{name: "n", value: 1}]}) { userErrors { message } }
}
"""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was used up to a moment: seconds of processor time, and bytes."""

    api: float
    worker: float
    postgres: float
    wal: int
    size: int

    def since(self, before: Costs, each: int) -> Costs:
        """Return what was used since then for each of so many."""
        return Costs(
            api=(self.api - before.api) / each,
            worker=(self.worker - before.worker) / each,
            postgres=(self.postgres - before.postgres) / each,
            wal=(self.wal - before.wal) // each,
            size=(self.size - before.size) // each,
        )


async def measure(folder: Path) -> Table:
    """Measure one API process and one worker on PostgreSQL."""
    table = Table(
        f"{RUNS} runs of 3 empty steps, {METRICS} events alone, {SUBSCRIBERS} subscribers; one API, one worker"
    )
    layout = Layout(apis=1, workers=1, concurrency=IN_FLIGHT)
    async with running_cluster(folder, layout, 1) as cluster:
        url = await cluster.url()
        async with http(url) as api:
            task = await create_task(api, config=QUIET)
        await _work(url, task, IN_FLIGHT)  # warm
        before = await _spent(cluster)
        await _work(url, task, RUNS)
        _tell(table, "run", (await _spent(cluster)).since(before, RUNS))
        events = int(cluster.postgres.sql("SELECT count(*) FROM events WHERE run_id IS NOT NULL"))
        table.row("events of a run", f"{events / (RUNS + IN_FLIGHT):.0f}")
        async with http(url) as api:
            sample = partial(_sample, url, task, await create_run(api, task))
        before = await _spent(cluster)
        await sample(METRICS)
        _tell(table, "event alone", (await _spent(cluster)).since(before, METRICS))
        await _subscribe(cluster, table, task, sample)
    return table


async def _work(url: str, task: str, count: int) -> None:
    """Have whole runs done, a few at a time, each approved as soon as its plan is there."""
    async with http(url) as api, http(url) as creator, subscribed(url, _FOLLOW, t=task) as following:
        begun, done = min(IN_FLIGHT, count), 0
        for _ in range(begun):
            await create_run(creator, task)
        while done < count:
            event = await following.next()
            if event["type"] == "APPROVAL_REQUIRED":
                await approve(api, event["runId"])
            elif event["type"] == "COMPLETION":
                done += 1
                if begun < count:
                    begun += 1
                    await create_run(creator, task)


async def _sample(url: str, task: str, run: str, count: int) -> None:
    async with http(url) as api:
        for _ in range(count):
            await api.ask(_METRIC, t=task, r=run)


async def _subscribe(
    cluster: Cluster, table: Table, task: str, sample: Callable[[int], Coroutine[None, None, None]]
) -> None:
    """Measure what subscribers of one task cost; all of them read, in this process."""
    url, pid = await cluster.url(), cluster.apis[0].process.pid
    before = cpu_seconds(pid)
    await sample(EVENTS_EACH)
    alone, bare = cpu_seconds(pid) - before, resident_bytes(pid)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(subscribed(url, _FOLLOW, t=task)) for _ in range(SUBSCRIBERS)]
        for socket in sockets:  # each is attached once it has heard something
            await sample(1)
            await socket.next()
        table.row("memory of a subscriber", f"{(resident_bytes(pid) - bare) / SUBSCRIBERS / 1024:.0f} KiB", "API")
        before = cpu_seconds(pid)
        reading = [asyncio.create_task(_drain(socket)) for socket in sockets]
        await sample(EVENTS_EACH)
        await asyncio.sleep(0.5)
        delivered = cpu_seconds(pid) - before - alone
        for task_ in reading:
            task_.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    microseconds = delivered / (SUBSCRIBERS * EVENTS_EACH) * 1e6
    table.row("delivery to a subscriber", f"{microseconds:.0f} us", "API, beside the event itself")


async def _drain(socket: Subscription) -> None:
    while True:
        await socket.next()


async def _spent(cluster: Cluster) -> Costs:
    sql = cluster.postgres.sql
    return Costs(
        api=cpu_seconds(cluster.apis[0].process.pid),
        worker=cpu_seconds(cluster.workers[0].process.pid),
        postgres=family_cpu_seconds(cluster.postgres.pid),
        wal=int(sql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")),
        size=int(sql("SELECT pg_database_size(current_database())")),
    )


def _tell(table: Table, what: str, cost: Costs) -> None:
    for part in ("api", "worker", "postgres"):
        table.row(f"{what}: {part}", f"{getattr(cost, part) * 1000:.2f} ms", "processor time")
    table.row(f"{what}: written ahead", f"{cost.wal / 1024:.1f} KiB", "WAL")
    table.row(f"{what}: kept", f"{cost.size / 1024:.1f} KiB", "growth of the database")
