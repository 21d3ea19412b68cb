"""A store to try things on, and things to put into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any, Final

from domain import commands as c
from domain.codec import to_json_object
from domain.events import Event, EventType, RunDeleted, TaskCreated, TaskDeleted
from domain.fold import RunState
from domain.ids import IdFactory, Kind
from domain.lifecycle import create, decide_all
from domain.model import ANONYMOUS, ENGINE, Artifact, LogLevel, LogLine, Metric, Plan, Principal, Run, Task
from domain.store import Store

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
ids: Final = IdFactory()


@dataclass
class SetClock:
    """A clock that stands where it is put."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time


def task(**fields: Any) -> Task:
    values = {"id": ids.new(Kind.TASK), "tenant": "default", "name": "Sales", "team": "rehearsal"}
    return Task(**{**values, "created_at": NOON, "updated_at": NOON, **fields})


def run(of: Task, number: int = 1, **fields: Any) -> Run:
    values = {"id": ids.new(Kind.RUN), "tenant": of.tenant, "task_id": of.id, "number": number, "team": of.team}
    return Run(**{**values, "created_at": NOON, **fields})


def metric(of: Task | Run, value: float = 1.0, **fields: Any) -> Metric:
    owner = {"task_id": of.task_id, "run_id": of.id} if isinstance(of, Run) else {"task_id": of.id}
    values = {"id": ids.new(Kind.METRIC), "tenant": of.tenant, "name": "rows", "value": value, "timestamp": NOON}
    return Metric(**{**values, **owner, **fields})


def artifact(of: Run, **fields: Any) -> Artifact:
    values = {"id": ids.new(Kind.ARTIFACT), "tenant": of.tenant, "task_id": of.task_id, "run_id": of.id}
    given = {"name": "report.md", "media_type": "text/markdown", "size": 0, "sha256": "ab", "created_at": NOON}
    return Artifact(**{**values, **given, **fields})


def artifact_of(of: Run, content: bytes, **fields: Any) -> Artifact:
    """The artifact that has these bytes."""
    return artifact(of, size=len(content), sha256=sha256(content).hexdigest(), **fields)


def log_line(number: int, level: LogLevel = LogLevel.INFO, *, step: str | None = None) -> LogLine:
    return LogLine(number=number, level=level, message=f"Line {number}", step=step, timestamp=NOON)


_numbers: Final = count(1)


def task_event(of: Task, **fields: Any) -> Event:
    """An event of the task alone."""
    values = {"type": EventType.TASK_CREATED, "data": to_json_object(TaskCreated(task=of))}
    given = {"id": f"event_{next(_numbers)}", "timestamp": NOON, "message": "It was created."}
    return Event(**{**given, **values, "tenant": of.tenant, "task_id": of.id, **fields})


def run_deleted(of: Run) -> Event:
    data = to_json_object(RunDeleted(number=of.number))
    return Event(
        id=f"event_{next(_numbers)}",
        type=EventType.RUN_DELETED,
        timestamp=NOON,
        message="It was deleted.",
        data=data,
        tenant=of.tenant,
        task_id=of.task_id,
        run_id=of.id,
    )


def task_deleted(of: Task) -> Event:
    return task_event(of, type=EventType.TASK_DELETED, data=to_json_object(TaskDeleted(name=of.name)))


@dataclass
class World:
    """A store, its clock, and what it delivered: a batch for each commit."""

    store: Store
    clock: SetClock
    delivered: list[Sequence[Event]] = field(default_factory=list)

    async def add_task(self, **fields: Any) -> Task:
        """Keep a task, without an event."""
        made = task(**fields)
        async with self.store.write(ANONYMOUS) as tx:
            await tx.tasks.insert(made)
        return made

    async def add_run(self, of: Task, number: int = 1, *, plan: Plan | None = None, **fields: Any) -> RunState:
        """Keep a run as it is given, with the event that it was created."""
        given = run(of, number, **fields)
        made = create(given, given.created_at, plan=plan)
        async with self.store.write(ANONYMOUS) as tx:
            await tx.runs.insert(made.state)
            await tx.events.append(made.events)
        return made.state

    async def do(self, run_id: str, *commands: c.Command) -> RunState:
        """Do something to a run, each command in a transaction of its own."""
        for command in commands:
            async with self.store.write(ENGINE) as tx:
                before = await tx.runs.lock(run_id)
                assert before is not None
                after = decide_all(before, (command,), await tx.now())
                await tx.runs.save(before, after.state)
                await tx.events.append(after.events)
        return after.state

    async def keep(self, *things: Metric | Event) -> None:
        """Keep samples and events, in this order."""
        async with self.store.write(ENGINE) as tx:
            await tx.metrics.add([thing for thing in things if isinstance(thing, Metric)])
            await tx.events.append([thing for thing in things if isinstance(thing, Event)])

    async def keep_lines(self, run: Run, *lines: LogLine) -> None:
        """Keep lines of a run's log."""
        async with self.store.write(ENGINE) as tx:
            await tx.runs.add_lines(run, lines)

    async def keep_artifact(self, made: Artifact, content: bytes | None) -> Artifact:
        """Keep an artifact with its bytes."""
        async with self.store.write(ENGINE) as tx:
            await tx.runs.add_artifact(made, content)
        return made

    async def state(self, run_id: str, principal: Principal = ENGINE) -> RunState | None:
        """Return what the database says of a run."""
        async with self.store.write(principal) as tx:
            return await tx.runs.lock(run_id)
