"""Frozen records, made of what was stored and copied at every commit, faster than by `dataclasses`.

A frozen record refuses to be written, so `dataclasses` writes it field by field through `object.__setattr__`, which
looks up a name, its slot and what writes a slot: more memory than the caches of a processor still hold after it
waited for a disk. Here an object of a twin, a class with the same slots that refuses nothing, is written by the
interpreter's own instruction, which remembers where a slot is; at last it becomes one of the record's class, which
Python allows where the slots are the same (https://docs.python.org/3/reference/datamodel.html#object.__class__).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")
Setter = Callable[[Any, Any], None]


def replaced(record: T, **values: Any) -> T:
    """Return a record with some of its fields replaced.

    Args:
        record: Of a dataclass with slots, a direct subclass of object, all fields of which are set.
        values: The fields to replace, by name.

    Raises:
        KeyError: There is no such field.
    """
    kind: Any = type(record)  # mypy takes no class for hashable
    copy, setters = _copying(kind)
    made: T = copy(record)
    for name, value in values.items():
        setters[name](made, value)
    return made


def values_of(*names: str) -> Callable[[object], dict[str, Any]]:
    """Return what reads some fields of a record, by their names; at least two."""
    read = attrgetter(*names)
    return lambda record: dict(zip(names, read(record), strict=True))


def setters_of(cls: type[Any]) -> Mapping[str, Setter]:
    """Return what sets each field of a dataclass with slots, in their order, also of one that is frozen."""
    return {field.name: getattr(cls, field.name).__set__ for field in fields(cls)}


def reader_of(cls: type[T], names: Sequence[str]) -> Callable[[Sequence[Any]], T]:
    """Return what makes a record of a sequence that begins with the values of some fields; the others are not set.

    Args:
        cls: The record's class, as for `replaced`.
        names: The fields, in the order of their values.
    """
    return _compiled(cls, f"({', '.join(f'made.{name}' for name in names)},) = source[:{len(names)}]")


@cache
def _copying(cls: Any) -> tuple[Callable[[Any], Any], Mapping[str, Setter]]:
    setters = setters_of(cls)
    return _compiled(cls, *(f"made.{name} = source.{name}" for name in setters)), setters


def _compiled(cls: type[T], *lines: str) -> Callable[[Any], T]:
    """Return a function of `source` that makes a record and executes lines, which set fields of `made`."""
    twin = type(cls.__name__, (), {"__slots__": [field.name for field in fields(cls)]})  # type: ignore[arg-type]
    body = ("made = new(twin)", *lines, "made.__class__ = cls", "return made")
    names: dict[str, Any] = {"new": object.__new__, "twin": twin, "cls": cls}
    text = "\n    ".join(("def make(source):", *body))
    exec(compile(text, f"<{cls.__name__}>", "exec"), names)  # noqa: S102  # the names are those of our own fields
    make: Callable[[Any], T] = names["make"]
    return make
