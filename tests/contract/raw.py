"""What the tables really hold, read past the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Executable, Row, create_engine, func, make_url, select

from storage.tables import metadata


def rows_of(database_url: str, statement: Executable) -> Sequence[Row[*tuple[Any, ...]]]:
    """Read what is committed, on a connection of its own."""
    url = make_url(database_url)
    engine = create_engine(url.set(drivername=url.drivername.removesuffix("+aiosqlite")))
    try:
        with engine.connect() as connection:
            return connection.execute(statement).all()
    finally:
        engine.dispose()


def counts(database_url: str) -> dict[str, int]:
    """Return how many rows each table has, of those that have any."""
    found = {
        table.name: rows_of(database_url, select(func.count()).select_from(table))[0][0]
        for table in metadata.sorted_tables
    }
    return {name: count for name, count in found.items() if count}
