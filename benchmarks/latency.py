"""How long it takes from a mutation to what a subscriber sees of it."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path

from benchmarks.client import QUIET, Http, Subscription, approve, create_run, create_task, http, subscribed
from benchmarks.results import Table, milliseconds, quantile
from tests.servers import running_server

FRAMES = 1000
APPROVALS = 200
WARM_UP = 50

_FOLLOW = "subscription ($r: ID!) { runEvents(runId: $r) { id type timestamp message data sequence status } }"
_SAMPLE = """mutation ($r: ID!) {
  createMetrics(input: {runId: $r, metrics: [{name: "latency", value: 1}]}) { metrics { id } userErrors { message } }
}"""


async def measure(folder: Path) -> Table:
    """Measure with one subscriber by WebSocket and one client, one thing at a time."""
    with running_server(folder) as server:
        async with http(server.url) as api:
            task_id = await create_task(api, config={**QUIET, "steps": 1})
            frames = await _frames(api, server.url, task_id)
            approvals = [await _approval(api, server.url, task_id) for _ in range(WARM_UP + APPROVALS)][WARM_UP:]
    table = Table(
        f"1 subscriber, {FRAMES} mutations and {APPROVALS} approvals one by one, synchronous FULL; p50 / p99 / max",
        samples={"event to frame": frames["event to frame"], "approve to progress": approvals},
    )
    remarks = {
        "event to frame": "an event's time is read before the commit, so the commit is in it; goal p99 < 10 ms",
        "answer to frame": "both follow the commit; negative where the frame is seen first",
    }
    for name, values in frames.items():
        table.row(name, milliseconds(values), remarks.get(name, ""))
    table.row("approve to first PROGRESS", milliseconds(approvals), "from sending the request; goal p99 < 50 ms")
    table.row("goals", _verdict(frames["event to frame"], approvals))
    return table


async def _frames(api: Http, url: str, task_id: str) -> dict[str, list[float]]:
    """Add metrics to a run that waits for its approval, and see each arrive."""
    run_id = await create_run(api, task_id)
    times: dict[str, list[float]] = {
        "request to answer": [],
        "request to frame": [],
        "event to frame": [],
        "answer to frame": [],
    }
    async with subscribed(url, _FOLLOW, r=run_id) as following:
        await _until(following, "APPROVAL_REQUIRED")
        for number in range(WARM_UP + FRAMES):
            sent = time.time()
            (event, seen), answered = await asyncio.gather(_seen(following), _answered(api, run_id))
            if number >= WARM_UP:
                times["request to answer"].append(answered - sent)
                times["request to frame"].append(seen - sent)
                times["answer to frame"].append(seen - answered)
                times["event to frame"].append(seen - datetime.fromisoformat(event["timestamp"]).timestamp())
    return times


async def _approval(api: Http, url: str, task_id: str) -> float:
    run_id = await create_run(api, task_id)
    async with subscribed(url, _FOLLOW, r=run_id) as following:
        await _until(following, "APPROVAL_REQUIRED")
        sent = time.time()
        _, seen = await asyncio.gather(approve(api, run_id), _until(following, "PROGRESS"))
        await _until(following, "COMPLETION")
    return seen - sent


async def _until(following: Subscription, type_: str) -> float:
    while (await following.next())["type"] != type_:
        pass
    return time.time()


async def _seen(following: Subscription) -> tuple[dict[str, str], float]:
    return await following.next(), time.time()


async def _answered(api: Http, run_id: str) -> float:
    await api.ask(_SAMPLE, r=run_id)
    return time.time()


def _verdict(frames: list[float], approvals: list[float]) -> str:
    met = quantile(frames, 0.99) < 0.010, quantile(approvals, 0.99) < 0.050
    return ", ".join("met" if goal else "missed" for goal in met)
