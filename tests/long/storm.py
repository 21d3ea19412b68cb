"""A storm: runs with subscribers and people around them, while the server is killed and stopped at random.

Uses the public API alone and checks the promises to users (P1 to P7) from outside. The seed makes the same scripts and
choices again, though not the same interleaving. Run one with `python -m tests.long.storm --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom

import httpx

from tests.long.api import Api
from tests.long.figures import figures
from tests.long.machine import Machine, Net, wreak
from tests.long.people import People, write_script
from tests.long.records import Event, Json, Leg, Story
from tests.long.rules_of_streams import check_legs
from tests.long.subscriber import Subscriber, all_events
from tests.long.truth import check_artifacts, check_story, check_tasks, read_log, read_story

READY_GOAL = 3.0
"""Seconds from a restart to the first answer that are promised; reported, and not a violation."""

CURTAIN_SECONDS = 60.0
"""How long the observer of everything may take to see the last event."""

_CURTAIN = "mutation ($name: String!) { createTask(input: {name: $name}) { userErrors { message } } }"


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens.

    Attributes:
        runs: Runs that are created; their retries come on top.
        at_once: Runs that people look after at one time.
        kills: kill -9 of the server; the last strikes when all is over, before the log is read.
        stops: SIGTERM of the server.
    """

    runs: int
    at_once: int
    kills: int
    stops: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a storm."""

    seed: int
    violations: list[str]
    dumps: list[str]
    figures: Json

    def report(self) -> str:
        """Return the outcome for people."""
        ready = self.figures["restartToReady"]["max"]
        verdict = "PASS" if ready <= READY_GOAL else "FAIL"
        return "\n".join(
            [
                json.dumps(self.figures, indent=2),
                *self.dumps[:5],
                *self.violations[:50],
                f"ready again within {READY_GOAL:g} s of each restart: {verdict} (slowest {ready:g} s)",
                f"{len(self.violations)} violations, seed {self.seed}",
            ]
        )


async def storm(size: Size, folder: Path, *, seed: int | None = None, **env: str) -> Outcome:
    """Let a storm rage and judge what it left.

    Args:
        size: How much happens.
        folder: For the database and the server's log.
        seed: Of everything that is drawn; None draws one.
        env: Settings of the server.
    """
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    machine = Machine(folder, env)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    try:
        await machine.start()
        async with httpx.AsyncClient(limits=limits, trust_env=False) as http:
            raging = _Storm(size, Net(machine, http), seed)
            await raging.rage()
            return await raging.judge()
    finally:
        machine.end()


class _Storm:
    def __init__(self, size: Size, net: Net, seed: int) -> None:
        self._size = size
        self._net = net
        self._machine = net.machine
        self._seed = seed
        self._api = Api(net, Random(seed + 1))
        self._people = People(self._api, net, Random(seed + 2))
        self._observed: list[Leg] = []
        self._start = ""
        self._played = 0
        self._progress = asyncio.Condition()
        self._began = time.monotonic()

    async def rage(self) -> None:
        """Play all scripts and strike all blows, while somebody observes everything."""
        self._start = (await self._api.query("{ eventCursor }"))["eventCursor"]
        curtain = f"curtain {self._seed}"

        def notice(event: Event) -> None:
            if event["data"].get("task", {}).get("name") == curtain:
                observer.leave()

        rng = Random(self._seed + 3)
        observer = Subscriber(all_events(self._start), ("ws", "sse"), self._net, rng, notice)
        self._observed = observer.legs
        async with asyncio.TaskGroup() as group:
            observing = group.create_task(observer.follow())
            await self._people.make_tasks()
            await self._play_and_strike()
            await self._api.query(_CURTAIN, name=curtain)
            async with asyncio.timeout(CURTAIN_SECONDS):
                await observing
        await self._machine.restart_after_kill()

    async def judge(self) -> Outcome:
        """Read what the server says now, and compare it with everything that was seen."""
        violations, dumps = list(self._people.complaints), []
        log = await read_log(self._api, self._start)
        for story in self._people.stories:
            await read_story(self._api, story)
            complaints = [*check_story(story), *await check_artifacts(self._api, story)]
            if complaints:
                violations += [f"{complaint} (run {story.run_id})" for complaint in complaints]
                dumps.append(_dump(story))
        violations += check_legs("the observer of everything", self._observed, log)
        violations += await check_tasks(self._api, self._people, log)
        violations += self._machine.complaints()
        legs = [leg for story in self._people.stories for legs in story.legs.values() for leg in legs]
        seconds = time.monotonic() - self._began
        return Outcome(
            seed=self._seed,
            violations=violations,
            dumps=dumps,
            figures={"seconds": round(seconds, 1), "events": len(log)}
            | figures(self._people.stories, legs + self._observed, self._api.traffic, self._machine.faults),
        )

    async def _play_and_strike(self) -> None:
        rng = Random(self._seed)
        scripts = iter([write_script(rng) for _ in range(self._size.runs)])

        async def play_on() -> None:
            for script in scripts:
                await self._people.play(script)
                async with self._progress:
                    self._played += 1
                    self._progress.notify_all()

        async with asyncio.TaskGroup() as group:
            group.create_task(wreak(self._machine, self._size.kills - 1, self._size.stops, self._reached, rng))
            for _ in range(self._size.at_once):
                group.create_task(play_on())

    async def _reached(self, share: float) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self._played >= share * self._size.runs)


def _dump(story: Story) -> str:
    """Return what is needed to understand a violation, and no more."""
    lines = [f"run {story.run_id}: {story.script}"]
    lines += [
        f"  {event['sequence']:>3} {event['timestamp']} {event['type']} -> {event['status']}: {event['message']}"
        for event in story.events
    ]
    lines += [f"  {ack.mutation} {ack.input} -> {ack.code or 'ok'}" for ack in story.acks]
    for name, legs in story.legs.items():
        for leg in legs:
            sequences = [event["sequence"] for event in leg.events]
            lines.append(f"  {name} {leg.transport} after {leg.after}: {sequences} {leg.end} {leg.detail}")
    return "\n".join(lines)


def main() -> int:
    """Run a storm from the command line; the exit code says whether all promises were kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--kills", type=int, default=30, help="at least 1, for the one at the end")
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None, help="write the figures here as well")
    args = parser.parse_args()
    size = Size(runs=args.runs, at_once=args.at_once, kills=args.kills, stops=args.stops)
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(storm(size, Path(folder), seed=args.seed))
    print(outcome.report())
    if args.json is not None:
        result = {"violations": len(outcome.violations), "seed": outcome.seed, **outcome.figures}
        args.json.write_text(json.dumps(result, indent=2))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
