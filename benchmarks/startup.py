"""How long a start takes, where the time goes, and what a server weighs at rest."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import IO

from benchmarks.client import QUIET, create_run, create_task, http
from benchmarks.process import cpu_seconds, resident_bytes
from benchmarks.results import Table
from tests.servers import MGX, environment, running_server

STARTS = 15
RUNS = 500
REST_SECONDS = 3.0
PACKAGES = 8

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| \s*([\w.]+)")


async def measure(folder: Path) -> Table:
    """Start servers on a database that has been used, and end each as a power cut would."""
    first = _start(folder)[0]
    await _use(folder)
    starts = [_start(folder) for _ in range(STARTS)]
    seconds, used, memory = ([start[column] for start in starts] for column in range(3))
    table = Table(
        f"{STARTS} starts on a database of {RUNS} runs, files in the page cache; medians",
        samples={"start to ready": seconds, "resident bytes": memory},
    )
    table.row("start to ready", f"{median(seconds):.2f} s", f"slowest {max(seconds):.2f} s; goal < 1.5 s")
    table.row("processor time in it", f"{median(used):.2f} s")
    table.row("first start, with migrations", f"{first:.2f} s")
    table.row("memory at rest", f"{median(memory) / 2**20:.1f} MiB", "resident; goal < 120 MB")
    imports = _imports(folder)
    table.row("imports", f"{sum(imports.values()) / 1e6:.2f} s", "with -X importtime, which costs time itself")
    for name, microseconds in imports.most_common(PACKAGES):
        table.row(f"  {name}", f"{microseconds / 1e3:.0f} ms")
    return table


async def _use(folder: Path) -> None:
    with running_server(folder) as server:
        async with http(server.url) as api:
            task_id = await create_task(api, config=QUIET, approvalTimeout=None)
            for _ in range(RUNS):
                await create_run(api, task_id)


def _start(folder: Path) -> tuple[float, float, float]:
    """Return the seconds until it answered, the processor time that took, and its memory a while later."""
    began = time.perf_counter()
    with _process(folder, MGX) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        seconds = time.perf_counter() - began
        used = cpu_seconds(process.pid)
        time.sleep(REST_SECONDS)
        return seconds, used, resident_bytes(process.pid)


@contextlib.contextmanager
def _process(
    folder: Path, *program: str | Path, stderr: IO[str] | int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """Have `mgx serve` while the block runs; the line that it prints says that it answers."""
    with subprocess.Popen(
        [*program, "serve"], stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment(folder), cwd=folder
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _imports(folder: Path) -> Counter[str]:
    """Return the microseconds that each top-level package took to import."""
    log = folder / "imports.log"
    with log.open("w") as errors, _process(folder, sys.executable, "-X", "importtime", MGX, stderr=errors) as process:
        assert process.stdout is not None
        process.stdout.readline()
    spent: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        if match := _IMPORT.match(line):
            spent[match[2].partition(".")[0]] += int(match[1])
    return spent
