"""A storm: runs with subscribers and people around them, while the server is killed and stopped at random.

Uses the public API alone and checks the promises to users (P1 to P7) from outside. The seed makes the same scripts and
choices again, though not the same interleaving. Run one with `python -m tests.long.storm --help`.
"""

from __future__ import annotations

import argparse
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

from tests.long.figures import quantiles
from tests.long.machine import Faults, Machine, wreak
from tests.long.net import Net, new_http
from tests.long.outcome import Goal, Outcome, draw_seed, run_program
from tests.long.rage import Load, Rage
from tests.long.records import Json, Story

READY_GOAL = 3.0
"""Seconds from a restart to the first answer that are promised; reported, and not a violation."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens.

    Attributes:
        load: The runs.
        kills: kill -9 of the server; the last strikes when all is over, before the log is read.
        stops: SIGTERM of the server.
    """

    load: Load
    kills: int
    stops: int


async def storm(size: Size, folder: Path, *, seed: int | None = None, **env: str) -> Outcome:
    """Let a storm rage and judge what it left.

    Args:
        size: How much happens.
        folder: For the database and the server's log.
        seed: Of everything that is drawn; None draws one.
        env: Settings of the server.
    """
    seed, began = draw_seed(seed), time.monotonic()
    machine = Machine(folder, env)
    try:
        await machine.start()
        async with new_http() as http:
            rage = Rage(size.load, Net(machine, http), seed)
            await rage.run(partial(wreak, machine, size.kills - 1, size.stops, Random(seed + 4)))
            await machine.restart_after_kill()
            judgement = await rage.judge()
    finally:
        machine.end()
    faults = _figures(judgement.stories, machine.faults)
    seconds = {"seconds": round(time.monotonic() - began, 1)}
    return Outcome(
        seed=seed,
        violations=judgement.violations + machine.complaints(),
        dumps=judgement.dumps,
        figures=seconds | judgement.figures | faults,
        goals=[Goal("seconds from each restart to the first answer", READY_GOAL, faults["restartToReady"]["max"])],
    )


def _figures(stories: Sequence[Story], faults: Faults) -> Json:
    """Return how often one server was struck, and how fast it was back; times are seconds."""
    resumed = [
        _since_ready(event, faults.ready_at)
        for story in stories
        for event in story.events
        if event["type"] == "RESUMED"
    ]
    return {
        "kills": faults.kills,
        "stops": faults.stops,
        "restartToReady": quantiles(faults.to_ready),
        "sigtermToExit": quantiles(faults.to_stop),
        "readyToResumed": quantiles(resumed),
    }


def _since_ready(event: Json, ready_at: Sequence[float]) -> float:
    """Return how long after the newest start an event came; before a server answers it works already, which is 0."""
    at = datetime.fromisoformat(event["timestamp"]).timestamp()
    return max(0.0, at - max((ready for ready in ready_at if ready <= at), default=at))


async def _play(args: Namespace, folder: Path) -> Outcome:
    return await storm(Size(Load(args.runs, args.at_once), args.kills, args.stops), folder, seed=args.seed)


def main() -> int:
    """Run a storm from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--kills", type=int, default=30, help="at least 1, for the one at the end")
    parser.add_argument("--stops", type=int, default=5)
    return run_program(parser, _play)


if __name__ == "__main__":
    sys.exit(main())
