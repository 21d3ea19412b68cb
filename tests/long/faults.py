"""Faults around a cluster: PostgreSQL crashes, connections to it are cut, Redis crashes and stays away.

Uses the public API alone and checks the promises to users (P1 to P7) from outside, while a heartbeat from one API
process to the other tells how soon everything is back. Run it with `python -m tests.long.faults --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Final

import httpx

from tests.long.cluster import Cluster, Layout, running_cluster
from tests.long.figures import quantiles
from tests.long.members import Blow
from tests.long.net import Net, new_http
from tests.long.outcome import Goal, Outcome, draw_seed, run_program
from tests.long.pace import Pace
from tests.long.probe import pulse
from tests.long.proxy import Cut
from tests.long.rage import Load, Rage, Reached

BACK_SECONDS: Final = 5.0
"""After a fault of the database is over, how soon what is told to one API process must be heard from the other."""

LATE_SECONDS: Final = 1.2
"""How late an event of another process may be while there is no bell."""

REST_SECONDS: Final = 1.0
"""Between faults, at least."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens.

    Attributes:
        load: The runs.
        crashes: Restarts of PostgreSQL in immediate mode.
        cuts: Connections to PostgreSQL that are cut, by each way of `Cut` in turn.
        bells: Kills of Redis, which is started again at once.
        silence: Seconds for which Redis is gone at the end, and then once more with nothing else to do.
    """

    load: Load
    crashes: int = 5
    cuts: int = 20
    bells: int = 5
    silence: float = 30.0


@dataclass(slots=True)
class _Faults:
    """What was done, and when; seconds since 1970.

    Attributes:
        over: When each fault of the database was over.
        silences: From when until when Redis was gone.
    """

    blows: list[Blow] = field(default_factory=list)
    over: list[float] = field(default_factory=list)
    silences: list[tuple[float, float]] = field(default_factory=list)


async def suffer(size: Size, layout: Layout, folder: Path, *, seed: int | None = None) -> Outcome:
    """Let all faults happen and judge what they left."""
    seed, began, faults = draw_seed(seed), time.monotonic(), _Faults()
    async with running_cluster(folder, layout, seed) as cluster, new_http() as http:
        rage = Rage(size.load, Net(cluster, http), seed)
        async with pulse(cluster.apis, http, Random(seed + 6)) as beats:
            await rage.run(partial(_strike, size, cluster, faults, Random(seed + 4)))
            await asyncio.sleep(BACK_SECONDS)  # so that something was heard after the last fault
        calm = await _listen_in_calm(size, cluster, http, Random(seed + 7))
        await cluster.lose_power()
        pace = Pace(faults.blows, layout.takeover_seconds)
        judgement = await rage.judge(is_odd=pace.is_odd)
        back = [beats.back_after(at) for at in faults.over]
        late = [seconds for since, until in faults.silences for seconds in beats.within(since, until)]
        own = {
            "seconds": round(time.monotonic() - began, 1),
            "faults": {
                kind: sum(blow.kind == kind for blow in faults.blows)
                for kind in sorted({blow.kind for blow in faults.blows})
            },
            "backAfterFault": quantiles(back),
            "eventLatency": quantiles([beat.seconds for beat in beats.beats]),
            "eventLatencyWithoutBell": {"underLoad": quantiles(late), "inCalm": quantiles(calm)},
            **pace.figures(judgement.stories),
        }
        return Outcome(
            seed=seed,
            violations=judgement.violations + cluster.complaints(),
            dumps=[pace.timeline(), *judgement.dumps] if judgement.dumps else [],
            figures=own | judgement.figures | cluster.figures(),
            goals=[
                Goal("seconds until all is back after a fault of the database", BACK_SECONDS, max(back, default=0.0)),
                Goal("seconds from request to frame without the bell, in calm", LATE_SECONDS, max(calm, default=0.0)),
                Goal("the same under load, p95", LATE_SECONDS, quantiles(late)["p95"]),
            ],
        )


async def _strike(size: Size, cluster: Cluster, faults: _Faults, rng: Random, reached: Reached) -> None:
    series: list[Callable[[Cluster, _Faults, Random], Awaitable[None]]] = [
        *[_crash] * size.crashes,
        *(partial(_cut, how) for how in islice(cycle(Cut), size.cuts)),
        *[_kill_bell] * size.bells,
    ]
    rng.shuffle(series)
    await reached(0.05)
    for fault in series:
        await fault(cluster, faults, rng)
        await asyncio.sleep(REST_SECONDS + rng.expovariate(1.0))
    await _silence(cluster, faults, size.silence)


async def _listen_in_calm(size: Size, cluster: Cluster, http: httpx.AsyncClient, rng: Random) -> list[float]:
    """Return how long it takes without a bell until an idle process has what another one was told."""
    await asyncio.to_thread(cluster.redis.kill)
    async with pulse(cluster.apis, http, rng, pause=1.0, is_mutual=False) as beats:
        await asyncio.sleep(size.silence)
    await asyncio.to_thread(cluster.redis.start)
    return [beat.seconds for beat in beats.beats]


async def _crash(cluster: Cluster, faults: _Faults, _: Random) -> None:
    faults.blows.append(Blow("CRASH", "postgres", time.time()))
    await asyncio.to_thread(cluster.postgres.restart)
    faults.over.append(time.time())


async def _cut(how: Cut, cluster: Cluster, faults: _Faults, rng: Random) -> None:
    await cluster.proxy.cut(how, rng)
    faults.blows.append(Blow(how, "postgres", time.time()))
    faults.over.append(time.time())


async def _kill_bell(cluster: Cluster, faults: _Faults, _: Random) -> None:
    await _silence(cluster, faults, 0.0)


async def _silence(cluster: Cluster, faults: _Faults, seconds: float) -> None:
    """Have no Redis for a while."""
    since = time.time()
    faults.blows.append(Blow("BELL GONE" if seconds else "BELL KILLED", "redis", since))
    await asyncio.to_thread(cluster.redis.kill)
    await asyncio.sleep(seconds)
    faults.silences.append((since, time.time()))
    await asyncio.to_thread(cluster.redis.start)


async def _play(args: Namespace, folder: Path) -> Outcome:
    layout = Layout(apis=args.apis, workers=args.workers, lease=args.lease, is_proxied=True)
    size = Size(Load(args.runs, args.at_once), args.crashes, args.cuts, args.bells, args.silence)
    return await suffer(size, layout, folder, seed=args.seed)


def main() -> int:
    """Run faults from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--crashes", type=int, default=5)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--bells", type=int, default=5)
    parser.add_argument("--silence", type=float, default=30.0, help="seconds without Redis at the end")
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=4.0, help="seconds; at least 3")
    return run_program(parser, _play)


if __name__ == "__main__":
    sys.exit(main())
