"""Column types that read the same from SQLite and PostgreSQL.

Rows are read by the million, so each type hands out one plain function for its values; what SQLAlchemy would otherwise
stack on top of one another costs more than the reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sqlalchemy import JSON, TIMESTAMP, BigInteger, Dialect, Integer, SmallInteger, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from domain.codec import from_json, from_micros, to_json, to_micros
from domain.model import JsonValue, LogLevel
from storage.postgres_text import without_nul

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader: TypeAlias = Callable[[Any], Any]
Writer: TypeAlias = Callable[[Any], Any]

POSTGRESQL: Final = "postgresql"
_REMEMBERED: Final = 1024
"""Values of a column."""

_dump: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_EMPTY: Final[JsonValue] = {}

Ordered: Final = Text().with_variant(Text(collation="C"), POSTGRESQL)
"""Text that sorts by code point, as SQLite's does; every id and name that lists are sorted by."""

Whole: Final = Integer().with_variant(BigInteger(), POSTGRESQL)
"""A whole number of 64 bits."""

Serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database counts; SQLite does so for a column of exactly this type only."""


def _in_utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


def _aware(time: datetime) -> datetime:
    to_micros(time)
    return time


class Stored(TypeDecorator[T], Generic[T]):
    """A type whose values one function reads from what the driver gives, and one writes to what it takes."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Reader:
        """Return what reads a value; NULL is None."""
        read = self.reader(dialect)
        return lambda value: None if value is None else read(value)

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL."""
        raise NotImplementedError

    def bind_processor(self, dialect: Dialect) -> Writer:
        """Return what writes a value; None is NULL."""
        write = self.writer(dialect)
        return lambda value: None if value is None else write(value)

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a value that is not None."""
        raise NotImplementedError


class UtcDateTime(Stored[datetime]):
    """An aware time in UTC with microseconds: an integer on SQLite, which has no type for it, else timestamptz."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == POSTGRESQL else BigInteger())

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a time that is not None; it refuses a naive one, with TypeError."""
        return _aware if dialect.name == POSTGRESQL else to_micros

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL, in UTC."""
        return _in_utc if dialect.name == POSTGRESQL else from_micros


class _JsonBased(Stored[T], Generic[T]):
    """A value kept as JSON, None as NULL; NaN and Infinity are refused with ValueError.

    It is read as it was written, to the order of keys and the kind of each number, which jsonb would not keep.
    """

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(JSON(none_as_null=True) if dialect.name == POSTGRESQL else Text())

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes the JSON of a value that is not None, a text to every driver."""
        encode = self.encode
        return lambda value: _dump(encode(value))

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL."""
        if dialect.name == POSTGRESQL:
            return self.decode  # psycopg has parsed it
        parse, decode = json.JSONDecoder().raw_decode, self.decode
        return lambda text: decode(parse(text)[0])

    def encode(self, value: Any) -> Any:
        """Return a value as JSON."""
        return value

    def decode(self, data: Any) -> Any:
        """Return the value that `encode` wrote."""
        return data


class Json(_JsonBased[JsonValue]):
    """Any JSON value."""

    cache_ok = True

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes the JSON of a value that is not None; many are empty objects."""
        return lambda value: "{}" if value == _EMPTY else _dump(value)


class Listed(_JsonBased[Sequence[str]]):
    """Strings to look for."""

    cache_ok = True

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a list, on PostgreSQL of texts as it has them."""
        if dialect.name != POSTGRESQL:
            return super().writer(dialect)
        return lambda value: _dump([without_nul(item) for item in value])


def _remembering(read: Reader, dialect: Dialect) -> Reader:
    """Return a reader of what can't be changed: on SQLite, rows with the same text share one object."""
    return read if dialect.name == POSTGRESQL else lru_cache(_REMEMBERED)(read)


class Strings(_JsonBased[tuple[str, ...]]):
    """A few strings in order."""

    cache_ok = True

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a list of the strings; most are of the same few, and of none."""
        write = lru_cache(_REMEMBERED)(_dump)
        return lambda value: write(tuple(value))

    def decode(self, data: Any) -> tuple[str, ...]:
        """Return the strings."""
        return tuple(data)

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL."""
        return _remembering(super().reader(dialect), dialect)


class Record(_JsonBased[T], Generic[T]):
    """A frozen record that holds nothing that can change and is never searched by its fields.

    Most runs have the settings and the usage of others.
    """

    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a record's JSON; that of one which is written again and again is made once."""
        write, written = super().writer(dialect), dict[int, tuple[T, Any]]()

        def write_once(value: T) -> Any:
            known = written.get(id(value))
            if known is not None and known[0] is value:
                return known[1]
            if len(written) >= _REMEMBERED:
                written.clear()
            text = write(value)
            written[id(value)] = value, text
            return text

        return write_once

    def encode(self, value: T) -> Any:
        """Return the record as an object."""
        return to_json(value)

    def decode(self, data: Any) -> T:
        """Return the record."""
        return from_json(self.cls, data)

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL."""
        return _remembering(super().reader(dialect), dialect)


class Records(_JsonBased[tuple[T, ...]], Generic[T]):
    """Frozen records in order."""

    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def encode(self, value: Sequence[T]) -> Any:
        """Return the records as a list of objects."""
        return [to_json(item) for item in value]

    def decode(self, data: Any) -> tuple[T, ...]:
        """Return the records."""
        return tuple(from_json(self.cls, item) for item in data)


class Word(Stored[E], Generic[E]):
    """A member of a string enum, as its value; new members need no migration."""

    cache_ok = True

    def __init__(self, cls: type[E]) -> None:
        super().__init__()
        self.cls = cls

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a member's value; no member is what the driver has a form for."""
        return str

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL."""
        return {member.value: member for member in self.cls}.__getitem__


class Severity(Stored[LogLevel]):
    """A log level as a number, so that "from this level up" is a comparison."""

    impl = SmallInteger
    cache_ok = True

    _levels: Final = tuple(LogLevel)

    def writer(self, dialect: Dialect) -> Writer:
        """Return what writes a level's rank, 0 the lowest."""
        return self._levels.index

    def reader(self, dialect: Dialect) -> Reader:
        """Return what reads a value that is not NULL."""
        return self._levels.__getitem__
