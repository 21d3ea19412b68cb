"""How many runs a second a cluster does, with how many workers, and what runs that wait cost it; SQLite beside it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load import created, wait_for_approval, whole_runs
from benchmarks.process import cpu_seconds, family_cpu_seconds, resident_bytes
from benchmarks.results import Table
from tests.long.cluster import Cluster, Layout, running_cluster
from tests.servers import Server, running_server

WORKERS: Final = (1, 2, 4)
APIS: Final = 2
SLOTS: Final = 32
"""Runs that a worker, or the one process of SQLite, does at once."""

RUNS: Final = 1_000
IN_FLIGHT: Final = 32
WARM_UP: Final = 200
CREATED: Final = 2_000
CLIENTS: Final = 16
WAITING: Final = 20_000
WARM_UP_WAITING: Final = 1_000
SETTLE_SECONDS: Final = 10.0
GOAL_RUNS: Final = 60
GOAL_BYTES: Final = 10 * 10**6

CLIENT_PERCENT: Final = 80
"""Of a core: a client that uses more has no time to wait for others."""

_US: Final = "client"
_POSTGRES: Final = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Place:
    """What is measured.

    Attributes:
        name: For people.
        urls: Its servers.
        processes: Who does the work, by name.
    """

    name: str
    urls: Sequence[str]
    processes: Mapping[str, Sequence[int]]


async def measure(folder: Path) -> Table:
    """Measure PostgreSQL with some workers, and SQLite, each from an empty database."""
    table = Table(
        f"{APIS} API processes on PostgreSQL with Redis, and SQLite in one process; whole runs (plan, approve, 3 empty "
        f"steps), {IN_FLIGHT} in flight; processor time in % of one core"
    )
    for workers in WORKERS:
        async with running_cluster(_new(folder, f"workers-{workers}"), _layout(workers), 1) as cluster:
            place = await _place(f"{workers} worker{'s' * (workers > 1)}", cluster)
            await _whole(table, place, goal=f"goal: {GOAL_RUNS}/s" if workers == 1 else "")
    async with running_cluster(_new(folder, "created"), _layout(0), 1) as cluster:
        await _created(table, await _place("no worker", cluster))
    async with running_cluster(_new(folder, "waiting"), _layout(1), 1) as cluster:
        await _waiting(table, await _place("1 worker", cluster))
    with running_server(_new(folder, "sqlite"), MGX_MAX_CONCURRENT_RUNS=str(SLOTS)) as server:
        await _whole(table, _place_of(server))
        await _waiting(table, _place_of(server))
    with running_server(_new(folder, "sqlite-created"), MGX_MAX_CONCURRENT_RUNS="1") as server:
        await _created(table, _place_of(server))
    return table


async def _whole(table: Table, place: Place, goal: str = "") -> None:
    await whole_runs(place.urls, WARM_UP, IN_FLIGHT)
    spent = _Spent(place)
    rate = await whole_runs(place.urls, RUNS, IN_FLIGHT)
    table.row(f"whole runs, {place.name}", f"{rate:.0f}/s", goal)
    table.row("  processor time", *spent.told())


async def _created(table: Table, place: Place) -> None:
    spent = _Spent(place)
    rate = await created(place.urls, CREATED, CLIENTS)
    table.row(f"createRun alone, {place.name}", f"{rate:.0f}/s", f"{CLIENTS} clients; no run is worked on further")
    table.row("  processor time", *spent.told())


async def _waiting(table: Table, place: Place) -> None:
    """Have runs come to their approval, and compare what the processes hold at rest before and after."""
    await wait_for_approval(place.urls, WARM_UP_WAITING, CLIENTS)
    before = await _at_rest(place)
    rate = await wait_for_approval(place.urls, WAITING, CLIENTS)
    after = await _at_rest(place)
    table.row(f"{WAITING} runs made to wait, {place.name}", f"{rate:.0f}/s", "createRun to AWAITING_APPROVAL")
    for name, bytes_ in after.items():
        grown = bytes_ - before[name]
        verdict = "met" if grown <= GOAL_BYTES else "missed"
        remark = f"from {before[name] / 2**20:.1f} MiB; goal at most {GOAL_BYTES / 10**6:.0f} MB: {verdict}"
        table.row(f"  memory of {name}", f"{grown / 10**6:+.1f} MB", remark)


class _Spent:
    """The processor time of all who take part, from now on."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._began = time.perf_counter()
        self._before = self._now()

    def told(self) -> tuple[str, str]:
        """Return how much of the machine was used, and by whom; a client that never waits would measure itself."""
        seconds = time.perf_counter() - self._began
        shares = {name: 100 * (used - self._before[name]) / seconds for name, used in self._now().items()}
        each = ", ".join(f"{name} {share:.0f}" for name, share in shares.items())
        verdict = "" if shares[_US] < CLIENT_PERCENT else ": the client is the limit"
        return f"{sum(shares.values()):.0f} of {100 * (os.cpu_count() or 1)} %", each + verdict

    def _now(self) -> dict[str, float]:
        # PostgreSQL works in its children, and everyone else here is a child of the client.
        used = {name: sum(map(family_cpu_seconds, pids)) for name, pids in self._place.processes.items()}
        return used | {_US: cpu_seconds(os.getpid())}


async def _at_rest(place: Place) -> dict[str, int]:
    """Return what each of our processes holds, the largest of a kind, once nothing happens any more."""
    await asyncio.sleep(SETTLE_SECONDS)
    ours = {name: pids for name, pids in place.processes.items() if name != _POSTGRES}
    return {name: max(map(resident_bytes, pids)) for name, pids in ours.items()}


def _place_of(server: Server) -> Place:
    return Place("SQLite", [server.url], {"server": [server.pid]})


async def _place(name: str, cluster: Cluster) -> Place:
    processes = {
        "APIs": [api.process.pid for api in cluster.apis],
        "workers": [worker.process.pid for worker in cluster.workers],
        _POSTGRES: [cluster.postgres.pid],
    }
    return Place(
        name, [await api.url() for api in cluster.apis], {kind: pids for kind, pids in processes.items() if pids}
    )


def _layout(workers: int) -> Layout:
    return Layout(apis=APIS, workers=workers, concurrency=SLOTS, lease=15.0)


def _new(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path
