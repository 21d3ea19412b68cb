"""Commits a second, beside plain sqlite3 that executes the same statements with the same guarantees.

What is written is noted once, from one writer alone; then each round writes it three times, each on a copy of the same
database: by us one by one, by us with many at once, and by plain sqlite3 with a commit for each of our transactions.
Over HTTP the client has another core than the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from benchmarks.client import create_task, http
from benchmarks.replay import Transaction, copied, floor, noted, replayed
from benchmarks.requests import ask, post
from benchmarks.results import Table
from benchmarks.sockets import pin
from domain import commands as c
from domain.ids import IdFactory, Kind
from domain.model import ANONYMOUS, JsonObject, Metric, PlanStep
from domain.plan import PlanDraft
from domain.services.inputs import NewRun, NewTask
from domain.services.runs import RunService
from domain.services.tasks import TaskService
from domain.services.work import Assignment
from graph.backend import Backend, open_backend
from graph.settings import Settings
from tests.servers import running_server

ROUNDS: Final = 5
CREATED: Final = 400
RUNS: Final = 16
STEPS: Final = 10
REPORTS: Final = 30
PIECES: Final = 10
MANY: Final = 16
SECONDS: Final = 2.0

_LONG: Final[JsonObject] = {"planSeconds": 3600}
_CREATE: Final = "mutation ($t: ID!) { createRun(input: {taskId: $t}) { run { id } userErrors { message } } }"

Write: TypeAlias = Callable[[Backend], Awaitable[object]]
Lane: TypeAlias = Sequence[Write]
"""Transactions of one writer, one after the other."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is written.

    Attributes:
        name: For people.
        lanes: Of those who write at once.
    """

    name: str
    lanes: Sequence[Lane]

    @property
    def commits(self) -> int:
        """How many transactions it is."""
        return sum(map(len, self.lanes))


@dataclass(slots=True)
class Figures:
    """Commits a second, a figure for each round; processor time of our whole process for one commit, in ms."""

    raw: list[float] = field(default_factory=list)
    one: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    one_ms: list[float] = field(default_factory=list)
    many_ms: list[float] = field(default_factory=list)


async def measure(folder: Path) -> Table:
    """Measure in process, and over HTTP."""
    database = folder / "mgx.db"
    async with _opened(database) as backend:
        works = await _prepare(backend)
    table = Table(
        f"commits a second, synchronous FULL; medians of {ROUNDS} rounds by turns; raw is sqlite3 with the same "
        "statements, one commit for each of our transactions; shares of raw are those of a round"
    )
    places = (folder / f"{number}" for number in range(1_000_000))
    disk = [floor(copied(database, next(places)), CREATED) for _ in range(ROUNDS)]
    table.row("one number, raw", f"{median(disk):.0f}/s", "what the disk allows")
    table.samples["one number, raw"] = disk
    raws = [Raw(database, places, await _note(work, copied(database, next(places)))) for work in works]
    for work, raw in zip(works, raws, strict=True):
        _tell(table, work.name, await _measure(work, raw))
    await _over_http(table, _folder(next(places)), raws[0])
    return table


@dataclass(frozen=True, slots=True)
class Raw:
    """Plain sqlite3, with what it executes.

    Attributes:
        database: As it was before; each round has its copy.
        places: Where copies go.
        transactions: What is executed.
    """

    database: Path
    places: Iterator[Path]
    transactions: Sequence[Transaction]

    def copy(self) -> Path:
        """Return a fresh copy of the database."""
        return copied(self.database, next(self.places))

    def rate(self) -> float:
        """Execute everything; return the commits a second."""
        return replayed(self.copy(), self.transactions)


async def _measure(work: Work, raw: Raw) -> Figures:
    """Let all write the same by turns."""
    figures = Figures()
    for _ in range(ROUNDS):
        for rates, spent, at_once in ((figures.one, figures.one_ms, False), (figures.many, figures.many_ms, True)):
            rate, seconds = await _write(work, raw.copy(), at_once=at_once)
            rates.append(rate)
            spent.append(1000 * seconds)
        figures.raw.append(raw.rate())
    return figures


async def _note(work: Work, database: Path) -> Sequence[Transaction]:
    async with _opened(database) as backend:
        with noted() as transactions:
            await _one_by_one(work, backend)
    assert len(transactions) == work.commits
    return transactions


async def _write(work: Work, database: Path, *, at_once: bool) -> tuple[float, float]:
    """Write it all; return the commits a second, and the processor time for one in seconds."""
    async with _opened(database) as backend:
        began, used = time.perf_counter(), time.process_time()
        if at_once:
            await asyncio.gather(*(_follow(lane, backend) for lane in work.lanes))
        else:
            await _one_by_one(work, backend)
        return work.commits / (time.perf_counter() - began), (time.process_time() - used) / work.commits


async def _one_by_one(work: Work, backend: Backend) -> None:
    """Write by one writer alone, of each lane in turn, as they would come at once."""
    for place in range(max(map(len, work.lanes))):
        for lane in work.lanes:
            if place < len(lane):
                await lane[place](backend)


async def _follow(lane: Lane, backend: Backend) -> None:
    for write in lane:
        await write(backend)


@asynccontextmanager
async def _opened(database: Path) -> AsyncGenerator[Backend]:
    """Open what a server has below its API; nothing works on runs."""
    settings = Settings(database_url=f"sqlite+aiosqlite:///{database}", database_synchronous="FULL")
    async with open_backend(settings, lambda _: None, slots=1) as backend:
        yield backend


async def _prepare(backend: Backend) -> Sequence[Work]:
    """Make the runs that are written to, and what is written."""
    tasks = TaskService(backend.store, backend.engine, backend.teams, backend.ids, default_team="rehearsal")
    task = await tasks.create(ANONYMOUS, NewTask(name="Benchmark", config=_LONG))
    stepping = [await _running(backend, task.id, STEPS) for _ in range(RUNS)]
    talking = [await _running(backend, task.id, 1) for _ in range(RUNS)]
    for run in talking:
        await backend.work.report(run, [c.StartStep(key="step-1")])
    return (
        Work("createRun", [[_creation(task.id)] * (CREATED // MANY)] * MANY),
        Work("a step's start, middle and end", [_steps(run) for run in stepping]),
        Work("lines, samples, progress", [_telemetry(backend.ids, run) for run in talking]),
    )


async def _running(backend: Backend, task_id: str, steps: int) -> Assignment:
    """Bring a run to where its team executes the plan."""
    runs = RunService(backend.store, backend.changes, backend.teams, backend.ids, cancel_grace=timedelta(seconds=10))
    run = await runs.create(ANONYMOUS, NewRun(task_id=task_id, auto_approve=True))
    taken = await backend.work.claim(run.id, owner=backend.instance, lease=None)
    assert taken is not None
    plan = tuple(PlanStep(key=f"step-{number}", title=f"Do part {number}") for number in range(1, steps + 1))
    deliver = c.DeliverPlan(draft=PlanDraft(summary="The plan", steps=plan), created_by="rehearsal")
    await backend.work.report(taken, [deliver])
    return taken


def _creation(task_id: str) -> Write:
    async def create(backend: Backend) -> None:
        runs = RunService(
            backend.store, backend.changes, backend.teams, backend.ids, cancel_grace=timedelta(seconds=10)
        )
        await runs.create(ANONYMOUS, NewRun(task_id=task_id))

    return create


def _steps(run: Assignment) -> Lane:
    """Report steps as the executor does: the end of one together with the start of the next."""
    reports: list[Sequence[c.WorkerCommand]] = []
    ended: list[c.WorkerCommand] = []
    for number in range(1, STEPS + 1):
        key = f"step-{number}"
        reports += [[*ended, c.StartStep(key=key)], [c.AdvanceStep(key=key, fraction=0.5)]]
        ended = [c.FinishStep(key=key, output={"rows": number})]
    return [_report(run, commands) for commands in [*reports, ended]]


def _telemetry(ids: IdFactory, run: Assignment) -> Lane:
    now = datetime.now(UTC)
    line = c.NewLine(message="Read another part of the input, of which there is more.", step="step-1", timestamp=now)

    def metric() -> Metric:
        state = run.state.run
        return Metric(
            id=ids.new(Kind.METRIC),
            tenant=state.tenant,
            task_id=state.task_id,
            run_id=state.id,
            name="rows",
            value=1.0,
            timestamp=now,
        )

    reports: list[Sequence[c.WorkerCommand]] = []
    for number in range(REPORTS // 3):
        reports += [
            [c.WriteLog(lines=(line,) * PIECES)],
            [c.RecordMetrics(metrics=tuple(metric() for _ in range(PIECES)), by_team=True)],
            [c.AdvanceStep(key="step-1", fraction=number / REPORTS)],
        ]
    return [_report(run, commands) for commands in reports]


def _report(run: Assignment, commands: Sequence[c.WorkerCommand]) -> Write:
    async def report(backend: Backend) -> None:
        await backend.work.report(run, commands)

    return report


async def _over_http(table: Table, folder: Path, raw: Raw) -> None:
    """Create runs of which one is planned for an hour and the rest wait, by one client and by many."""
    pin(0)
    with running_server(folder, MGX_MAX_CONCURRENT_RUNS="1") as server:
        pin(1)
        async with http(server.url) as api:
            task_id = await create_task(api, config=_LONG)
        request = post(server.url, _CREATE, {"t": task_id})
        rates: dict[int, list[float]] = {1: [], MANY: []}
        plain: list[float] = []
        await ask(server.url, request, MANY, 0.5)
        for _ in range(ROUNDS):
            for clients, measured in rates.items():
                measured.append((await ask(server.url, request, clients, SECONDS)).rate)
            plain.append(raw.rate())
    for clients, measured in rates.items():
        name = f"createRun over HTTP, {clients} client{'s' if clients > 1 else ''}"
        table.row(name, f"{median(measured):.0f}/s", f"{_share(measured, plain):.2f} of raw")
        table.samples[name] = measured


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _share(rates: Sequence[float], raw: Sequence[float]) -> float:
    return median(ours / theirs for ours, theirs in zip(rates, raw, strict=True))


def _tell(table: Table, name: str, figures: Figures) -> None:
    table.row(f"{name}, raw", f"{median(figures.raw):.0f}/s")
    table.samples[f"{name}, raw"] = figures.raw
    both = (("one by one", figures.one, figures.one_ms), (f"{MANY} at once", figures.many, figures.many_ms))
    for how, rates, spent in both:
        remark = f"{_share(rates, figures.raw):.2f} of raw; {min(spent):.2f} ms of processor time each"
        table.row(f"{name}, {how}", f"{median(rates):.0f}/s", remark)
        table.samples[f"{name}, {how}"] = rates
