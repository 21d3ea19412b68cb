"""The people around the runs: they start them, decide on their plans, cancel them and try again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from random import Random

from tests.long.api import SAMPLE, Api, UnexpectedAnswerError
from tests.long.net import Net
from tests.long.records import Ack, Event, Json, Script, Story, Watch
from tests.long.subscriber import Subscriber, run_events

SUBSCRIBERS = (("ws",), ("sse",), ("ws", "sse"))
QUIET_SECONDS = 180.0
"""How long nothing new may be seen of a run; one of many in a queue waits for those before it."""

TASKS: dict[str, Json] = {
    "plain": {},
    "expires": {"approvalTimeout": 1},
    "goes-on": {"approvalTimeout": 1, "onApprovalTimeout": "APPROVE"},
    "queue": {"concurrency": "QUEUE"},
    "newest": {"concurrency": "CANCEL_PREVIOUS"},
}
"""What the storm's tasks have beside the defaults."""

_PLAN = "query ($id: ID!) { run(id: $id) { plan { version digest } } }"


def write_script(rng: Random) -> Script:
    """Make up what will happen around a run."""
    task = rng.choices(tuple(TASKS), weights=(70, 8, 8, 7, 7))[0]
    steps = rng.randint(1, 4)
    config = {
        "steps": steps,
        "stepSeconds": rng.choice((0, 0.05, 0.2, 0.5)),
        "planSeconds": rng.choice((0, 0.05, 0.3)),
        "logsPerStep": rng.choice((0, 1, 5)),
        "metricsPerStep": rng.choice((0, 1, 3)),
        "artifactsPerStep": rng.choice((0, 0, 1)),
        "failAt": rng.choice((None,) * 9 + (steps,)),
    }
    waits = task not in {"expires", "goes-on"}
    return Script(
        task=task,
        config=config,
        auto_approve=rng.random() < 0.1,
        priority=rng.choice((-10, 0, 0, 0, 10)),
        revisions=rng.choices((0, 1, 2), weights=(70, 20, 10))[0] if waits else 0,
        verdict=rng.choices(("APPROVE", "REJECT", "RACE"), weights=(76, 10, 14))[0]
        if waits
        else rng.choice(("LEAVE", "LEAVE", "APPROVE")),
        cancel_at=rng.randint(1, 10) if rng.random() < 0.15 else None,
        sample=rng.random() < 0.2,
        stale=rng.random() < 0.15,
        retry=rng.choice((None, "whole", "last step")),
    )


class People:
    """Play scripts against the API and write down what came of it."""

    def __init__(self, api: Api, net: Net, rng: Random) -> None:
        self.tasks: dict[str, str] = {}
        self.stories: list[Story] = []
        self.complaints: list[str] = []
        self._api = api
        self._net = net
        self._rng = rng
        self._keys: Iterator[str] = (f"storm-{rng.getrandbits(48):x}-{number}" for number in count())

    async def make_tasks(self) -> None:
        """Create the storm's tasks."""
        for name, values in TASKS.items():
            input_ = {"name": f"Storm {name}", "team": "rehearsal", "idempotencyKey": next(self._keys), **values}
            document = (
                "mutation ($i: CreateTaskInput!) { createTask(input: $i) { task { id } userErrors { message } } }"
            )
            payload = (await self._api.query(document, i=input_))["createTask"]
            self.tasks[name] = payload["task"]["id"]

    async def play(self, script: Script) -> None:
        """Take a run, and the retry of it if there is one, from its start to its end."""
        input_ = {
            "taskId": self.tasks[script.task],
            "config": script.config,
            "autoApprove": script.auto_approve,
            "priority": script.priority,
            "idempotencyKey": next(self._keys),
        }
        story = await self._live(script, await self._api.mutate("createRun", "CreateRunInput", input_))
        if story is None or script.retry is None:
            return
        retry: Json = {"runId": story.run_id, "idempotencyKey": next(self._keys)}
        if script.retry == "last step":
            retry["fromStep"] = f"step-{script.config['steps']}"
        created = await self._api.mutate("retryRun", "RetryRunInput", retry)
        story.acks.append(created)
        if created.code is None:
            await self._live(replace(script, retry=None, cancel_at=None, verdict="APPROVE"), created)

    async def _live(self, script: Script, created: Ack) -> Story | None:
        """Follow a run with three subscribers while people act on it."""
        if created.run_id is None:
            self.complaints.append(f"P1 {created.mutation} was refused with {created.code}: {created.input}")
            return None
        watch = Watch()
        story = Story(run_id=created.run_id, script=script, created=created)
        self.stories.append(story)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(QUIET_SECONDS) as patience, asyncio.TaskGroup() as group:

                def notice(event: Event) -> None:
                    if watch.notice(event):
                        patience.reschedule(loop.time() + QUIET_SECONDS)

                group.create_task(self._act(story, watch))
                for number, transports in enumerate(SUBSCRIBERS, 1):
                    rng = Random(self._rng.random())
                    subscriber = Subscriber(run_events(story.run_id), transports, self._net, rng, notice)
                    story.legs[f"subscriber {number}"] = subscriber.legs
                    group.create_task(subscriber.follow())
        except TimeoutError:
            self.complaints.append(f"P6 nothing was seen of run {story.run_id} for {QUIET_SECONDS:.0f} s")
        return story

    async def _act(self, story: Story, watch: Watch) -> None:
        script = story.script
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._review(story, watch))
                if script.sample:
                    group.create_task(self._add_sample(story))
                if script.cancel_at is not None:
                    group.create_task(self._cancel(story, watch, script.cancel_at))
        except* UnexpectedAnswerError as errors:
            self.complaints += [f"P1 run {story.run_id}: {error}" for error in errors.exceptions]

    async def _review(self, story: Story, watch: Watch) -> None:
        script = story.script
        if script.verdict == "LEAVE":
            return
        for version in range(1, script.revisions + 2):
            await watch.until_asked(version)
            plan = (await self._api.query(_PLAN, id=story.run_id))["run"]["plan"]
            if watch.ended or plan["version"] != version:
                return
            if script.stale:
                await self._decide(story, {"approved": True, "planVersion": 999}, plan["digest"])
            if version <= script.revisions:
                feedback = f"Once more, {version}: {next(self._keys)}"
                await self._send_back(story, {"planVersion": version, "feedback": feedback}, plan["digest"])
        verdicts = {"APPROVE": [True], "REJECT": [False], "RACE": [True, False]}[script.verdict]
        async with asyncio.TaskGroup() as group:
            for approved in verdicts:
                input_ = {"approved": approved, "planVersion": version}
                group.create_task(self._decide(story, input_, plan["digest"]))

    async def _decide(self, story: Story, values: Json, shown: str) -> None:
        input_ = {"runId": story.run_id, "idempotencyKey": next(self._keys), **values}
        story.acks.append(await self._api.mutate("approveRun", "ApproveRunInput", input_, shown=shown))

    async def _send_back(self, story: Story, values: Json, shown: str) -> None:
        input_ = {"runId": story.run_id, "idempotencyKey": next(self._keys), **values}
        ack = await self._api.mutate("requestPlanChanges", "RequestPlanChangesInput", input_, shown=shown)
        story.acks.append(ack)

    async def _cancel(self, story: Story, watch: Watch, after: int) -> None:
        await watch.until(lambda: len(watch.seen) >= after or watch.ended)
        input_ = {"runId": story.run_id, "reason": "The storm says so."}
        story.acks.append(await self._api.mutate("cancelRun", "CancelRunInput", input_))

    async def _add_sample(self, story: Story) -> None:
        document = """mutation ($i: CreateMetricsInput!) {
          createMetrics(input: $i) { metrics { id } userErrors { code message } } }"""
        input_ = {
            "runId": story.run_id,
            "metrics": [{"name": SAMPLE, "value": 1.5}],
            "idempotencyKey": next(self._keys),
        }
        payload = (await self._api.query(document, i=input_))["createMetrics"]
        code = payload["userErrors"][0]["code"] if payload["userErrors"] else None
        story.acks.append(Ack(mutation="createMetrics", input=input_, code=code, run_id=story.run_id))
