"""The product behind other ASGI servers, and behind uvicorn's other settings, by turns on copies of the same data.

Each runs on one core and the client on another. Servers that the product does not need are installed under `build` at
the first use.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import dataset
from benchmarks.contenders import Contender, running
from benchmarks.documents import RUNS
from benchmarks.fanout import BURST, OURS, PLAIN, SETTINGS, Figures, audience, fan_out
from benchmarks.process import family_cpu_seconds, family_resident_bytes
from benchmarks.requests import ask, get, post
from benchmarks.results import Table
from benchmarks.sockets import pinned

KEPT: Final = 100_000
PAGE: Final = 50
CONNECTIONS: Final = 16
SUBSCRIBERS: Final = 1_000
ROUNDS: Final = 3
WARM_UP: Final = 1.0
SECONDS: Final = 2.0
REST_SECONDS: Final = 1.0

_PACKAGES: Final = Path("build/servers")
_LOCK: Final = Path("requirements/servers.txt")
_APP: Final = "benchmarks.asgi_app:app"
_SMALL: Final = "query Small($id: ID!) { run(id: $id) { id status } }"


def _with_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _uvicorn(port: int, http: str = "httptools", loop: str = "uvloop", ws: str = "websockets-sansio") -> list[str]:
    options = {"--http": http, "--loop": loop, "--ws": ws, "--port": str(port), "--log-level": "warning"}
    return ["-m", "uvicorn", _APP, "--no-access-log", *(word for option in options.items() for word in option)]


def contenders() -> list[Contender]:
    """Return what is compared: ours, ours with plain ASGI in between, and the others, which all have plain ASGI."""
    port = _with_port()
    granian = ["--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--no-log", "--port", str(port)]
    others = {
        "uvicorn, h11": _uvicorn(port, http="h11"),
        "uvicorn, asyncio": _uvicorn(port, loop="asyncio"),
        "uvicorn, wsproto": _uvicorn(port, ws="wsproto"),
        "granian": ["-m", "granian", *granian, _APP],
        "hypercorn": ["-m", "hypercorn", "--worker-class", "uvloop", "--bind", f"127.0.0.1:{port}", _APP],
    }
    env = {"MGX_PORT": str(port), "PYTHONPATH": os.pathsep.join([str(_PACKAGES.resolve()), os.getcwd()])}
    return [
        OURS,
        PLAIN,
        *(Contender(name, (sys.executable, *words), is_ours=True, env=env) for name, words in others.items()),
    ]


@dataclass(slots=True)
class Answers:
    """What was measured of one request, a figure for each round.

    Attributes:
        rates: Answers a second.
        costs: Seconds of processor time for each, of all the server's processes and threads. On a core that others use,
            too, who has many threads is given more of it, so that rates alone would mislead.
    """

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Sample:
    """What was measured of one server.

    Attributes:
        pages: Of the list query.
        small: Of a query of one run.
        bare: Of /healthz, which asks nothing of the product.
        events: Of subscribers of one run.
        ready: Seconds until the first request was answered.
        memory: Bytes at rest, of all its processes.
    """

    pages: Answers = field(default_factory=Answers)
    small: Answers = field(default_factory=Answers)
    bare: Answers = field(default_factory=Answers)
    events: Figures = field(default_factory=Figures)
    ready: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Return medians: pages, small answers, bare ones, deliveries one by one, in bursts; each a second."""
        events = self.events.rates
        answers = [each.rates for each in (self.pages, self.small, self.bare)]
        return [median(each) for each in (*answers, events[1], events[BURST])]

    def costs(self) -> list[float]:
        """Return medians for a page, a small answer and a bare one, in seconds."""
        return [median(each.costs) for each in (self.pages, self.small, self.bare)]


async def measure(folder: Path) -> Table:
    """Measure all by turns."""
    install()
    data = folder / "data"
    data.mkdir()
    file = await dataset.make(data, KEPT)
    samples = {contender.name: Sample() for contender in contenders()}
    with pinned(1):
        for number in range(ROUNDS):
            for contender in contenders():
                await one(contender, contender.folder(folder, number), file, samples[contender.name])
    return told(samples)


def install() -> None:
    """Install the servers that the lock names, unless that was done since it changed."""
    if _PACKAGES.exists() and _PACKAGES.stat().st_mtime >= _LOCK.stat().st_mtime:
        return
    shutil.rmtree(_PACKAGES, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--target", str(_PACKAGES), "-r", str(_LOCK)], check=True)


async def one(contender: Contender, folder: Path, file: Path, sample: Sample) -> None:
    """Measure one server on a copy of a database."""
    shutil.copy(file, folder / "mgx.db")
    began = time.perf_counter()
    with running(contender, folder, env=SETTINGS) as server:
        url, pid = server
        small = post(url, _SMALL, {"id": dataset.run_id(KEPT)})
        await _first(url, small)
        sample.ready.append(time.perf_counter() - began)
        await asyncio.sleep(REST_SECONDS)
        sample.memory.append(family_resident_bytes(pid))
        page, bare = post(url, RUNS, {"first": PAGE}), get(url, "/healthz")
        for request, answers in ((page, sample.pages), (small, sample.small), (bare, sample.bare)):
            await ask(url, request, CONNECTIONS, WARM_UP)
            before = family_cpu_seconds(pid)
            asked = await ask(url, request, CONNECTIONS, SECONDS)
            answers.rates.append(asked.rate)
            answers.costs.append((family_cpu_seconds(pid) - before) / len(asked.seconds))
        async with audience(server, contender, SUBSCRIBERS) as place:
            await fan_out(place, sample.events)


def told(samples: Mapping[str, Sample]) -> Table:
    """Return the table."""
    table = Table(
        f"{CONNECTIONS} connections: pages of {PAGE} of {KEPT:,} runs / one run / healthz; {SUBSCRIBERS:,} sockets: "
        f"events one by one / by {BURST}; medians of {ROUNDS} rounds by turns",
        head=("server", "a second", "as shares of ours", "processor time of an answer", "ready", "at rest"),
    )
    ours = samples[OURS.name].rates()
    for name, sample in samples.items():
        rates = sample.rates()
        table.row(
            name,
            " / ".join(f"{rate:,.0f}" for rate in rates),
            " / ".join(f"{rate / best:.2f}" for rate, best in zip(rates, ours, strict=True)),
            " / ".join(f"{1000 * cost:.2f}" for cost in sample.costs()) + " ms",
            f"{median(sample.ready):.1f} s",
            f"{median(sample.memory) / 2**20:.0f} MiB",
        )
        for what, answers in (("pages", sample.pages), ("small", sample.small), ("bare", sample.bare)):
            table.samples |= {f"{name}, {what}": answers.rates, f"{name}, {what}, processor time": answers.costs}
        table.samples |= {f"{name}, events by {count}": found for count, found in sample.events.rates.items()}
    return table


async def _first(url: str, request: bytes) -> None:
    """Ask until it is answered: a server may tell its application to begin before it listens."""
    while True:
        try:
            await ask(url, request, 1, 0.0)
        except ConnectionError:
            await asyncio.sleep(0.01)
        else:
            return
