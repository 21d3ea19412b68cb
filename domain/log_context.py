"""What is being done, for the records that are logged meanwhile.

Whoever configures logging reads it when a record is written; whoever logs need not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Final

_doing: Final[ContextVar[Mapping[str, str]]] = ContextVar("doing", default=MappingProxyType({}))


class doing:  # noqa: N801  # it is used as a function, which would make a generator for each request
    """Say by ids, such as `run_id`, what the block and the tasks that it starts are about; adds to what was said."""

    __slots__ = ("_ids", "_token")

    def __init__(self, **ids: str) -> None:
        self._ids = ids
        self._token: Token[Mapping[str, str]]

    def __enter__(self) -> None:
        said = _doing.get()
        self._token = _doing.set({**said, **self._ids} if said else self._ids)

    def __exit__(self, *_: object) -> None:
        _doing.reset(self._token)


def what_is_done() -> Mapping[str, str]:
    """Return the ids of what is being done here."""
    return _doing.get()
