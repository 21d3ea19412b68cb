"""A storm over a cluster: workers and API processes are killed and frozen at random, on PostgreSQL and Redis.

Uses the public API alone and checks the promises to users (P1 to P7) from outside. Run one with
`python -m tests.long.cluster_storm --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import Namespace
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tests.long.blows import kill_and_freeze
from tests.long.cluster import Layout, running_cluster
from tests.long.net import Net, new_http
from tests.long.outcome import Outcome, draw_seed, run_program
from tests.long.pace import Pace
from tests.long.rage import Load, Rage


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens.

    Attributes:
        load: The runs.
        kills: kill -9 of a worker or an API process, beside the one of all at once when everything is over.
        freezes: SIGSTOP of one for twice the lease.
    """

    load: Load
    kills: int
    freezes: int


async def storm(size: Size, layout: Layout, folder: Path, *, seed: int | None = None) -> Outcome:
    """Let a storm rage and judge what it left."""
    seed, began = draw_seed(seed), time.monotonic()
    async with running_cluster(folder, layout, seed) as cluster, new_http() as http:
        rage = Rage(size.load, Net(cluster, http), seed)
        await rage.run(partial(kill_and_freeze, cluster, size.kills, size.freezes, Random(seed + 4)))
        blows = cluster.blows
        await cluster.lose_power()
        pace = Pace(blows, layout.takeover_seconds)
        judgement = await rage.judge(is_odd=pace.is_odd)
        pace_figures = pace.figures(judgement.stories)
        own = {"seconds": round(time.monotonic() - began, 1), **pace_figures}
        return Outcome(
            seed=seed,
            violations=judgement.violations + cluster.complaints(),
            dumps=[pace.timeline(), *judgement.dumps] if judgement.dumps else [],
            figures=own | judgement.figures | cluster.figures(),
            goals=pace.goals(pace_figures),
        )


async def _play(args: Namespace, folder: Path) -> Outcome:
    layout = Layout(apis=args.apis, workers=args.workers, lease=args.lease)
    size = Size(Load(args.runs, args.at_once), kills=args.kills, freezes=args.freezes)
    return await storm(size, layout, folder, seed=args.seed)


def main() -> int:
    """Run a storm from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--freezes", type=int, default=10)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=4.0, help="seconds; at least 3")
    return run_program(parser, _play)


if __name__ == "__main__":
    sys.exit(main())
