"""A rolling restart: one process of a cluster after the other ends by SIGTERM and comes back, under load.

Nobody may notice more than a socket that closes with 1012. Run it with `python -m tests.long.rolling --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from tests.long.blows import restart_one_by_one
from tests.long.cluster import Layout, running_cluster
from tests.long.net import Net, new_http
from tests.long.outcome import Goal, Outcome, draw_seed, run_program
from tests.long.rage import Load, Rage
from tests.long.records import End, Leg, Story

EXIT_SECONDS: Final = 10.0
_ORDERLY: Final = {"ws": frozenset({"1012"}), "sse": frozenset({"the stream ended without complete"})}
"""How a server that ends closes streams."""

_NOT_THERE: Final = ("no connection", "503")
"""What a client may find while a server ends."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens: the runs, and how often everything is restarted."""

    load: Load
    rounds: int


async def roll(size: Size, layout: Layout, folder: Path, *, seed: int | None = None) -> Outcome:
    """Restart everything and judge who noticed."""
    seed, began = draw_seed(seed), time.monotonic()
    async with running_cluster(folder, layout, seed) as cluster, new_http() as http:
        rage = Rage(size.load, Net(cluster, http), seed)
        await rage.run(partial(restart_one_by_one, cluster, size.rounds, Random(seed + 4)))
        judgement = await rage.judge(check_noticed)
        resumed = Counter(
            event["data"]["reason"]
            for story in judgement.stories
            for event in story.events
            if event["type"] == "RESUMED"
        )
        own = {"seconds": round(time.monotonic() - began, 1), "rounds": size.rounds, "resumed": dict(resumed)}
        slowest = max(seconds for member in cluster.members for seconds in member.to_stop)
        return Outcome(
            seed=seed,
            violations=judgement.violations + cluster.complaints(),
            dumps=judgement.dumps,
            figures=own | judgement.figures | cluster.figures(),
            goals=[Goal("seconds from SIGTERM to the end", EXIT_SECONDS, slowest)],
        )


def check_noticed(story: Story) -> Iterator[str]:
    """Yield where a run lost its worker, or a subscriber its stream in another way than it should."""
    for event in story.events:
        if event["type"] == "RESUMED" and event["data"]["reason"] != "HANDED_OVER":
            yield f"P6 taken over for {event['data']['reason']} at {event['sequence']}, where all were told to end"
    for name, legs in story.legs.items():
        for number, leg in enumerate(legs, 1):
            if leg.end is End.LOST and not _is_orderly(leg):
                yield f"P3 a stream broke with {leg.detail}: {name}, connection {number} ({leg.transport})"


def _is_orderly(leg: Leg) -> bool:
    return leg.detail in _ORDERLY[leg.transport] or leg.detail.startswith(_NOT_THERE)


async def _play(args: Namespace, folder: Path) -> Outcome:
    layout = Layout(apis=args.apis, workers=args.workers, lease=args.lease)
    return await roll(Size(Load(args.runs, args.at_once), args.rounds), layout, folder, seed=args.seed)


def main() -> int:
    """Run a rolling restart from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3, help="how often each process is restarted")
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=4.0, help="seconds; at least 3")
    return run_program(parser, _play)


if __name__ == "__main__":
    sys.exit(main())
