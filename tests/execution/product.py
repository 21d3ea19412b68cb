"""The product's schema over a store that holds something of every kind."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from graphql import GraphQLSchema

from domain import commands as c
from domain.codec import to_json_object
from domain.events import EventType, TaskUpdated
from domain.fold import RunState
from domain.model import ANONYMOUS, LogLevel, RunStatus
from domain.store import AllScope
from graph.context import Context, Services
from graph.schema import build_schema
from storage.migrate import migrate
from storage.store import SqliteSettings, open_store
from tests.contract.world import SetClock, World, artifact_of, log_line, metric, run_deleted, task_deleted, task_event
from tests.schema.support import Api
from tests.unit.lives import ARTIFACT, CANCEL, CHANGE, METRIC, NOON, WAYS, carried, deliver, line

LATER: Final = NOON + timedelta(hours=1)
SCHEMA: Final[GraphQLSchema] = build_schema()._schema


@dataclass(frozen=True)
class Product:
    """What requests are answered from.

    Attributes:
        ids: Of what there is.
    """

    services: Services
    ids: Sequence[str]

    def context(self) -> Context:
        """Make the context of an operation."""
        return Context(services=self.services, principal=ANONYMOUS, request_id="request-1")


_SPOILED: Final = (
    *("UPDATE runs SET status = 'ODD' WHERE number = 2", "UPDATE runs SET progress = 'much' WHERE number = 3"),
    *("UPDATE runs SET priority = 1099511627776 WHERE number = 4", "UPDATE runs SET config = '{' WHERE number = 5"),
    *("UPDATE runs SET created_at = 'then' WHERE number = 6", "UPDATE runs SET task_id = 'gone' WHERE number = 7"),
    *("UPDATE runs SET labels = 'null' WHERE number = 8", "UPDATE runs SET progress = 9e999 WHERE number = 9"),
    *("UPDATE tasks SET team = x'ff' WHERE name = 'Empty'", "UPDATE metrics SET labels = '[1]' WHERE value = 1.0"),
    *("UPDATE steps SET status = 'ODD' WHERE key = 'b'", "UPDATE events SET data = '{}' WHERE pos % 7 = 0"),
    *("UPDATE events SET sequence = 'first' WHERE pos = 6", "UPDATE events SET timestamp = 'then' WHERE pos = 12"),
)


def spoil(folder: Path) -> None:
    """Put what can't be into the database in a folder."""
    with closing(sqlite3.connect(folder / "mgx.db")) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in _SPOILED:
            assert connection.execute(statement).rowcount > 0, statement


@asynccontextmanager
async def product(folder: Path) -> AsyncIterator[Product]:
    """Open a store in a folder and fill it."""
    migrate(folder / "mgx.db")
    clock = SetClock()
    async with open_store(
        f"sqlite+aiosqlite:///{folder / 'mgx.db'}",
        clock=clock,
        on_commit=lambda _: None,
        settings=SqliteSettings(synchronous="NORMAL"),
    ) as store:
        ids = await _fill(World(store, clock))
        yield Product(replace(Api().context.services, store=store), ids)


async def _fill(world: World) -> list[str]:
    sales = await world.add_task(name="Sales", config={"region": ["north", {"deep": None}]}, labels=("a", "b"))
    empty = await world.add_task(name="Empty")
    runs = [await _live(world, sales, number, status) for number, status in enumerate(RunStatus, 1)]
    first = runs[0].run
    runs.append(await world.add_run(sales, len(runs) + 1, plan=carried(), retry_of=runs[-1].run.id))
    runs.append(await world.add_run(sales, len(runs) + 1, retry_of="run_that_is_gone"))
    runs.append(await _live(world, sales, len(runs) + 1, RunStatus.RUNNING))
    await world.do(
        runs[-1].run.id,
        c.FinishStep(key="a", output="3"),
        c.WriteLog(lines=(line("Careful."), line("Done."))),
        c.RecordMetrics(metrics=(METRIC,)),
        c.StoreArtifact(artifact=ARTIFACT),
        CANCEL,
    )
    runs.append(await _live(world, sales, len(runs) + 1, RunStatus.AWAITING_APPROVAL))
    await world.do(runs[-1].run.id, CHANGE, c.Claim(owner="w", lease_until=None), deliver("abd"))
    runs.append(await world.add_run(sales, len(runs) + 1))
    await world.do(runs[-1].run.id, c.Claim(owner="w1", lease_until=NOON))
    world.clock.time = LATER
    await world.do(runs[-1].run.id, c.Claim(owner="w2", lease_until=None))
    samples = [metric(of, value) for of in (sales, first) for value in (1.0, 2.5)]
    updated = to_json_object(TaskUpdated(task=sales, changed_fields=("name",)))
    about_tasks = [task_event(sales), task_event(sales, type=EventType.TASK_UPDATED, data=updated)]
    await world.keep(*samples, *about_tasks, run_deleted(first), task_deleted(empty))
    await world.keep_lines(first, *(log_line(number, level) for number, level in enumerate(LogLevel, 1)))
    made = await world.keep_artifact(artifact_of(first, b"Hello."), b"Hello.")
    return [sales.id, empty.id, made.id, *(state.run.id for state in runs), *(sample.id for sample in samples)]


async def _live(world: World, of: Any, number: int, status: RunStatus) -> RunState:
    """Have a run that has come to a status."""
    state = await world.add_run(of, number)
    world.clock.time = NOON
    if WAYS[status]:
        state = await world.do(state.run.id, *WAYS[status])
    if status is RunStatus.TIMEOUT:
        world.clock.time = LATER
        state = await world.do(state.run.id, c.Expire())
    return state


async def event_types(product: Product) -> set[EventType]:
    """Return of which types there are events."""
    async with product.services.store.read(ANONYMOUS) as tx:
        return {event.type for event in await tx.events.after(AllScope(), 0, limit=1000)}
