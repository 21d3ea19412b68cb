"""How results are told: the machine, a small table for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

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
        rows: Name of a figure, its value with the unit, the goal or a remark.
        samples: What the figures were made of, for those who want to make others.
    """

    what: str
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    samples: dict[str, Sequence[float]] = field(default_factory=dict)

    def row(self, name: str, value: str, remark: str = "") -> None:
        """Add a row."""
        self.rows.append((name, value, remark))

    def text(self) -> str:
        """Return the rows in columns."""
        first, second = (max(len(row[column]) for row in self.rows) for column in (0, 1))
        return "\n".join(f"  {a:<{first}}  {b:>{second}}  {c}".rstrip() for a, b, c in self.rows)


def keep(name: str, table: Table) -> None:
    """Write a result where git does not look."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [{"name": a, "value": b, "remark": c} for a, b, c in table.rows]
    result = {"machine": machine(), "what": table.what, "rows": rows, "samples": table.samples}
    (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=2))


def machine() -> list[str]:
    """Return what was measured on, with which versions, by which command."""
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()}, {os.cpu_count()} cores, {platform.system()}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
        f"load before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}",
        f"command: python -m benchmarks {shlex.join(sys.argv[1:])}".rstrip(),
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(values: Sequence[float]) -> str:
    """Return median, 99th percentile and maximum of seconds, as milliseconds."""
    shares = [1000 * quantile(values, share) for share in (0.5, 0.99, 1.0)]
    return " / ".join(f"{value:.1f}" for value in shares) + " ms"


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return ", ".join(sorted(names)) or platform.machine()
