"""How many runs a second the embedded engine does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from statistics import median

from benchmarks.client import QUIET, approve, create_run, create_task, http, subscribed
from benchmarks.results import Table
from tests.servers import running_server

ROUNDS = 3
WHOLE_RUNS = 200
CREATED = 400
IN_FLIGHT = 16
CLIENTS = 8

_FOLLOW = "subscription ($t: ID!) { taskEvents(taskId: $t) { type ... on RunEvent { runId } } }"


async def measure(folder: Path) -> Table:
    """Do the same with both settings of SQLite's durability, in turn."""
    whole: dict[str, list[float]] = {"FULL": [], "NORMAL": []}
    created: dict[str, list[float]] = {"FULL": [], "NORMAL": []}
    for number in range(ROUNDS):
        for synchronous, rates in whole.items():
            place = folder / f"{synchronous}-{number}"
            place.mkdir()
            with running_server(place, MGX_DATABASE_SYNCHRONOUS=synchronous) as server:
                rates.append(await _whole_runs(server.url))
                created[synchronous].append(await _created(server.url))
    table = Table(
        f"median of {ROUNDS} rounds in turn: {WHOLE_RUNS} whole runs (plan, approve, 3 empty steps), {IN_FLIGHT} in "
        f"flight; {CREATED} createRun by {CLIENTS} clients while all slots are busy",
        samples={
            f"{what} {key}": values
            for what, by in (("whole", whole), ("created", created))
            for key, values in by.items()
        },
    )
    for name, figures in (("whole runs", whole), ("createRun", created)):
        for synchronous, values in figures.items():
            spread = f"{min(values):.0f} to {max(values):.0f}"
            table.row(f"{name}, {synchronous}", f"{median(values):.0f}/s", spread)
        table.row(f"{name}, NORMAL against FULL", f"{median(figures['NORMAL']) / median(figures['FULL']):.1f}x")
    return table


async def _whole_runs(url: str) -> float:
    """Return how many runs a second come from their creation to their end; one client approves what asks for it."""
    async with http(url) as api, http(url) as creator:
        task_id = await create_task(api, config=QUIET)
        async with subscribed(url, _FOLLOW, t=task_id) as following:
            started = time.perf_counter()
            begun, done = IN_FLIGHT, 0
            for _ in range(IN_FLIGHT):
                await create_run(creator, task_id)
            while done < WHOLE_RUNS:
                event = await following.next()
                if event["type"] == "APPROVAL_REQUIRED":
                    await approve(api, event["runId"])
                elif event["type"] == "COMPLETION":
                    done += 1
                    if begun < WHOLE_RUNS:
                        begun += 1
                        await create_run(creator, task_id)
            return WHOLE_RUNS / (time.perf_counter() - started)


async def _created(url: str) -> float:
    """Return how many runs a second can be created when creating them is all that is done."""
    async with http(url) as api:
        task_id = await create_task(api, config={**QUIET, "planSeconds": 3600})
        for _ in range(CLIENTS):
            await create_run(api, task_id)  # these take the slots

    async def create() -> None:
        async with http(url) as client:
            for _ in range(CREATED // CLIENTS):
                await create_run(client, task_id)

    started = time.perf_counter()
    await asyncio.gather(*(create() for _ in range(CLIENTS)))
    return CREATED / (time.perf_counter() - started)
