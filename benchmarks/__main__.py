"""`python -m benchmarks [name...]`: run some, or all, and print and keep what they measured."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import uvloop

from benchmarks import cluster, costs, fanout, growth, latency, retention, runs, servers, startup, waiting
from benchmarks.results import keep, machine

BENCHMARKS = {
    "latency": latency.measure,
    "waiting": waiting.measure,
    "startup": startup.measure,
    "runs": runs.measure,
    "costs": costs.measure,
    "fanout": fanout.measure,
    "cluster": cluster.measure,
    "retention": retention.measure,
    "growth": growth.measure,
    "servers": servers.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    for line in machine():
        print(line)
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"mgx-{name}-") as folder:
            table = uvloop.run(BENCHMARKS[name](Path(folder)))
        print(f"\n{name}: {table.what}\n{table.text()}", flush=True)
        keep(name, table)


main()
