"""What a benchmark has measured: a small table for people, charts, samples for programs, and on which machine."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.charts import Chart

FOLDER = Path("build/benchmarks")
_PACKAGES = (
    "strawberry-graphql",
    "graphql-core",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
    "sqlalchemy",
    "aiosqlite",
)


@dataclass(slots=True)
class Table:
    """Rows of figures.

    Attributes:
        what: What was measured, in a line.
        head: What the columns are.
        rows: Cells, as many as the head has or fewer: first the name of what has the figures, then figures with units.
        charts: Pictures of some of the figures.
        versions: Of what was measured besides us, in a line.
        samples: What the figures were made of, for those who want to make others.
    """

    what: str
    head: tuple[str, ...] = ("what", "figure", "remark")
    rows: list[tuple[str, ...]] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    versions: str = ""
    samples: dict[str, Sequence[float]] = field(default_factory=dict)

    def row(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(cells)

    def full(self) -> list[tuple[str, ...]]:
        """Return the rows with a cell for each column."""
        return [(*row, *[""] * (len(self.head) - len(row))) for row in self.rows]

    def text(self) -> str:
        """Return head and rows in columns; names are flush left, figures right, remarks left again."""
        lines = [self.head, *self.full()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(_pad, line, widths, range(len(line)))).rstrip() for line in lines)


def keep(name: str, table: Table, machine: Sequence[str]) -> None:
    """Write a result where git does not look."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    result = {
        "machine": machine,
        "what": table.what,
        "head": table.head,
        "rows": table.full(),
        "samples": table.samples,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=2))


def machine(name: str) -> list[str]:
    """Return what a benchmark is measured on, with which versions, by which command; called before it runs."""
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()}, {os.cpu_count()} cores, {platform.system()}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, " + versions(*_PACKAGES),
        f"Load before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}. Command: `python -m benchmarks {name}`",
    ]


def versions(*packages: str) -> str:
    """Return the versions of packages."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of figures of the same round, since a machine's speed changes between rounds."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def milliseconds(values: Sequence[float]) -> str:
    """Return median, 99th percentile and maximum of seconds, as milliseconds."""
    shares = [1000 * quantile(values, share) for share in (0.5, 0.99, 1.0)]
    return " / ".join(f"{value:.1f}" for value in shares) + " ms"


def verdict(*, met: bool) -> str:
    """Return what became of a goal."""
    return "met" if met else "missed"


def _pad(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column == 1 else cell.ljust(width)


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.machine()
