"""Where the time of a list request goes: py-spy looks at the server two hundred times a second while it is busy.

The system tells how much of the time is the main thread's and how much that of the threads which wait for SQLite. What
is seen of the main thread counts for the innermost function of ours or of a library that belongs to a part; functions
of Python itself count for their callers.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from heapq import nlargest
from operator import itemgetter
from pathlib import Path
from typing import Final

from benchmarks import dataset, lists
from benchmarks.charts import Bar, Chart
from benchmarks.contenders import OURS, running
from benchmarks.process import thread_cpu_seconds
from benchmarks.requests import ask
from benchmarks.results import Table
from benchmarks.sockets import pinned

SECONDS: Final = 10.0
RATE: Final = 200
FUNCTIONS: Final = 12
"""Functions that are told apart."""

_ROOT: Final = Path(__file__).parents[1]
_THREADS: Final = "SQLite, on its threads"
_REST: Final = "event loop, sockets and the rest"
_PARTS: Final = {
    "HTTP": ("graph/transport/", "graph/app.py", "domain/log_context.py", "uvicorn/", "starlette/"),
    "documents and limits": (
        "graph/execution/documents.py",
        "graph/execution/limits.py",
        "graph/execution/overlaps.py",
    ),
    "encoding": ("graph/execution/encoding.py",),
    "execution and formatting": (
        "graph/execution/",
        "domain/codec.py",
        "graph/types/",
        "graph/query.py",
        "graph/loaders.py",
        "graph/context.py",
        "graph/domain_errors.py",
        "graphql/",
        "strawberry/",
    ),
    "SQLite on the loop, and the way to its threads": ("storage/driver.py", "storage/connections.py", "aiosqlite/"),
    "rows to records": (
        "storage/types.py",
        "storage/session.py",
        "storage/shapes.py",
        "storage/statements.py",
        "domain/model.py",
    ),
    "statements, pages and cursors": ("storage/", "domain/", "sqlalchemy/"),
}
"""Files and folders of each part; the first part that has a file counts."""


async def measure(folder: Path) -> Table:
    """Have the server asked as `lists` does, and look at it meanwhile."""
    database = await dataset.make(folder, lists.RUNS)
    with pinned(1), running(OURS, OURS.folder(folder), database=database) as (url, pid):
        request = lists.page_request(OURS, url)
        await ask(url, request, lists.CONNECTIONS, lists.WARM_UP)
        before = thread_cpu_seconds(pid)
        asked = await ask(url, request, lists.CONNECTIONS, SECONDS)
        after = thread_cpu_seconds(pid)
        main, threads = ((b - a) / len(asked.seconds) for a, b in zip(before, after, strict=True))
        looking = asyncio.to_thread(_stacks, pid, folder / "stacks")
        stacks, _ = await asyncio.gather(looking, ask(url, request, lists.CONNECTIONS, SECONDS))
    return _table(stacks, main, threads)


def _stacks(pid: int, output: Path) -> Counter[tuple[str, ...]]:
    """Return how often each stack of the main thread was seen, as functions with their files, outermost first."""
    spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid)]
    how = ["--rate", str(RATE), "--duration", f"{SECONDS:.0f}", "--format", "raw", "--full-filenames", "--function"]
    command = [*spy, *how, "--threads", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"py-spy needs the right to trace processes: {done.stderr}"
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in output.read_text().splitlines():
        frames, _, count = line.rpartition(" ")
        thread, *functions = frames.split(";")
        if thread.endswith("MainThread"):
            stacks[tuple(functions)] += int(count)
    assert stacks, "py-spy saw nothing"
    return stacks


def _table(stacks: Counter[tuple[str, ...]], main: float, threads: float) -> Table:
    """Tell where the seconds of a request go that the main thread and the others use."""
    parts: defaultdict[str, float] = defaultdict(float, {_THREADS: threads})
    functions: defaultdict[str, float] = defaultdict(float)
    seen = stacks.total()
    for frames, count in stacks.items():
        part, function = next(_placed(frames), (_REST, ""))
        parts[part] += main * count / seen
        functions[function] += main * count / seen
    functions.pop("", None)
    whole = main + threads
    table = Table(
        f"processor time of a request for {lists.PAGE} of {lists.RUNS:,} runs with their task: {1e6 * whole:,.0f} us",
        head=("part", "share", "each"),
    )
    bars = []
    for part, seconds in sorted(parts.items(), key=itemgetter(1), reverse=True):
        share, time = f"{seconds / whole:.0%}", f"{1e6 * seconds:,.0f} us"
        table.row(part, share, time)
        bars.append(Bar(part, seconds, f"{share}, {time}", is_ours=True))
    for function, seconds in nlargest(FUNCTIONS, functions.items(), key=itemgetter(1)):
        table.row(f"`{function}`", f"{seconds / whole:.0%}", f"{1e6 * seconds:,.0f} us")
    table.charts.append(Chart("profile", "Where the processor time of a list request goes", bars))
    return table


def _placed(frames: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the part and name of each function that belongs to a part, innermost first."""
    for frame in reversed(frames):
        function, _, place = frame.partition(" (")
        file = _file(place.rstrip(")").rpartition(":")[0])
        for part, files in _PARTS.items():
            if file.startswith(files):
                yield part, f"{file} {function}"


def _file(path: str) -> str:
    """Return a file's path within the project or within the folder of packages."""
    package = path.partition("/site-packages/")[2]
    return package or path.removeprefix(f"{_ROOT}/")
