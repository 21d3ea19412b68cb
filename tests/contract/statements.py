"""What a store sends to its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event


@dataclass(frozen=True)
class Sent:
    """A statement with its parameters, as the driver gets them."""

    sql: str
    params: Any


@contextmanager
def sent() -> Iterator[list[Sent]]:
    """Collect the statements that are executed in the block, without those that begin and end transactions."""
    found: list[Sent] = []

    def note(_connection: Connection, _cursor: Any, sql: str, params: Any, *_: Any) -> None:
        if not sql.startswith("BEGIN"):
            found.append(Sent(sql, params))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)
