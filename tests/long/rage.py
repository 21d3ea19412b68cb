"""Runs with subscribers and people around them, for as long as something strikes, and the judgement of what is left.

What strikes, and what is struck, is the caller's: this uses the public API alone and checks the promises to users
(P1 to P7) from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from tests.long.api import Api
from tests.long.figures import figures
from tests.long.net import Net
from tests.long.people import People, write_script
from tests.long.records import Event, Json, Leg, Story
from tests.long.rules_of_streams import check_legs
from tests.long.subscriber import Subscriber, all_events
from tests.long.truth import check_artifacts, check_story, check_tasks, read_log, read_story

CURTAIN_SECONDS = 60.0
"""How long the observer of everything may take to see the last event."""

_CURTAIN = "mutation ($name: String!) { createTask(input: {name: $name}) { userErrors { message } } }"

Reached: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits until the runs are so far, 0..1."""

Strike: TypeAlias = Callable[[Reached], Coroutine[Any, Any, None]]
"""Strikes all blows, spread over the runs."""


Rule: TypeAlias = Callable[[Story], Iterable[str]]
"""Says what is wrong with a run."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much happens.

    Attributes:
        runs: Runs that are created at least, and more while blows are still to come; their retries come on top.
        at_once: Runs that people look after at one time.
    """

    runs: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found.

    Attributes:
        violations: Every promise that was broken.
        dumps: What is needed to understand them, a run each.
        stories: All runs.
        log: Everything that happened, in the order of the log.
        figures: How much happened.
    """

    violations: list[str]
    dumps: list[str]
    stories: list[Story]
    log: list[Event]
    figures: Json


class Rage:
    """One storm, from its first run to the judgement."""

    def __init__(self, load: Load, net: Net, seed: int) -> None:
        self._load = load
        self._net = net
        self._seed = seed
        self._api = Api(net, Random(seed + 1))
        self._people = People(self._api, net, Random(seed + 2))
        self._observed: list[Leg] = []
        self._start = ""
        self._played = 0
        self._progress = asyncio.Condition()

    async def run(self, strike: Strike) -> None:
        """Play scripts while the blows are struck, and somebody observes everything."""
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
            await self._play_and_strike(strike)
            await self._api.query(_CURTAIN, name=curtain)
            async with asyncio.timeout(CURTAIN_SECONDS):
                await observing

    async def judge(self, *rules: Rule, is_odd: Callable[[Story], bool] = lambda _: False) -> Judgement:
        """Read what the servers say now, and compare it with everything that was seen.

        Args:
            rules: Further ones that each run must keep.
            is_odd: Tells of a run that broke no promise whether somebody may want to look at it.
        """
        violations, dumps = list(self._people.complaints), []
        log = await read_log(self._api, self._start)
        for story in self._people.stories:
            await read_story(self._api, story)
            complaints = [*check_story(story), *await check_artifacts(self._api, story)]
            complaints += [complaint for rule in rules for complaint in rule(story)]
            if complaints or is_odd(story):
                violations += [f"{complaint} (run {story.run_id})" for complaint in complaints]
                dumps.append(dump(story))
        violations += check_legs("the observer of everything", self._observed, log)
        violations += await check_tasks(self._api, self._people, log)
        legs = [leg for story in self._people.stories for legs in story.legs.values() for leg in legs]
        return Judgement(
            violations=violations,
            dumps=dumps,
            stories=self._people.stories,
            log=log,
            figures={"events": len(log)} | figures(self._people.stories, legs + self._observed, self._api.traffic),
        )

    async def _play_and_strike(self, strike: Strike) -> None:
        rng = Random(self._seed)
        begun = 0

        async def play_on() -> None:
            nonlocal begun
            while begun < self._load.runs or not striking.done():
                begun += 1
                await self._people.play(write_script(rng))
                async with self._progress:
                    self._played += 1
                    self._progress.notify_all()

        async with asyncio.TaskGroup() as group:
            striking = group.create_task(strike(self._reached))
            for _ in range(self._load.at_once):
                group.create_task(play_on())

    async def _reached(self, share: float) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self._played >= share * self._load.runs)


def dump(story: Story) -> str:
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
