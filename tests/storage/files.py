"""Database files, opened as a server would, and the statements that go to them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Container, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from domain.events import Event
from domain.store import Store
from storage.connections import SqliteLink
from storage.driver import PipelinedConnection
from storage.statements import Params, Query, Result
from storage.statements import Statement as Compiled
from storage.store import SqliteSettings, open_store
from tests.contract.world import SetClock

Statement: TypeAlias = tuple[str, Sequence[Any]]


@asynccontextmanager
async def opened(
    path: Path,
    settings: SqliteSettings | None = None,
    on_commit: Callable[[Sequence[Event]], object] = lambda _: None,
) -> AsyncGenerator[Store, None]:
    """Open the store in a file."""
    settings = settings or SqliteSettings(synchronous="NORMAL")

    def deliver(events: Sequence[Event]) -> None:
        on_commit(events)

    async with open_store(
        f"sqlite+aiosqlite:///{path}", clock=SetClock(), on_commit=deliver, settings=settings
    ) as store:
        yield store


@contextmanager
def recorded(among: Container[PipelinedConnection] | None = None) -> Iterator[list[Statement]]:
    """Note the statements that are executed in the block, but for those that begin or end transactions.

    Args:
        among: The connections that count; all if None.
    """
    statements: list[Statement] = []
    fetch, hand_over = SqliteLink.fetch, SqliteLink.hand_over

    async def note(link: SqliteLink, *queries: Query) -> Sequence[Result]:
        if among is None or link.driver in among:
            statements.extend((statement.text, statement.bind(params)) for statement, params in queries)
        return await fetch(link, *queries)

    def note_handed_over(link: SqliteLink, statement: Compiled, rows: Sequence[Params]) -> None:
        if among is None or link.driver in among:
            statements.append((statement.text, statement.bind(rows[0])))
        hand_over(link, statement, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteLink, "fetch", note)
        patch.setattr(SqliteLink, "hand_over", note_handed_over)
        yield statements


def plan(path: Path, statement: Statement) -> list[str]:
    """Return the steps that SQLite takes for a statement."""
    text, parameters = statement
    with closing(sqlite3.connect(path)) as connection:
        return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
