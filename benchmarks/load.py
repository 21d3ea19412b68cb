"""Many clients at once, each with a connection of its own, against one server or several."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from benchmarks.client import QUIET, Http, Subscription, approve, create_run, create_task, http, subscribed

_FOLLOW: Final = """
subscription {
  allEvents(types: [APPROVAL_REQUIRED, COMPLETION]) { type ... on RunEvent { runId } }
}
"""
_WAITING: Final = "{ runs(first: 1, filter: {needsApproval: true}) { totalCount } }"


async def whole_runs(urls: Sequence[str], runs: int, in_flight: int) -> float:
    """Return how many runs a second come from their creation to their end.

    Each client has a task of its own, as people do: what changes the status of runs of one task takes turns.

    Args:
        urls: The servers; each client keeps to one.
        runs: How many.
        in_flight: Clients, each of which creates a run, approves its plan when it is asked, and waits for the end.
    """
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(http(urls[n % len(urls)])) for n in range(in_flight)]
        following = await stack.enter_async_context(subscribed(urls[0], _FOLLOW))
        news = _News(following)
        reading = asyncio.create_task(news.read())
        numbers = iter(range(runs))

        async def go_on(client: Http) -> None:
            task_id = await create_task(client, config=QUIET)
            for _ in numbers:
                run_id = await create_run(client, task_id)
                await news.of(run_id, "APPROVAL_REQUIRED")
                await approve(client, run_id)
                await news.of(run_id, "COMPLETION")

        began = time.perf_counter()
        try:
            await asyncio.gather(*(go_on(client) for client in clients))
            return runs / (time.perf_counter() - began)
        finally:
            reading.cancel()


async def created(urls: Sequence[str], runs: int, clients: int) -> float:
    """Return how many runs a second are created, of a task whose plans take an hour, by some clients at once."""
    async with http(urls[0]) as api:
        task_id = await create_task(api, config={**QUIET, "planSeconds": 3600})
    return await _create(urls, task_id, runs, clients)


async def wait_for_approval(urls: Sequence[str], runs: int, clients: int) -> float:
    """Return how many runs a second come to their approval, which they then wait for."""
    async with http(urls[0]) as api:
        before = (await api.ask(_WAITING))["runs"]["totalCount"]
        task_id = await create_task(api, config=QUIET, approvalTimeout=86_400)
        began = time.perf_counter()
        await _create(urls, task_id, runs, clients)
        while (await api.ask(_WAITING))["runs"]["totalCount"] < before + runs:
            await asyncio.sleep(0.2)
        return runs / (time.perf_counter() - began)


async def _create(urls: Sequence[str], task_id: str, runs: int, clients: int) -> float:
    numbers = iter(range(runs))

    async def go_on(url: str) -> None:
        async with http(url) as client:
            for _ in numbers:
                await create_run(client, task_id)

    began = time.perf_counter()
    await asyncio.gather(*(go_on(urls[n % len(urls)]) for n in range(clients)))
    return runs / (time.perf_counter() - began)


class _News:
    """What one subscription says, for those who wait for something of it."""

    def __init__(self, following: Subscription) -> None:
        self._following = following
        self._told: defaultdict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)

    async def read(self) -> None:
        while True:
            event = await self._following.next()
            self._told[event["runId"], event["type"]].set()

    async def of(self, run_id: str, type_: str) -> None:
        await self._told[run_id, type_].wait()
        del self._told[run_id, type_]
