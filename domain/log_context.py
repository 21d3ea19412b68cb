"""What is being done, for the records that are logged meanwhile.

Whoever configures logging reads it when a record is written; whoever logs need not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

_doing: Final[ContextVar[Mapping[str, str]]] = ContextVar("doing", default=MappingProxyType({}))


@contextmanager
def doing(**ids: str) -> Iterator[None]:
    """Say by ids, such as `run_id`, what the block and the tasks that it starts are about; adds to what was said."""
    token = _doing.set({**_doing.get(), **ids})
    try:
        yield
    finally:
        _doing.reset(token)


def what_is_done() -> Mapping[str, str]:
    """Return the ids of what is being done here."""
    return _doing.get()
