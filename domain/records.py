"""Copies of frozen records, for where every commit makes some: `dataclasses.replace` takes twice as long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from itertools import repeat
from operator import attrgetter, call
from typing import Any, TypeVar

T = TypeVar("T")
Setter = Callable[[Any, Any], None]


def replaced(record: T, **values: Any) -> T:
    """Return a record with some of its fields replaced.

    Args:
        record: Of a dataclass with slots and at least two fields, all of which are set by its caller.
        values: The fields to replace, by name.

    Raises:
        KeyError: There is no such field.
    """
    kind: Any = type(record)  # mypy takes no class for hashable
    read, setters, named = _parts(kind)
    copy: T = object.__new__(kind)
    set_all(copy, setters, read(record))
    for name, value in values.items():
        named[name](copy, value)
    return copy


def setters_of(cls: type[Any]) -> Mapping[str, Setter]:
    """Return what sets each field of a dataclass with slots, in their order, also of one that is frozen."""
    return {field.name: getattr(cls, field.name).__set__ for field in fields(cls)}


def set_all(record: object, setters: Iterable[Setter], values: Iterable[Any]) -> None:
    """Set some fields of a record; values beyond the setters are left out."""
    any(map(call, setters, repeat(record), values))  # none returns anything: a loop, but not in Python


@cache
def _parts(cls: Any) -> tuple[Callable[[Any], Sequence[Any]], Sequence[Setter], Mapping[str, Setter]]:
    named = setters_of(cls)
    return attrgetter(*named), tuple(named.values()), named
