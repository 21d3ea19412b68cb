"""Events to many subscribers of one run, beside peers and beside what one core can do at all.

Each server runs on one core and the client on another, by turns. An event goes out when the one before it has reached
everyone; "bursts" are ten events that are committed together. Rates are deliveries over the time from the commit, or
the call to publish, to the last subscriber. The client counts frames in raw bytes, and says how busy it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.charts import Bar, Chart
from benchmarks.client import create_run, create_task, http
from benchmarks.contenders import Contender, node, python, running
from benchmarks.node import node_modules
from benchmarks.node import versions as node_versions
from benchmarks.process import cpu_seconds, resident_bytes
from benchmarks.results import Table, paired_ratio, quantile, versions
from benchmarks.sockets import Crowd, crowd, pinned

SUBSCRIBERS: Final = 1_000
MANY: Final = 5_000
GROUPS: Final = 100
ROUNDS: Final = 3
SECONDS: Final = 2.0
WARM_UP: Final = 0.5
BURST: Final = 10
PATIENCE: Final = 60.0
GOAL_KIB: Final = 25

SETTINGS: Final = {"MGX_MAX_CONNECTIONS_PER_ADDRESS": "10000", "MGX_HEARTBEAT": "3600"}
_DOCUMENT: Final = (
    "subscription %s($run: ID!%s) {"
    " runEvents(runId: $run%s) { id cursor type timestamp message runId sequence status } }"
)


OURS: Final = Contender("mgx-graph", python("fanout_server"), is_ours=True)
PLAIN: Final = Contender("mgx-graph on plain ASGI", python("fanout_server", "--plain"), is_ours=True)
STOCK: Final = Contender("Strawberry + broadcaster", python("peers.fanout_stock"))
GRAPHQL_WS: Final = Contender("graphql-ws on ws, Node", node("fanout.mjs"))
LIMIT: Final = Contender("limit: by hand on uvloop", python("peers.fanout_limit"))
JOINED: Final = Contender("limit, joined writes", python("peers.fanout_limit", "--joined"))
CONTENDERS: Final = (OURS, PLAIN, STOCK, GRAPHQL_WS, LIMIT, JOINED)
GROUPED: Final = (OURS, GRAPHQL_WS, STOCK)


@dataclass(slots=True)
class Figures:
    """What was measured of one contender.

    Attributes:
        rates: Deliveries a second, one by one and in bursts, a figure for each round.
        late: Seconds from commit to the last subscriber, one by one.
        kib: KiB for each idle subscriber.
        server: Processor time of the server for a delivery one by one, in microseconds.
        client: Share of its core that the client used.
    """

    rates: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: list[float] = field(default_factory=list)
    kib: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)


async def measure(folder: Path) -> Table:
    """Measure all contenders by turns, and then the product where it is hard."""
    node_modules()
    figures = {contender.name: Figures() for contender in CONTENDERS}
    with pinned(1):
        for number in range(ROUNDS):
            for contender in CONTENDERS:
                await _measure(folder, contender, figures[contender.name], SUBSCRIBERS, word=number)
        many, groups = Figures(), {contender.name: Figures() for contender in GROUPED}
        await _measure(folder, OURS, many, MANY, word="many")
        for contender in GROUPED:
            await _measure(folder, contender, groups[contender.name], SUBSCRIBERS, GROUPS, word="groups")
    table = _compare(figures)
    table.row(f"{OURS.name}, {MANY:,} subscribers", *_figures(many, many))
    for name, each in groups.items():
        table.row(f"{name}, {GROUPS} groups of {SUBSCRIBERS // GROUPS}", *_figures(groups[OURS.name], each))
    return table


@dataclass(slots=True)
class Audience:
    """Subscribers of a run, and who has events of it published.

    Attributes:
        pid: Of the server.
        kib: That it takes for each of them.
    """

    crowd: Crowd
    run: str
    publisher: _Publisher
    subscribers: int
    pid: int
    kib: float


async def _measure(
    folder: Path, contender: Contender, figures: Figures, subscribers: int, groups: int = 1, *, word: object
) -> None:
    with running(contender, contender.folder(folder, word), env=SETTINGS) as server:
        async with audience(server, contender, subscribers, groups) as place:
            await fan_out(place, figures)


async def fan_out(place: Audience, figures: Figures) -> None:
    """Measure events one by one and in bursts."""
    figures.kib.append(place.kib)
    for count in (1, BURST):
        await _rounds(place, count, WARM_UP)
        cpu, own, began = cpu_seconds(place.pid), time.process_time(), time.monotonic()
        taken = await _rounds(place, count, SECONDS)
        figures.rates[count].append(place.subscribers * count * len(taken) / sum(taken))
        if count == 1:
            figures.late += taken
            figures.server.append((cpu_seconds(place.pid) - cpu) / len(taken) / place.subscribers * 1e6)
        figures.client.append((time.process_time() - own) / (time.monotonic() - began))
    assert not place.crowd.lost, "subscribers got lost"


async def _rounds(place: Audience, count: int, seconds: float) -> list[float]:
    taken, began = [], time.monotonic()
    while time.monotonic() < began + seconds:
        taken.append(await _round(place, count))
    return taken


async def _round(place: Audience, count: int) -> float:
    """Publish some events; return the seconds until the last subscriber had the last one."""
    wanted = place.crowd.seen + place.subscribers * count
    at = await place.publisher.publish(place.run, count)
    assert await place.crowd.until(wanted, PATIENCE), "events got lost"
    assert place.crowd.seen == wanted, "events came twice"
    return place.crowd.last - at


def _compare(figures: Mapping[str, Figures]) -> Table:
    table = Table(
        f"{SUBSCRIBERS:,} subscribers of one run, 8 fields an event: deliveries a second; medians of {ROUNDS} rounds; "
        f"goal of an idle subscriber: {GOAL_KIB} KiB",
        head=(
            "server",
            "one by one",
            "p99",
            "ours is",
            f"bursts of {BURST}",
            "ours is",
            "idle subscriber",
            "processor time each",
            "client busy",
        ),
        versions=f"{versions('broadcaster')}, {node_versions('graphql-ws', 'ws', 'graphql')}",
    )
    for name, each in sorted(figures.items(), key=lambda item: median(item[1].rates[1])):
        table.row(name, *_figures(figures[OURS.name], each))
        table.samples |= {f"{name}, {count}": rates for count, rates in each.rates.items()}
    table.charts.append(_chart("fanout", "one by one", figures, 1))
    table.charts.append(_chart("fanout-bursts", f"in bursts of {BURST}", figures, BURST))
    return table


def _figures(ours: Figures, each: Figures) -> Sequence[str]:
    return (
        _rate(each, 1),
        f"{1000 * quantile(each.late, 0.99):.1f} ms",
        _times(ours, each, 1),
        _rate(each, BURST),
        _times(ours, each, BURST),
        f"{median(each.kib):.1f} KiB",
        f"{median(each.server):.1f} us",
        f"{max(each.client):.0%}",
    )


def _chart(name: str, how: str, figures: Mapping[str, Figures], count: int) -> Chart:
    rates = sorted((median(each.rates[count]), who) for who, each in figures.items())
    bars = [Bar(who, rate, f"{rate:,.0f}/s", who == OURS.name) for rate, who in rates]
    return Chart(name, f"{SUBSCRIBERS:,} subscribers, events {how}: deliveries a second, more is better", bars)


def _times(ours: Figures, each: Figures, count: int) -> str:
    ratio = paired_ratio(ours.rates[count], each.rates[count])
    return "" if ours is each else f"{ratio:.1f} times as fast"


def _rate(figures: Figures, count: int) -> str:
    return f"{median(figures.rates[count]):,.0f}/s"


@asynccontextmanager
async def audience(
    server: tuple[str, int], contender: Contender, subscribers: int, groups: int = 1
) -> AsyncGenerator[Audience]:
    """Have subscribers of a new run, in some groups, while the block runs."""
    url, pid = server
    run, after = await _new_run(url) if contender.is_ours else ("run", None)
    publisher = _Publisher(url)
    before = resident_bytes(pid)
    payloads = [_payload(run, after, number % groups) for number in range(subscribers)]
    async with crowd(url, payloads) as made:
        await _settle(made, publisher, run, subscribers, replays=after is not None)
        kib = (resident_bytes(pid) - before) / subscribers / 1024
        yield Audience(made, run, publisher, subscribers, pid, kib)


def _payload(run: str, after: str | None, group: int) -> Mapping[str, Any]:
    name = f"Follow{group}"
    variables = {"run": run} if after is None else {"run": run, "after": after}
    declared, given = ("", "") if after is None else (", $after: String", ", after: $after")
    return {"query": _DOCUMENT % (name, declared, given), "operationName": name, "variables": variables}


async def _new_run(url: str) -> tuple[str, str]:
    async with http(url) as api:
        task = await create_task(api, config={"planSeconds": 3600})
        run = await create_run(api, task)
        data = await api.ask("query($r: ID!) { run(id: $r) { status } eventCursor }", r=run)
        while data["run"]["status"] != "ANALYZING":
            data = await api.ask("query($r: ID!) { run(id: $r) { status } eventCursor }", r=run)
        return run, str((await api.ask("{ eventCursor }"))["eventCursor"])


async def _settle(made: Crowd, publisher: _Publisher, run: str, subscribers: int, *, replays: bool) -> None:
    """Publish until everyone hears everything: who has just sent a subscription may not be heard yet.

    Where subscriptions say after what they begin, they are replayed what they missed, and so everything is waited for:
    what is published, and what the run says for itself.
    """
    published = 0
    while True:
        wanted = subscribers * (published + 1) if replays else made.seen + subscribers
        await publisher.publish(run, 1)
        published += 1
        await made.until(wanted, 1.0)
        await asyncio.sleep(0.2)
        if made.seen == wanted or (replays and made.seen > wanted and made.seen % subscribers == 0):
            return


class _Publisher:
    """Asks a server to publish, on a new connection each time: servers close those that are idle in a slow round."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)

    async def publish(self, run: str, count: int) -> float:
        """Have events published; return when, as `time.monotonic`."""
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        try:
            writer.write(f"POST /publish?run={run}&count={count} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if "content-length:" in head:
                body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
            else:
                body = await reader.readexactly(int(await reader.readline(), 16))
        finally:
            writer.close()
        return float(json.loads(body)["at"])
