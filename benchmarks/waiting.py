"""What runs cost that wait for a person."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.client import QUIET, create_run, create_task, http
from benchmarks.process import cpu_seconds, resident_bytes
from benchmarks.results import Table
from tests.servers import running_server

WARM_UP = 300
RUNS = 2000
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 30.0

_WAITING = "{ runs(first: 1, filter: {needsApproval: true}) { totalCount } }"


async def measure(folder: Path) -> Table:
    """Let runs come to their approval, look at the server; then start another on the same database, and look again."""
    empty = folder / "empty"
    empty.mkdir()
    with running_server(folder) as server:
        await _wait_for_approval(server.url, 0, WARM_UP)
        before = await _at_rest(server.pid)
        started = time.perf_counter()
        await _wait_for_approval(server.url, WARM_UP, RUNS)
        seconds = time.perf_counter() - started
        after = await _at_rest(server.pid)
        idle = await _idle_cpu(server.pid)
    with running_server(folder) as server:
        restarted, restarted_idle = await _at_rest(server.pid), await _idle_cpu(server.pid)
    with running_server(empty):
        pass  # makes the database, for which it loads what no later start needs
    with running_server(empty) as server:
        fresh, fresh_idle = await _at_rest(server.pid), await _idle_cpu(server.pid)
    table = Table(f"{RUNS} runs waiting for approval, each with a deadline, nobody connected")
    table.row("made to wait", f"{RUNS / seconds:.0f} runs/s", "createRun to AWAITING_APPROVAL, one client")
    table.row("memory for each, as they came", f"{(after - before) / RUNS:.0f} B", "growth of the process; goal < 1 KB")
    table.row(
        "memory for each, after a restart", f"{(restarted - fresh) / (RUNS + WARM_UP):.0f} B", "against an empty one"
    )
    table.row(
        "memory of the process",
        f"{after / 2**20:.1f} MiB",
        f"restarted {restarted / 2**20:.1f}, empty {fresh / 2**20:.1f}",
    )
    table.row("processor while idle", f"{100 * idle:.2f} %", f"of one core over {IDLE_SECONDS:.0f} s; goal < 2 %")
    table.row("the same after a restart", f"{100 * restarted_idle:.2f} %", f"empty: {100 * fresh_idle:.2f} %")
    return table


async def _wait_for_approval(url: str, already: int, more: int) -> None:
    async with http(url) as api:
        task_id = await create_task(api, config=QUIET, approvalTimeout=86_400)
        for _ in range(more):
            await create_run(api, task_id)
        while (await api.ask(_WAITING))["runs"]["totalCount"] < already + more:
            await asyncio.sleep(0.05)


async def _at_rest(pid: int) -> int:
    await asyncio.sleep(SETTLE_SECONDS)
    return resident_bytes(pid)


async def _idle_cpu(pid: int) -> float:
    started, used = time.perf_counter(), cpu_seconds(pid)
    await asyncio.sleep(IDLE_SECONDS)
    return (cpu_seconds(pid) - used) / (time.perf_counter() - started)
