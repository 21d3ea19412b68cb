"""What the product takes as more is kept: pages by every filter and order, at every depth, and the log.

The same is asked of databases of several sizes by turns, each with a server of its own. `GROWTH_MOST=10000000` has the
largest be one of 10,000,000 runs and as many events, which takes some 25 GB, and six minutes to make.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import dataset, growth_log
from benchmarks.client import Json, http
from benchmarks.documents import COUNT, RUNS
from benchmarks.requests import ask, post
from benchmarks.results import Table
from benchmarks.sizes import FLAT, ROUNDS, Place, compare, milliseconds, served, starting, verdict

MOST: Final = int(os.environ.get("GROWTH_MOST", "1000000"))
SIZES: Final = sorted({10_000, min(1_000_000, MOST), MOST})
LONGEST: Final = 100_000
PAGE: Final = 50
CONNECTIONS: Final = 16
RATE_SECONDS: Final = 1.5
DEPTHS: Final = (0.1, 0.5, 0.999)

_NEWEST: Final = "{ runs(first: 1) { nodes { createdAt } } }"
_BEFORE: Final = "query ($t: DateTime!) { runs(first: 1, filter: {createdAt: {to: $t}}) { pageInfo { endCursor } } }"
_FILTERS: Final[dict[str, Json]] = {
    "status COMPLETED, half of all": {"status": ["COMPLETED"]},
    "status AWAITING_APPROVAL, 100 in all": {"status": ["AWAITING_APPROVAL"]},
    "status COMPLETED or FAILED": {"status": ["COMPLETED", "FAILED"]},
    "status AWAITING_APPROVAL or RUNNING": {"status": ["AWAITING_APPROVAL", "RUNNING"]},
    "needsApproval: true": {"needsApproval": True},
    "needsApproval: false": {"needsApproval": False},
    "a label that an eighth has": {"labels": [dataset.SHARD]},
    "a label that 100 have": {"labels": [dataset.RARE]},
    "either of these labels": {"labels": [dataset.SHARD, dataset.RARE]},
    "a label that an eighth has, COMPLETED": {"labels": [dataset.SHARD], "status": ["COMPLETED"]},
    "a label that an eighth has, AWAITING_APPROVAL": {"labels": [dataset.SHARD], "status": ["AWAITING_APPROVAL"]},
    "a task": {"taskIds": [dataset.task_id(7)]},
    "two tasks": {"taskIds": [dataset.task_id(7), dataset.task_id(8)]},
}
_ORDERS: Final[dict[str, Json]] = {
    f"by {field} {direction}": {"field": field, "direction": direction}
    for field in ("CREATED_AT", "STARTED_AT", "COMPLETED_AT", "DURATION")
    for direction in ("DESC", "ASC")
}


async def measure(folder: Path) -> Table:
    """Make the databases, serve them all, and measure by turns."""
    sizes = " / ".join(f"{size:,}" for size in SIZES)
    table = Table(
        f"{sizes} runs, and as many events and {LONGEST:,} of one run; pages of {PAGE} over one connection, medians of "
        f"{ROUNDS} rounds by turns; flat is below {FLAT} times"
    )
    folders = {size: folder / str(size) for size in SIZES}
    for size, place in folders.items():
        place.mkdir()
        began = time.perf_counter()
        file = await dataset.make(place, size, events=size, longest=LONGEST)
        seconds = time.perf_counter() - began
        table.row(f"{size:,} runs and events made", f"{seconds:.0f} s", f"{file.stat().st_size / 2**20:,.0f} MiB")
    starting(table, folders)
    with served(folders) as places:
        await pages(table, places)
        await rates(table, places)
        await deep_pages(table, places)
        await counts(table, places)
        await growth_log.pages(table, places)
        await growth_log.attaching(table, places)
        await growth_log.following(table, places[-1], LONGEST)
    return table


async def pages(table: Table, places: Sequence[Place]) -> None:
    """Measure the first page, whatever it is filtered by or ordered by."""
    same = [{"first": PAGE}] * len(places)
    await compare(table, "newest first", places, RUNS, same)
    for name, filter_ in _FILTERS.items():
        await compare(table, name, places, RUNS, [each | {"filter": filter_} for each in same])
    for name, order in _ORDERS.items():
        await compare(table, name, places, RUNS, [each | {"order": order} for each in same])


async def rates(table: Table, places: Sequence[Place]) -> None:
    """Measure how many first pages a second are answered."""
    answered: list[list[float]] = [[] for _ in places]
    for _ in range(ROUNDS):
        for place, found in zip(places, answered, strict=True):
            request = post(place.url, RUNS, {"first": PAGE})
            found.append((await ask(place.url, request, CONNECTIONS, RATE_SECONDS)).rate)
    medians = [median(found) for found in answered]
    table.row(
        f"newest first, {CONNECTIONS} connections",
        " / ".join(f"{rate:,.0f}" for rate in medians) + " /s",
        verdict([1 / rate for rate in medians]),
    )


async def deep_pages(table: Table, places: Sequence[Place]) -> None:
    """Measure pages in both directions from a place deep in the list."""
    for depth in DEPTHS:
        cursors = [await _cursor_at(place, depth) for place in places]
        after: list[Json] = [{"first": PAGE, "after": cursor} for cursor in cursors]
        before: list[Json] = [{"last": PAGE, "before": cursor} for cursor in cursors]
        await compare(table, f"forward from {depth:.1%} of the list", places, RUNS, after)
        await compare(table, f"backward from {depth:.1%} of the list", places, RUNS, before)


async def counts(table: Table, places: Sequence[Place]) -> None:
    """Measure what counting all runs takes, which may grow."""
    for name, filter_ in (("totalCount", None), ("totalCount of half of all", {"status": ["COMPLETED"]})):
        seconds = []
        for place in places:
            request = post(place.url, COUNT, {"filter": filter_})
            seconds.append(median((await ask(place.url, request, 1, 1.0)).seconds))
        table.row(name, milliseconds(seconds), "may grow")


async def _cursor_at(place: Place, depth: float) -> str:
    """Return the cursor of a run that a share of all runs precedes, newest first, and that at least a page follows."""
    async with http(place.url) as api:
        newest = datetime.fromisoformat((await api.ask(_NEWEST))["runs"]["nodes"][0]["createdAt"])
        before = min(int(depth * place.runs), place.runs - 2 * PAGE)
        until = newest - timedelta(minutes=before)
        return str((await api.ask(_BEFORE, t=until.isoformat()))["runs"]["pageInfo"]["endCursor"])
