"""Database files, opened as a server would, and the statements that go to them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from domain.events import Event
from domain.store import Store
from storage.driver import PipelinedConnection
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
def recorded() -> Iterator[list[Statement]]:
    """Note the statements that are executed in the block, but for those that begin transactions."""
    statements: list[Statement] = []
    fetch, hand_over = PipelinedConnection.fetch, PipelinedConnection.hand_over

    async def note(connection: PipelinedConnection, text: str, parameters: Sequence[Any] = ()) -> list[Any]:
        statements.append((text, parameters))
        return await fetch(connection, text, parameters)

    def note_handed_over(connection: PipelinedConnection, text: str, *rows: Sequence[Any]) -> None:
        if not text.startswith("BEGIN"):
            statements.append((text, rows[0] if rows else ()))
        hand_over(connection, text, *rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PipelinedConnection, "fetch", note)
        patch.setattr(PipelinedConnection, "hand_over", note_handed_over)
        yield statements


def plan(path: Path, statement: Statement) -> list[str]:
    """Return the steps that SQLite takes for a statement."""
    text, parameters = statement
    with closing(sqlite3.connect(path)) as connection:
        return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
