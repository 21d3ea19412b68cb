"""The generated parts of docs/lifecycle.md. After a change of the table: `python -m tests.unit.lifecycle_page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from domain.transitions import FINAL, LIFE, Row
from tests.docs.generated import with_part

PAGE: Final = Path(__file__).parents[2] / "docs" / "lifecycle.md"


def table() -> str:
    """The life of a run as a Markdown table, a line for each row."""
    head = ["| from | command or cause | to | events, in the same transaction |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_line, LIFE)])


def diagram() -> str:
    """The life of a run as a Mermaid diagram of the rows that lead on to another status."""
    ends = [f"    {status} --> [*]" for status in sorted(FINAL)]
    return "\n".join(["```mermaid", "stateDiagram-v2", *_edges(), *ends, "```"])


def rendered(page: str) -> str:
    """A page with its generated parts made anew."""
    return with_part(with_part(page, "table", table()), "diagram", diagram())


def _line(row: Row) -> str:
    sources = ", ".join(source or "-" for source in row.sources)
    return f"| {sources} | {row.cause} | {row.target or 'the same'} | {', '.join(row.events)} |"


def _edges() -> Iterator[str]:
    for row in LIFE:
        for source in row.sources:
            if row.target not in {None, source}:
                # A label ends at a colon.
                yield f"    {source or '[*]'} --> {row.target}: {row.cause.replace(':', '')}"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
