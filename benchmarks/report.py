"""Writes what was measured into `docs/benchmarks.md`, between marks; the prose around them is written by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.results import Table

PAGE: Final = Path(__file__).parents[1] / "docs/benchmarks.md"
_MARKS: Final = re.compile(r"(<!-- measured: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


class ReportError(Exception):
    """The page has no place for a result."""


def places(page: Path = PAGE) -> list[str]:
    """Return the names of the benchmarks that a page has a place for, in its order."""
    return [match[2] for match in _MARKS.finditer(page.read_text())]


def write(name: str, table: Table, machine: Sequence[str], page: Path = PAGE) -> None:
    """Put a result in its place on a page, and its charts into the folder beside it that has the page's name.

    Args:
        name: Of the benchmark.
        table: Its result.
        machine: What was measured on, with what, and how.
        page: A page with the marks `<!-- measured: NAME -->` and `<!-- end -->`.

    Raises:
        ReportError: The page has no such marks, or has them twice.
    """
    if places(page).count(name) != 1:
        raise ReportError(f"{page.name} needs one <!-- measured: {name} -->, and <!-- end --> after it")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for chart in table.charts:
        (folder / f"{chart.name}.svg").write_text(chart.svg())
    block = _block(table, machine, folder.name)
    page.write_text(_MARKS.sub(lambda m: m[1] + block + m[4] if m[2] == name else m[0], page.read_text()))


def _block(table: Table, machine: Sequence[str], folder: str) -> str:
    paragraphs = [
        f"{table.what[0].upper()}{table.what[1:]}.",
        *(f"![{chart.title}]({folder}/{chart.name}.svg)" for chart in table.charts),
        "\n".join(_line(cells) for cells in (table.head, ["---"] * len(table.head), *table.full())),
        "<sub>" + "<br>\n".join(machine) + "</sub>",
    ]
    return "\n" + "\n\n".join(paragraphs) + "\n\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
