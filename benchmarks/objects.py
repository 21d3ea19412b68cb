"""One run with its task, and one task created: how long an answer takes, beside peers.

All work on the same file and keep the same of a new task: its row and an event, in a transaction of their own that
survives a power cut (WAL, synchronous=FULL). Each server runs on one core and the client on another, by turns.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from benchmarks import dataset
from benchmarks.charts import Bar, Chart
from benchmarks.contenders import FASTAPI, OURS, STRAWBERRY, Contender, running
from benchmarks.requests import ask, get, post, post_json
from benchmarks.results import Table, paired_ratio, quantile, versions
from benchmarks.sockets import pinned

RUNS: Final = 100_000
RUN: Final = dataset.run_id(RUNS // 2 + 1)
CONTENDERS: Final = (OURS, STRAWBERRY, FASTAPI)
AT_ONCE: Final = (1, 16)
ROUNDS: Final = 3
WARM_UP: Final = 1.0
SECONDS: Final = 2.0

READ: Final = """query One($id: ID!) {
  run(id: $id) {
    id number status priority labels createdAt startedAt completedAt duration
    task { id name }
  }
}"""
CREATE: Final = """mutation Create($name: String!) {
  createTask(input: { name: $name }) { task { id name } userErrors { message } }
}"""
CREATE_STOCK: Final = "mutation Create($name: String!) { createTask(name: $name) { id name } }"
NAME: Final = "Analyze Sales Data"


@dataclass(slots=True)
class Figures:
    """What was measured of one contender and operation, by how many requests are under way.

    Attributes:
        seconds: Of each answer.
        rates: Answers a second, a figure for each round.
        busy: Share of its core that the client used.
    """

    seconds: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    rates: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    busy: list[float] = field(default_factory=list)


async def measure(folder: Path) -> Table:
    """Measure all by turns, and check that they did the same."""
    database = await dataset.make(folder, RUNS)
    read = {contender.name: Figures() for contender in CONTENDERS}
    create = {contender.name: Figures() for contender in CONTENDERS}
    answers: dict[str, Any] = {}
    for number in range(ROUNDS):
        for contender in CONTENDERS:
            place = contender.folder(folder, number)
            with pinned(1), running(contender, place, database=database) as (url, _):
                _, body = await _ask(url, _read(contender, url), read[contender.name])
                answers[contender.name] = _run(body)
                before = _rows(database)
                created, body = await _ask(url, _create(contender, url), create[contender.name])
                assert NAME.encode() in body, body
                after = _rows(database)
                added = {table: after[table] - before[table] for table in after}
                assert added == {"tasks": created, "events": created}, f"{contender.name} kept {added} of {created}"
    for name, answer in answers.items():
        assert answer == answers[OURS.name], f"{name} answered something else than ours"
    return _table({"run with its task": read, "createTask": create})


async def _ask(url: str, request: bytes, figures: Figures) -> tuple[int, bytes]:
    """Ask for some time, one after the other and many at once; return how many answers came, and one."""
    warm = await ask(url, request, max(AT_ONCE), WARM_UP)
    answers, body = len(warm.seconds), warm.body
    for at_once in AT_ONCE:
        asked = await ask(url, request, at_once, SECONDS)
        answers += len(asked.seconds)
        figures.seconds[at_once] += asked.seconds
        figures.rates[at_once].append(asked.rate)
        figures.busy.append(asked.busy)
    return answers, body


def _read(contender: Contender, url: str) -> bytes:
    return get(url, f"/runs/{RUN}") if contender is FASTAPI else post(url, READ, {"id": RUN})


def _create(contender: Contender, url: str) -> bytes:
    if contender is FASTAPI:
        return post_json(url, "/tasks", {"name": NAME})
    return post(url, CREATE if contender is OURS else CREATE_STOCK, {"name": NAME})


def _run(body: bytes) -> dict[str, Any]:
    """Return an answer as all should have it, with times printed in one way."""
    answer = orjson.loads(body)
    run: dict[str, Any] = answer["data"]["run"] if "data" in answer else answer
    return run | {name: dataset.parsed(run[name]) for name in dataset.TIMES}


def _rows(database: Path) -> Mapping[str, int]:
    with closing(sqlite3.connect(database)) as connection:
        tables = ("tasks", "events")
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def _table(operations: Mapping[str, Mapping[str, Figures]]) -> Table:
    table = Table(
        f"one of {RUNS:,} runs, and a task created (synchronous=FULL); pooled from {ROUNDS} rounds",
        head=(
            "operation and server",
            *(f"{name}, {at_once} at a time" for at_once in AT_ONCE for name in ("p50", "p99")),
            f"answers/s, {max(AT_ONCE)} at a time",
            "ours is",
            "client busy",
        ),
        versions=versions("fastapi", "pydantic"),
    )
    for place, (what, figures) in enumerate(operations.items()):
        ours, bars = figures[OURS.name].rates[max(AT_ONCE)], []
        for name, each in figures.items():
            rates = each.rates[max(AT_ONCE)]
            table.row(
                f"{what}, {name}",
                *(_milliseconds(each, at_once, share) for at_once in AT_ONCE for share in (0.5, 0.99)),
                f"{median(rates):,.0f}",
                "" if name == OURS.name else f"{paired_ratio(ours, rates):.2f} times as fast",
                f"{max(each.busy):.0%}",
            )
            table.samples |= {f"{what}, {name}, {at_once}": values for at_once, values in each.seconds.items()}
            text = f"{_milliseconds(each, 1, 0.5)} (p99 {_milliseconds(each, 1, 0.99)})"
            bars.append(Bar(name, 1000 * quantile(each.seconds[1], 0.5), text, name == OURS.name))
        title = f"{what}, one request at a time: median of the answer's time, less is better"
        table.charts.append(Chart(("objects-run", "objects-create")[place], title, bars))
    return table


def _milliseconds(figures: Figures, at_once: int, share: float) -> str:
    return f"{1000 * quantile(figures.seconds[at_once], share):.2f} ms"
