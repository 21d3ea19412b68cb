"""Servers on databases of several sizes, asked the same by turns, and how what they take is told."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.process import cpu_seconds
from benchmarks.requests import ask, post
from benchmarks.results import Table
from tests.servers import Server, running_server

FLAT: Final = 1.2
"""What the largest may take at most, as a multiple of what the smallest takes."""

ROUNDS: Final = 5
WARM_UP: Final = 0.1
SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Place:
    """A server and what it has.

    Attributes:
        runs: How many there are.
    """

    server: Server
    runs: int

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url


@contextmanager
def served(folders: Mapping[int, Path]) -> Generator[list[Place]]:
    """Have a server for each folder, by the number of its runs, while the block runs."""
    with ExitStack() as stack:
        yield [Place(stack.enter_context(running_server(folder)), runs) for runs, folder in folders.items()]


def starting(table: Table, folders: Mapping[int, Path]) -> None:
    """Measure how long a server takes from its start until it answers, by turns."""
    os.sync()  # what was just written must not be on its way to the disk meanwhile
    taken: dict[int, list[float]] = {runs: [] for runs in folders}
    for _ in range(ROUNDS):
        for runs, folder in folders.items():
            began = time.perf_counter()
            with running_server(folder):
                taken[runs].append(time.perf_counter() - began)
    table.samples |= {f"start to ready, {runs}": seconds for runs, seconds in taken.items()}
    medians = [median(seconds) for seconds in taken.values()]
    table.row("start to ready", milliseconds(medians), verdict(medians))


async def compare(
    table: Table, name: str, places: Sequence[Place], document: str, each: Sequence[Mapping[str, Any]]
) -> None:
    """Ask each place the same over one connection, by turns.

    Whether that is flat is told by the processor time of an answer, which does not depend on what else a machine does.

    Args:
        table: Where the medians go.
        name: Of the row.
        places: Smallest first.
        document: The operation.
        each: Its variables, for each place.
    """
    requests = [post(place.url, document, variables) for place, variables in zip(places, each, strict=True)]
    taken: list[list[float]] = [[] for _ in places]
    used, answers = [0.0 for _ in places], [0 for _ in places]
    for number in range(ROUNDS + 1):
        for index, (place, request) in enumerate(zip(places, requests, strict=True)):
            before = cpu_seconds(place.server.pid)
            asked = await ask(place.url, request, 1, SECONDS if number else WARM_UP)
            assert b'"errors"' not in asked.body, asked.body
            if number:
                taken[index].append(median(asked.seconds))
                used[index] += cpu_seconds(place.server.pid) - before
                answers[index] += len(asked.seconds)
    table.samples |= {f"{name}, {place.runs}": seconds for place, seconds in zip(places, taken, strict=True)}
    costs = [cost / count for cost, count in zip(used, answers, strict=True)]
    table.row(
        name, milliseconds([median(seconds) for seconds in taken]), f"processor {milliseconds(costs)}, {verdict(costs)}"
    )


def milliseconds(seconds: Sequence[float]) -> str:
    """Return what each place took."""
    return " / ".join(f"{1000 * each:.2f}" for each in seconds) + " ms"


def verdict(costs: Sequence[float]) -> str:
    """Return what the largest takes against the smallest, and whether that is flat."""
    ratio = costs[-1] / costs[0]
    return f"{ratio:.2f} times; goal < {FLAT}: {'met' if ratio < FLAT else 'missed'}"
