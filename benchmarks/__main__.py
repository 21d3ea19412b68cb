"""`python -m benchmarks [name...]`: run some, or all, and print and keep what they measured."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import (
    cluster,
    costs,
    fanout,
    growth,
    latency,
    lists,
    objects,
    profile,
    report,
    retention,
    runs,
    servers,
    startup,
    waiting,
    writes,
)
from benchmarks.results import Table, keep, machine

BENCHMARKS: Final[Mapping[str, Callable[[Path], Coroutine[None, None, Table]]]] = {
    "lists": lists.measure,
    "profile": profile.measure,
    "objects": objects.measure,
    "fanout": fanout.measure,
    "latency": latency.measure,
    "waiting": waiting.measure,
    "startup": startup.measure,
    "runs": runs.measure,
    "costs": costs.measure,
    "cluster": cluster.measure,
    "retention": retention.measure,
    "growth": growth.measure,
    "servers": servers.measure,
    "writes": writes.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--write", action="store_true", help=f"put tables and charts into docs/{report.PAGE.name}, too")
    arguments = parser.parse_args()
    names = arguments.names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        about = machine(name)
        with tempfile.TemporaryDirectory(prefix=f"mgx-{name}-") as folder:
            table = uvloop.run(BENCHMARKS[name](Path(folder)))
        about += [table.versions] if table.versions else []
        print("\n".join([f"\n{name}: {table.what}", *about, table.text()]), flush=True)
        keep(name, table, about)
        if arguments.write:
            report.write(name, table, about)


if __name__ == "__main__":
    main()
