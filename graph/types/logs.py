"""What a run's team said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import strawberry

from domain import model
from domain.model import LogLevel
from domain.paging import Page, log_cursor
from graph.types.connections import CURSOR, EDGES, NODES, Connection
from graph.types.fields import attribute, computed


@strawberry.type(description="A line of a run's log.")
class LogLine:
    """A line of a run's log."""

    record: strawberry.Private[model.LogLine]
    cursor: str = strawberry.field(description="The line's place in its run's log, the same in events and in `logs`.")
    level: LogLevel = attribute("Severity.")
    message: str = attribute("What was said, cut at 8 KiB.")
    step: str | None = attribute("Key of the step that said it.")
    timestamp: datetime = attribute("When it was said.")

    @classmethod
    def from_domain(cls, record: model.LogLine, cursor: str) -> Self:
        """Show a line at its place."""
        return cls(record=record, cursor=cursor)


@strawberry.type(description="A line and its place in the log.")
class LogEdge:
    """A line and its place in the log."""

    cursor: str = strawberry.field(description=CURSOR)
    node: LogLine = strawberry.field(description="The line.")


def _lines_of(page: Page[model.LogLine]) -> list[LogLine]:
    return [LogLine.from_domain(line, cursor) for line, cursor in zip(page.items, page.cursors, strict=True)]


@strawberry.type(description="A page of a run's log, oldest first.")
class LogConnection(Connection):
    """A page of a run's log."""

    edges: list[LogEdge] = computed(
        EDGES, lambda page: [LogEdge(cursor=line.cursor, node=line) for line in _lines_of(page.record)]
    )
    nodes: list[LogLine] = computed(NODES, lambda page: _lines_of(page.record))


def lines_of_run(run_id: str, lines: Sequence[model.LogLine]) -> list[LogLine]:
    """Show lines of a run's log that come without their cursors."""
    return [LogLine.from_domain(line, log_cursor(run_id, line.number)) for line in lines]
