"""A whole engine on a real database, with teams that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from domain.crew import WorkEngine
from domain.errors import InvalidInputError, TeamError
from domain.events import Event, EventType
from domain.executor import Executor
from domain.feed import Feed
from domain.ids import IdFactory
from domain.model import ANONYMOUS, JsonObject, PlanStep, Run, Task
from domain.plan import PlanDraft
from domain.ports import ExecutionContext, PlanContext, Team, TeamInfo, Teams
from domain.runner import Runner
from domain.services.changes import RunChanges
from domain.services.inputs import NewRun, NewTask
from domain.services.metrics import MetricService
from domain.services.runs import RunService
from domain.services.tasks import TaskService
from domain.services.work import WorkService
from domain.signals import Signal, StepFinished, StepStarted
from domain.store import RunScope, Store
from domain.tracing import NO_TRACER, Tracer
from domain.worker import Worker
from graph.clock import SystemClock
from storage.bell import open_bell
from storage.postgres_schema import postgres_url
from storage.queue import open_queue
from storage.store import open_store

Execute: TypeAlias = Callable[[ExecutionContext], AsyncIterator[Signal]]
Planning: TypeAlias = Callable[[PlanContext], AsyncIterator[Signal]]


def draft(*keys: str, summary: str = "Do it") -> PlanDraft:
    return PlanDraft(summary=summary, steps=tuple(PlanStep(key=key, title=key.title()) for key in keys))


async def plan_two(_: PlanContext) -> AsyncIterator[Signal]:
    yield draft("one", "two")


async def do_all(context: ExecutionContext) -> AsyncIterator[Signal]:
    for step in context.plan.steps:
        if not step.status.is_final:
            yield StepStarted(key=step.key)
            yield StepFinished(key=step.key, output={"did": step.key})


@dataclass
class Script:
    """A team: how it plans, how it executes."""

    plan: Planning = plan_two
    execute: Execute = do_all


class ScriptedTeams:
    """A `domain.ports.Teams` of scripts."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts

    def describe(self) -> Sequence[TeamInfo]:
        return [TeamInfo(name=name, description="A script.", config_schema={}) for name in sorted(self.scripts)]

    def validate(self, name: str, config: JsonObject, /) -> None:
        if name not in self.scripts:
            raise InvalidInputError(f"There is no team {name!r}.", path=("team",))
        if config.get("bad"):
            raise InvalidInputError("Bad must not be true.", path=("config", "bad"))

    def create(self, name: str, _config: JsonObject, /) -> Team:
        if name not in self.scripts:
            raise TeamError(f"The team {name!r} is not registered on this server.", code="TEAM_UNAVAILABLE")
        script: Any = self.scripts[name]
        return script  # type: ignore[no-any-return]  # a script has both methods as attributes


@dataclass
class Engine:
    """Everything but transports."""

    store: Store
    feed: Feed
    queue: WorkEngine
    work: WorkService
    tasks: TaskService
    runs: RunService
    metrics: MetricService

    async def task(self, **fields: Any) -> Task:
        return await self.tasks.create(ANONYMOUS, NewTask(**{"name": "A task", "team": "script"} | fields))

    async def start(self, task: Task, **fields: Any) -> Run:
        return await self.runs.create(ANONYMOUS, NewRun(task_id=task.id, **fields))

    async def run(self, run_id: str) -> Run:
        async with self.store.read(ANONYMOUS) as tx:
            return (await tx.runs.many([run_id]))[run_id]

    async def until(self, run_id: str, *types: EventType) -> list[Event]:
        """Return a run's events up to the first of these types, or all when none is given."""
        seen: list[Event] = []
        async with asyncio.timeout(30), aclosing(self.feed.follow(ANONYMOUS, RunScope(run_id))) as batches:
            async for events in batches:
                for event in events:
                    seen.append(event)
                    if event.type in types:
                        return seen
        return seen

    async def approve(self, run_id: str) -> Run:
        return await self.runs.review(ANONYMOUS, run_id, approved=True, feedback=None, plan_version=None)


def database_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


@asynccontextmanager
async def open_engine(
    path: Path,
    teams: Teams | None = None,
    *,
    slots: int = 8,
    grace: float = 5.0,
    silence: float = 60.0,
    owner: str = "worker",
    working: bool = True,
    tracer: Tracer = NO_TRACER,
    lease: timedelta = timedelta(seconds=30),
    shutdown_grace: float = 0.0,
    queues: Collection[str] | None = None,
) -> AsyncGenerator[Engine]:
    teams = teams or ScriptedTeams(script=Script())
    clock, ids, url = SystemClock(), IdFactory(), database_url(path)
    async with AsyncExitStack() as stack:
        bell = await stack.enter_async_context(open_bell())

        def deliver(events: Sequence[Event]) -> None:
            feed.publish(events)
            bell.ring(events[-1].pos)

        store = await stack.enter_async_context(open_store(url, clock=clock, on_commit=deliver))
        feed = Feed(store, bell, clock)
        await stack.enter_async_context(feed.serve())
        server = postgres_url(url)
        runner: WorkEngine
        if server is None:
            runner = Runner(slots=slots, grace=shutdown_grace)
        else:
            worker = Worker(slots=slots, lease=lease, grace=shutdown_grace, teams=queues)
            runner = await stack.enter_async_context(open_queue(server, worker))
        changes = RunChanges(runner, tracer)
        work = WorkService(store, changes)
        executor = Executor(
            work,
            teams,
            ids,
            clock,
            owner=owner,
            lease=None if server is None else lease,
            stop_grace=timedelta(seconds=grace),
            silence=timedelta(seconds=silence),
            max_artifact_bytes=1000,
            max_run_artifact_bytes=1500,
            tracer=tracer,
        )
        if working:
            await stack.enter_async_context(runner.serve(work, executor))
        yield Engine(
            store=store,
            feed=feed,
            queue=runner,
            work=work,
            tasks=TaskService(store, runner, teams, ids, default_team="script"),
            runs=RunService(store, changes, teams, ids, cancel_grace=timedelta(seconds=grace)),
            metrics=MetricService(store, changes, ids),
        )


def types(events: Sequence[Event]) -> list[str]:
    return [event.type.value for event in events]
