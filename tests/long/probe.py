"""A heartbeat through a cluster: what is told to one API process is awaited from another, over and over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

import httpx

from tests.long.api import REST, Api
from tests.long.members import ApiMember
from tests.long.net import Net
from tests.long.records import Event, Json
from tests.long.streams import LostError, SilentError, SocketStream
from tests.long.subscriber import run_events

PAUSE: Final = 0.2
"""Seconds between what comes and what is said next, at most."""

_TASK: Final = """mutation ($name: String!) { createTask(
  input: {name: $name, team: "rehearsal", approvalTimeout: 86400}) { task { id } userErrors { message } } }"""
_RUN: Final = """mutation ($task: ID!) { createRun(input: {taskId: $task, config: {planSeconds: 0}}) {
  run { id } userErrors { message } } }"""
_SAY: Final = """mutation ($i: CreateMetricsInput!) { createMetrics(input: $i) {
  metrics { id } userErrors { message } } }"""


@dataclass(frozen=True, slots=True)
class Beat:
    """One thing that was said and heard.

    Attributes:
        way: Names of the processes.
        said: When the request was sent first, in seconds since 1970.
        heard: When the frame came.
    """

    way: str
    said: float
    heard: float

    @property
    def seconds(self) -> float:
        return self.heard - self.said


@dataclass(slots=True)
class Pulse:
    """All that was said and heard, in the order in which it was heard."""

    beats: list[Beat] = field(default_factory=list)

    def within(self, since: float, until: float) -> list[float]:
        """Return how long what was said in a time took to be heard."""
        return [beat.seconds for beat in self.beats if since <= beat.said <= until]

    def back_after(self, at: float) -> float:
        """Return how long after a moment something had been heard on every way."""
        ways = {beat.way for beat in self.beats}
        return max(next(beat.heard - at for beat in self.beats if beat.way == way and beat.heard > at) for way in ways)


@asynccontextmanager
async def pulse(
    apis: Sequence[ApiMember], http: httpx.AsyncClient, rng: Random, *, pause: float = PAUSE, is_mutual: bool = True
) -> AsyncGenerator[Pulse]:
    """Have a heartbeat between each process and the next while the block runs.

    Args:
        apis: The processes.
        http: What requests are sent by.
        rng: Says when.
        pause: See `PAUSE`.
        is_mutual: Whether the last one speaks as well, to the first. One who speaks looks at the log more often.
    """
    found = Pulse()
    async with asyncio.TaskGroup() as group:
        pairs = list(zip(apis, [*apis[1:], apis[0]], strict=True))
        ways = [_Way(speaker, listener, http, rng, found) for speaker, listener in pairs[: None if is_mutual else -1]]
        await asyncio.gather(*(way.open() for way in ways))
        tasks = [group.create_task(work) for way in ways for work in (way.listen(), way.speak(pause))]
        try:
            yield found
        finally:
            for task in tasks:
                task.cancel()


class _Way:
    """From one process to another, about a run of its own that waits for its approval."""

    def __init__(
        self, speaker: ApiMember, listener: ApiMember, http: httpx.AsyncClient, rng: Random, pulse: Pulse
    ) -> None:
        self._rng = rng
        self._name = f"{speaker.name} to {listener.name}"
        self._api = Api(Net(speaker, http), rng)
        self._listener = listener
        self._pulse = pulse
        self._run_id = ""
        self._heard: dict[float, asyncio.Event] = {}

    async def open(self) -> None:
        task = (await self._api.query(_TASK, name=f"Pulse {self._name}"))["createTask"]["task"]
        self._run_id = (await self._api.query(_RUN, task=task["id"]))["createRun"]["run"]["id"]

    async def speak(self, pause: float) -> None:
        number = 0.0
        while True:
            number += 1
            heard = self._heard[number] = asyncio.Event()
            said = time.time()
            await self._api.query(_SAY, i=self._words(number))
            await heard.wait()
            self._pulse.beats.append(Beat(self._name, said, time.time()))
            await asyncio.sleep(self._rng.uniform(0.0, pause))

    async def listen(self) -> None:
        subject, after = run_events(self._run_id), None
        while True:
            try:
                url = await self._listener.url()
                stream = await SocketStream.open(url, subject.document, {**subject.variables, "after": after})
                try:
                    while (data := await stream.next()) is not None:
                        after = data[subject.field]["cursor"]
                        self._notice(data[subject.field])
                finally:
                    await stream.close(abruptly=True)
            except (LostError, SilentError):
                await asyncio.sleep(REST)

    def _words(self, number: float) -> Json:
        key = f"pulse {self._run_id} {number:g}"
        return {"runId": self._run_id, "metrics": [{"name": "pulse", "value": number}], "idempotencyKey": key}

    def _notice(self, event: Event) -> None:
        for metric in event["data"].get("metrics", ()):
            self._heard[metric["value"]].set()
