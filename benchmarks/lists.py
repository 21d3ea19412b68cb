"""A page of runs with their tasks out of a hundred thousand, beside peers and beside what one core can do at all.

All read the same file, newest first, one run more than the page has, and answer the same; ours is as its users run it.
All servers wait on one core and are asked by turns, over sixteen connections, by a client on another.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from benchmarks import dataset
from benchmarks.charts import Bar, Chart
from benchmarks.contenders import FASTAPI, OURS, STRAWBERRY, Contender, node, python, running
from benchmarks.node import node_modules
from benchmarks.node import versions as node_versions
from benchmarks.process import cpu_seconds
from benchmarks.requests import Asked, ask, get, post
from benchmarks.results import Table, paired_ratio, verdict, versions
from benchmarks.sockets import pinned

RUNS: Final = 100_000
PAGE: Final = 50
CONNECTIONS: Final = 16
ROUNDS: Final = 5
WARM_UP: Final = 2.0
AGAIN: Final = 0.3
"""Seconds to get warm again at each turn."""
SECONDS: Final = 1.7
BUSY: Final = 0.6
"""Share of its core above which the client may be what holds a server up."""

QUERY: Final = """query Runs($first: Int!) {
  runs(first: $first) {
    nodes {
      id number status priority labels createdAt startedAt completedAt duration
      task { id name }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""

ARIADNE: Final = Contender("Ariadne, sqlite3", python("peers.ariadne_sqlite"))
APOLLO: Final = Contender("Apollo Server 5", node("graphql.mjs", "apollo"))
YOGA: Final = Contender("GraphQL Yoga", node("graphql.mjs", "yoga"))
MERCURIUS: Final = Contender("Mercurius", node("graphql.mjs", "mercurius"))
JIT: Final = Contender("Mercurius with JIT", node("graphql.mjs", "mercurius-jit"))
BARE: Final = Contender("limit: bare ASGI, orjson", python("peers.bare"))
PREPARED: Final = Contender("limit: HTTP alone", python("peers.bare", "--prepared"))
CONTENDERS: Final = (OURS, STRAWBERRY, ARIADNE, FASTAPI, APOLLO, YOGA, MERCURIUS, JIT, BARE, PREPARED)

GOALS: Final[Mapping[str, float]] = {
    STRAWBERRY.name: 12,
    ARIADNE.name: 6,
    APOLLO.name: 2,
    YOGA.name: 2,
    MERCURIUS.name: 1,
    JIT.name: 0.8,
    BARE.name: 0.6,
}
"""How many times as fast as each we want to be at least."""


@dataclass(slots=True)
class Figures:
    """What was measured of one contender, a figure for each round.

    Attributes:
        rates: Answers a second.
        server: Processor time of the server for an answer, in seconds.
        busy: Share of its core that the client used.
        size: Bytes of an answer's body.
    """

    rates: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    size: int = 0


async def measure(folder: Path) -> Table:
    """Measure all by turns, and compare what they answered."""
    node_modules()
    database = await dataset.make(folder, RUNS)
    figures = {contender.name: Figures() for contender in CONTENDERS}
    answers: dict[str, Any] = {}
    with ExitStack() as stack:
        stack.enter_context(pinned(1))
        servers = {
            contender: stack.enter_context(running(contender, contender.folder(folder), database=database))
            for contender in CONTENDERS
        }
        for contender, (url, _) in servers.items():
            warm = await ask(url, page_request(contender, url), CONNECTIONS, WARM_UP)
            answers[contender.name] = _page(warm)
        for _ in range(ROUNDS):
            for contender, (url, pid) in servers.items():
                await _measure(url, pid, page_request(contender, url), figures[contender.name])
    for name, answer in answers.items():
        assert len(answer["nodes"]) == PAGE, f"{name} answered {answer}"
        assert answer == answers[OURS.name], f"{name} answered something else than ours"
    return _table(figures)


async def _measure(url: str, pid: int, request: bytes, figures: Figures) -> None:
    await ask(url, request, CONNECTIONS, AGAIN)
    before = cpu_seconds(pid)
    asked = await ask(url, request, CONNECTIONS, SECONDS)
    figures.server.append((cpu_seconds(pid) - before) / len(asked.seconds))
    figures.rates.append(asked.rate)
    figures.busy.append(asked.busy)
    figures.size = len(asked.body)


def page_request(contender: Contender, url: str) -> bytes:
    """Return what asks a contender for the page."""
    return get(url, f"/runs?first={PAGE}") if contender is FASTAPI else post(url, QUERY, {"first": PAGE})


def _page(asked: Asked) -> dict[str, Any]:
    """Return an answer as all should have it: times may be printed in any way, cursors are everyone's own."""
    body = orjson.loads(asked.body)
    page: dict[str, Any] = body["data"]["runs"] if "data" in body else body
    for run in page["nodes"]:
        run |= {name: dataset.parsed(run[name]) for name in dataset.TIMES}
    assert page["pageInfo"].pop("endCursor")
    return page


def _table(figures: Mapping[str, Figures]) -> Table:
    table = Table(
        f"{PAGE} of {RUNS:,} runs with their task, 9 fields a run; {CONNECTIONS} connections; "
        f"medians of {ROUNDS} rounds",
        head=("server", "answers/s", "rounds", "ours is", "goal", "", "processor time", "answer", "client busy"),
        samples={name: each.rates for name, each in figures.items()},
        versions=f"{versions('ariadne', 'fastapi', 'pydantic')}, "
        + node_versions("@apollo/server", "graphql-yoga", "mercurius", "fastify", "graphql", "better-sqlite3"),
    )
    ours, bars = figures[OURS.name].rates, []
    for name, each in sorted(figures.items(), key=lambda item: median(item[1].rates)):
        rate, ratio, goal = median(each.rates), paired_ratio(ours, each.rates), GOALS.get(name)
        table.row(
            name,
            f"{rate:,.0f}",
            ", ".join(f"{rate:,.0f}" for rate in each.rates),
            "" if name == OURS.name else f"{ratio:.2f} times as fast",
            "" if goal is None else f"{goal:g}",
            "" if goal is None else verdict(met=ratio >= goal),
            f"{1e6 * median(each.server):,.0f} us",
            f"{each.size / 1000:.1f} kB",
            f"{max(each.busy):.0%}" + (", too busy" if max(each.busy) > BUSY else ""),
        )
        if name != PREPARED.name:  # beside which all others look alike
            bars.append(Bar(name, rate, f"{rate:,.0f}/s", name == OURS.name))
    title = f"{PAGE} runs with their task, out of {RUNS:,}: answers a second, more is better"
    table.charts.append(Chart("lists", title, bars))
    return table
