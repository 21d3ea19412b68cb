"""One event of each type, made by the domain itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from domain import commands as c
from domain.codec import to_json_object
from domain.events import Event, EventType, RunDeleted, TaskCreated, TaskDeleted, TaskPayload, TaskUpdated
from domain.model import LogLevel, RunStatus, Task
from tests.unit.lives import ARTIFACT, CANCEL, CHANGE, METRIC, NOON, Life, at, deliver, line

TASK = Task(id="task_1", tenant="default", name="Sales", team="rehearsal", created_at=NOON, updated_at=NOON)


def events() -> dict[EventType, Event]:
    """An example of each type; together they are no story."""
    return {event.type: event.at(pos) for pos, event in enumerate(_told(), 100)}


def _told() -> Iterator[Event]:
    for status in RunStatus:
        yield from at(status).transition.events
    yield from Life().transition.events
    yield from Life().do(c.Claim(owner="w", lease_until=None)).events
    yield from at(RunStatus.ANALYZING).do(deliver()).events
    yield from at(RunStatus.AWAITING_APPROVAL).do(CHANGE).events
    yield from at(RunStatus.AWAITING_APPROVAL).do(c.Review(approved=True, feedback="Go.", actor="ann")).events
    yield from at(RunStatus.RUNNING).do(CANCEL).events
    yield from at(RunStatus.RUNNING).do(c.FinishStep(key="a", output=3)).events
    reports = (
        c.WriteLog(lines=(replace(line("Careful."), level=LogLevel.WARNING, step="a"), line("Done."))),
        c.RecordMetrics(metrics=(METRIC,)),
        c.StoreArtifact(artifact=ARTIFACT),
    )
    yield from at(RunStatus.RUNNING).do(*reports).events
    yield from _taken_over()
    yield _of_task(EventType.TASK_CREATED, TaskCreated(task=TASK))
    yield _of_task(EventType.TASK_UPDATED, TaskUpdated(task=TASK, changed_fields=("name", "maxRounds")))
    yield _of_task(EventType.TASK_DELETED, TaskDeleted(name="Sales"))
    yield replace(_of_task(EventType.RUN_DELETED, RunDeleted(number=1)), run_id="run_1")


def _taken_over() -> tuple[Event, ...]:
    life = Life()
    life.do(c.Claim(owner="w1", lease_until=NOON + timedelta(seconds=10)))
    return life.do(c.Claim(owner="w2", lease_until=None), after=60).events


def _of_task(type_: EventType, payload: TaskPayload) -> Event:
    return Event(
        id=f"event_{type_}",
        type=type_,
        timestamp=NOON,
        message="Something happened.",
        data=to_json_object(payload),
        tenant="default",
        task_id="task_1",
    )
