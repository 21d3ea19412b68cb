"""What a long log takes: pages of it, attaching to it, and following a run of many events from its first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks import dataset
from benchmarks.client import Http, create_task, http, subscribed
from benchmarks.documents import ALL_EVENTS, EVENTS, RUN_EVENTS
from benchmarks.process import resident_bytes
from benchmarks.results import Table
from benchmarks.sizes import Place, compare, milliseconds, verdict
from benchmarks.sockets import crowd

PAGE: Final = 50
BEHIND: Final = 1_000
ATTACHED: Final = 25
"""Times that somebody subscribes: a subscription is too short to tell its processor time."""

PATIENCE: Final = 120.0
_GLANCE: Final = 0.05
"""Seconds from a look at a server's memory to the next."""

_END: Final = "query ($run: ID!, $last: Int!) { run(id: $run) { events(last: $last) { edges { cursor } } } }"


async def pages(table: Table, places: Sequence[Place]) -> None:
    """Measure the log's first page and its last."""
    for side in ("first", "last"):
        await compare(table, f"events, {side} {PAGE}", places, EVENTS, [{side: PAGE}] * len(places))


async def attaching(table: Table, places: Sequence[Place]) -> None:
    """Measure how soon who subscribes hears something: of everything, and of a run of many events near its end."""
    taken: dict[str, list[list[float]]] = {
        "allEvents, to the first live event": [[] for _ in places],
        f"allEvents after {BEHIND:,} before the head, to the first": [[] for _ in places],
        f"runEvents after {PAGE} before the end, to the first": [[] for _ in places],
    }
    for _ in range(ATTACHED):
        for number, place in enumerate(places):
            run = dataset.run_id(place.runs)
            async with http(place.url) as api:
                end = (await api.ask(_END, run=run, last=PAGE))["run"]["events"]["edges"][0]["cursor"]
                seconds = (
                    await _live(place, api),
                    await _first(place, ALL_EVENTS, after=await _behind(api)),
                    await _first(place, RUN_EVENTS, run=run, after=end),
                )
            for found, each in zip(taken.values(), seconds, strict=True):
                found[number].append(each)
    for name, found in taken.items():
        medians = [median(each) for each in found]
        table.row(name, milliseconds(medians), verdict(medians))


async def following(table: Table, place: Place, events: int) -> None:
    """Measure what it takes to follow the newest run of the largest, which has many events, from its first."""
    payload = {"query": RUN_EVENTS, "variables": {"run": dataset.run_id(place.runs)}}
    async with _watched(place.server.pid) as memory:
        began = time.monotonic()
        async with crowd(place.url, [payload]) as subscriber:
            assert await subscriber.until(1, PATIENCE), "no event came"
            first = subscriber.first - began
            assert await subscriber.until(events, PATIENCE), "events got lost"
            whole = subscriber.last - began
    table.row(f"runEvents of {events:,} events, to the first", f"{1000 * first:.1f} ms", "from the connection's start")
    table.row("the same, to the last", f"{whole:.2f} s", f"{events / (whole - first):,.0f} events/s, one WebSocket")
    table.row(
        "the same, memory", f"{memory.growth / 2**20:+.1f} MiB", f"of {memory.before / 2**20:.1f} MiB, at its most"
    )


async def _live(place: Place, api: Http) -> float:
    """Return how long it takes from subscribing to everything to an event that happens as soon as it can."""
    began = time.perf_counter()
    async with subscribed(place.url, ALL_EVENTS) as subscription:
        heard = asyncio.create_task(subscription.next())
        while not heard.done():
            await create_task(api)
        await heard
    return time.perf_counter() - began


async def _first(place: Place, document: str, **variables: Any) -> float:
    """Return how long it takes from the connection's start to a subscription's first event."""
    began = time.monotonic()
    async with crowd(place.url, [{"query": document, "variables": variables}]) as subscriber:
        assert await subscriber.until(1, PATIENCE), "no event came"
        return subscriber.first - began


async def _behind(api: Http) -> str:
    """Return the cursor of an event that so many follow in the log."""
    cursor = None
    for _ in range(BEHIND // 100):
        page = await api.ask(EVENTS, last=100, before=cursor)
        cursor = page["events"]["edges"][0]["cursor"]
    return str(cursor)


@dataclass(slots=True)
class _Memory:
    before: int
    growth: int = 0


@asynccontextmanager
async def _watched(pid: int) -> AsyncGenerator[_Memory]:
    """Watch how much more memory a process takes while the block runs."""
    memory = _Memory(resident_bytes(pid))

    async def watch() -> None:
        while True:
            memory.growth = max(memory.growth, resident_bytes(pid) - memory.before)
            await asyncio.sleep(_GLANCE)

    watching = asyncio.create_task(watch())
    try:
        yield memory
    finally:
        watching.cancel()
