"""Races of decisions from different API processes: approve against reject, cancel and the deadline.

One wins each; the others are told what it led to. Run them with `python -m tests.long.races --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from tests.e2e.client import PATIENCE, Api
from tests.e2e.races import SHORT, check, deadline, decide, until_about
from tests.e2e.work import awaiting, new_run, new_task
from tests.long.cluster import Cluster, Layout, running_cluster
from tests.long.net import new_http
from tests.long.outcome import Outcome, draw_seed, run_program

DECISIONS: Final = ("APPROVED", "REJECTED", "CANCELLED")
SPREAD: Final = 0.05
"""Seconds before and after a deadline in which decisions come."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many races there are, half of them against a deadline as well, and how many at one time."""

    races: int = 200
    at_once: int = 10


async def race(size: Size, layout: Layout, folder: Path, *, seed: int | None = None) -> Outcome:
    """Run all races."""
    seed, began = draw_seed(seed), time.monotonic()
    async with running_cluster(folder, layout, seed) as cluster, new_http() as http:
        races = await _Races.begin(cluster, http, Random(seed))
        numbers = iter(range(size.races))

        async def go_on() -> None:
            for number in numbers:
                await races.one(against_deadline=number % 2 == 1)

        await asyncio.gather(*(go_on() for _ in range(size.at_once)))
        return Outcome(
            seed=seed,
            violations=races.violations + cluster.complaints(),
            figures={
                "seconds": round(time.monotonic() - began, 1),
                "races": size.races,
                "winners": dict(sorted(races.winners.items())),
                "refusals": races.refusals,
            },
        )


class _Races:
    def __init__(self, apis: list[Api], rng: Random, patient: Any, hasty: Any) -> None:
        self.winners: Counter[str] = Counter()
        self.refusals = 0
        self.violations: list[str] = []
        self._apis = apis
        self._rng = rng
        self._patient = patient
        self._hasty = hasty

    @classmethod
    async def begin(cls, cluster: Cluster, http: httpx.AsyncClient, rng: Random) -> _Races:
        """Create the tasks: of one, runs wait for long; of the other, a second."""
        http.timeout = httpx.Timeout(PATIENCE)
        apis = [Api(http, await api.url()) for api in cluster.apis]
        patient = await new_task(apis[0], config=SHORT)
        hasty = await new_task(apis[0], config=SHORT, approvalTimeout=1)
        return cls(apis, rng, patient, hasty)

    async def one(self, *, against_deadline: bool) -> None:
        """Have every process decide at the same time, each on something else."""
        api = self._rng.choice(self._apis)
        if against_deadline:
            run = await new_run(api, self._hasty)
            await until_about(await deadline(api, run), self._rng.uniform(-SPREAD, SPREAD))
        else:
            run = await awaiting(api, self._patient)
        decisions = self._rng.sample(DECISIONS, len(DECISIONS)) * 2
        apis = [self._apis[place % len(self._apis)] for place in range(len(decisions))]
        tried = await asyncio.gather(*map(decide, apis, [run] * len(decisions), decisions))
        self.refusals += sum(error is not None for _, error in tried)
        try:
            self.winners[await check(self._rng.choice(self._apis), run, tried)] += 1
        except (AssertionError, TimeoutError) as error:
            self.violations.append(f"P7 run {run['id']} was decided on with {tried}: {error!r}")


async def _play(args: Namespace, folder: Path) -> Outcome:
    layout = Layout(apis=args.apis, workers=args.workers)
    return await race(Size(args.races, args.at_once), layout, folder, seed=args.seed)


def main() -> int:
    """Run races from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    return run_program(parser, _play)


if __name__ == "__main__":
    sys.exit(main())
