"""Processes of every kind on this machine: PostgreSQL, Redis, API processes and workers, and a way to cut between them.

All of it is the caller's own, on ports and in a folder of its own, and ends with the block.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.backing import PostgresServer, RedisServer, running
from tests.long.figures import quantiles
from tests.long.members import ApiMember, Blow, Member, api_member, worker_member
from tests.long.proxy import Proxy, running_proxy
from tests.long.records import Json


@dataclass(frozen=True, slots=True)
class Layout:
    """What there is.

    Attributes:
        apis: API processes, which work on no runs.
        workers: Workers.
        concurrency: Runs that a worker does at once.
        lease: Seconds after which a run whose worker is silent is taken over.
        is_proxied: Whether everyone reaches PostgreSQL by a proxy.
    """

    apis: int = 2
    workers: int = 3
    concurrency: int = 16
    lease: float = 4.0
    is_proxied: bool = False

    @property
    def takeover_seconds(self) -> float:
        """How long a run may stand still after one failure (P6)."""
        return self.lease + 5.0


class Cluster:
    """Everything that runs; a `Front` that leads to any of the API processes that are up."""

    def __init__(
        self,
        *,
        layout: Layout,
        postgres: PostgresServer,
        redis: RedisServer,
        proxy: Proxy | None,
        apis: list[ApiMember],
        workers: list[Member],
        rng: Random,
    ) -> None:
        self.layout = layout
        self.postgres = postgres
        self.redis = redis
        self.apis = apis
        self.workers = workers
        self._proxy = proxy
        self._rng = rng

    @property
    def members(self) -> list[Member]:
        """All processes of ours."""
        return [*self.apis, *self.workers]

    @property
    def blows(self) -> list[Blow]:
        """What was done to them, in order."""
        return sorted((blow for member in self.members for blow in member.blows), key=lambda blow: blow.at)

    @property
    def proxy(self) -> Proxy:
        """The way to PostgreSQL."""
        assert self._proxy is not None, "the layout has no proxy"
        return self._proxy

    async def url(self) -> str:
        """Return the address of an API process, as something that balances load would."""
        up = [api for api in self.apis if api.is_up]
        return await self._rng.choice(up or self.apis).url()

    async def start(self) -> None:
        """Start every process of ours that is not there."""
        async with asyncio.TaskGroup() as group:
            for member in self.members:
                if not member.is_up:
                    group.create_task(member.start())

    async def lose_power(self) -> None:
        """Kill every process of ours at once, and start them again."""
        await asyncio.gather(*(member.kill() for member in self.members))
        await self.start()

    def complaints(self) -> list[str]:
        """Return what is wrong with how processes ended and with what they logged."""
        return [complaint for member in self.members for complaint in member.complaints()]

    def figures(self) -> Json:
        """Return what was done to the processes and how they took it; times are seconds."""
        blows = [f"{blow.kind} {blow.member.rpartition('-')[0]}" for blow in self.blows]
        return {
            "blows": {kind: blows.count(kind) for kind in sorted(set(blows))},
            "startToReady": quantiles([seconds for member in self.members for seconds in member.to_ready]),
            "sigtermToExit": quantiles([seconds for member in self.members for seconds in member.to_stop]),
            "writesRefused": sum(member.process.log.read_text().count("no longer has run") for member in self.members),
        }


@asynccontextmanager
async def running_cluster(folder: Path, layout: Layout, seed: int, **env: str) -> AsyncGenerator[Cluster]:
    """Have a cluster while the block runs.

    Args:
        folder: Takes the logs of our processes.
        layout: What there is.
        seed: Of what is drawn here: whom clients ask.
        env: Further settings of all processes.
    """
    async with AsyncExitStack() as stack:
        backing = stack.enter_context(ExitStack())
        postgres = await asyncio.to_thread(backing.enter_context, running(PostgresServer))
        redis = await asyncio.to_thread(backing.enter_context, running(RedisServer))
        proxy = await stack.enter_async_context(running_proxy(postgres.port)) if layout.is_proxied else None
        port = proxy.port if proxy is not None else postgres.port
        settings = {
            "MGX_DATABASE_URL": f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres",
            "MGX_BUS_URL": redis.url,
            "MGX_LEASE": f"{layout.lease:g}",
            **env,
        }
        concurrency = ("--concurrency", str(layout.concurrency))
        apis = [api_member(folder, f"api-{n}", "--workers", "0", **settings) for n in range(1, layout.apis + 1)]
        workers = [worker_member(folder, f"worker-{n}", *concurrency, **settings) for n in range(1, layout.workers + 1)]
        cluster = Cluster(
            layout=layout,
            postgres=postgres,
            redis=redis,
            proxy=proxy,
            apis=apis,
            workers=workers,
            rng=Random(seed + 5),
        )
        for member in cluster.members:
            stack.callback(member.end)
        await cluster.start()
        yield cluster
