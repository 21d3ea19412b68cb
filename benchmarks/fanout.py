"""Events to many subscribers of one run, beside peers and beside what one core can do at all.

Each server runs on one core and the client on another, by turns. An event goes out when the one before it has reached
everyone; "bursts" are ten events that are committed together. Rates are deliveries over the time from the commit, or
the call to publish, to the last subscriber. The client counts frames in raw bytes, and says how busy it was.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.client import create_run, create_task, http
from benchmarks.node import NODE, node_modules
from benchmarks.process import cpu_seconds, resident_bytes
from benchmarks.results import Table, quantile
from benchmarks.sockets import Crowd, crowd, pin
from tests.servers import environment

SUBSCRIBERS: Final = 1_000
MANY: Final = 5_000
GROUPS: Final = 100
ROUNDS: Final = 3
SECONDS: Final = 2.0
WARM_UP: Final = 0.5
BURST: Final = 10
PATIENCE: Final = 60.0
GOAL_KIB: Final = 25

_DOCUMENT: Final = (
    "subscription %s($run: ID!%s) {"
    " runEvents(runId: $run%s) { id cursor type timestamp message runId sequence status } }"
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to be measured.

    Attributes:
        name: For people.
        command: What starts it; it prints its address when it is ready.
        is_ours: Whether it is the product, which needs a run.
        env: What it finds in its environment besides.
    """

    name: str
    command: Sequence[str]
    is_ours: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


_PYTHON: Final = (sys.executable, "-m")
OURS: Final = Contender("mgx-graph", (*_PYTHON, "benchmarks.fanout_server"), is_ours=True)
PLAIN: Final = Contender("mgx-graph on plain ASGI", (*_PYTHON, "benchmarks.fanout_server", "--plain"), is_ours=True)
STOCK: Final = Contender("Strawberry + broadcaster", (*_PYTHON, "benchmarks.peers.fanout_stock"))
GRAPHQL_WS: Final = Contender("graphql-ws on ws, Node", (NODE, "benchmarks/peers/node/fanout.mjs"))
LIMIT: Final = Contender("limit: by hand on uvloop", (*_PYTHON, "benchmarks.peers.fanout_limit"))
JOINED: Final = Contender("limit, joined writes", (*_PYTHON, "benchmarks.peers.fanout_limit", "--joined"))
CONTENDERS: Final = (OURS, PLAIN, STOCK, GRAPHQL_WS, LIMIT, JOINED)


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
    for number in range(ROUNDS):
        for contender in CONTENDERS:
            with running(contender, new_folder(folder, f"{number}-{contender.name}")) as server:
                async with audience(server, contender, SUBSCRIBERS) as place:
                    await fan_out(place, figures[contender.name])
    table = Table(f"{SUBSCRIBERS} subscribers of one run, 8 fields an event; medians of {ROUNDS} rounds")
    _compare(table, figures)
    with running(OURS, new_folder(folder, "many")) as server:
        async with audience(server, OURS, MANY) as place:
            many = Figures()
            await fan_out(place, many)
            table.row(f"{MANY} subscribers, one by one", _rate(many, 1), f"{place.crowd.lost} lost; p99 {_p99(many)}")
    for contender in (OURS, GRAPHQL_WS, STOCK):
        with running(contender, new_folder(folder, f"groups-{contender.name}")) as server:
            async with audience(server, contender, SUBSCRIBERS, GROUPS) as place:
                groups = Figures()
                await fan_out(place, groups)
                table.row(f"{GROUPS} groups of {SUBSCRIBERS // GROUPS}, {contender.name}", _rate(groups, 1))
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


def _compare(table: Table, figures: Mapping[str, Figures]) -> None:
    ours = figures[OURS.name]
    for name, each in figures.items():
        ratio = f"ours: {median(ours.rates[1]) / median(each.rates[1]):.1f} times"
        bursts = f"ours: {median(ours.rates[BURST]) / median(each.rates[BURST]):.1f} times"
        table.row(f"{name}, one by one", _rate(each, 1), f"{ratio}; p99 {_p99(each)}")
        table.row(f"{name}, bursts of {BURST}", _rate(each, BURST), bursts)
        busy = f"client at most {100 * max(each.client):.0f} % busy"
        table.row(
            f"{name}, idle subscriber", f"{median(each.kib):.1f} KiB", f"{median(each.server):.1f} us each; {busy}"
        )
        table.samples |= {f"{name}, {count}": rates for count, rates in each.rates.items()}
    table.row("goal of an idle subscriber", f"{GOAL_KIB} KiB")


def _rate(figures: Figures, count: int) -> str:
    return f"{median(figures.rates[count]):,.0f}/s"


def _p99(figures: Figures) -> str:
    return f"{1000 * quantile(figures.late, 0.99):.1f} ms"


@contextmanager
def running(contender: Contender, folder: Path) -> Iterator[tuple[str, int]]:
    """Have a server on the first core while the block runs; yields its address and pid."""
    env = environment(folder, {"MGX_MAX_CONNECTIONS_PER_ADDRESS": "10000", "MGX_HEARTBEAT": "3600"})
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            contender.command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=env | {"PYTHONUNBUFFERED": "1"} | dict(contender.env),
        )
    pin(0, process.pid)
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), f"{contender.name} is not ready"
        url = process.stdout.readline().strip()
        assert url, (folder / "log").read_text()
        yield url, process.pid
    finally:
        process.terminate()
        process.stdout.close()
        process.wait()


@asynccontextmanager
async def audience(
    server: tuple[str, int], contender: Contender, subscribers: int, groups: int = 1
) -> AsyncGenerator[Audience]:
    """Have subscribers of a new run, in some groups, while the block runs; this process keeps to the second core."""
    url, pid = server
    pin(1)
    run, after = await _new_run(url) if contender.is_ours else ("run", None)
    publisher = _Publisher(url)
    before = resident_bytes(pid)
    payloads = [_payload(run, after, number % groups) for number in range(subscribers)]
    async with crowd(url, payloads) as made:
        await _settle(made, publisher, run, subscribers, replays=after is not None)
        kib = (resident_bytes(pid) - before) / subscribers / 1024
        yield Audience(made, run, publisher, subscribers, pid, kib)
    await publisher.close()


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
    """Asks a server to publish, on a connection of its own."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._where = address.hostname, address.port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def publish(self, run: str, count: int) -> float:
        """Have events published; return when, as `time.monotonic`."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._where)
        reader, writer = self._streams
        writer.write(f"POST /publish?run={run}&count={count} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if "content-length:" in head:
            body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        else:
            size = int((await reader.readline()).strip(), 16)
            body = await reader.readexactly(size)
            await reader.readexactly(len(b"\r\n0\r\n\r\n"))
        return float(json.loads(body)["at"])

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def new_folder(folder: Path, name: str) -> Path:
    """Make a folder for a server."""
    made = folder / name.replace(" ", "-").replace(":", "").replace("/", "")
    made.mkdir()
    return made
