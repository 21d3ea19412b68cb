"""Column types that read the same from SQLite and PostgreSQL.

Rows are read by the million, so on SQLite each type hands out one plain function for its values; what SQLAlchemy would
otherwise stack on top of one another costs more than the reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSON, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

from domain.codec import from_json, to_json
from domain.model import JsonValue, LogLevel
from storage.postgres_text import without_nul

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Reader: TypeAlias = Callable[[Any], Any]

POSTGRESQL: Final = "postgresql"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Ordered: Final = Text().with_variant(Text(collation="C"), POSTGRESQL)
"""Text that sorts by code point, as SQLite's does; every id and name that lists are sorted by."""

Whole: Final = Integer().with_variant(BigInteger(), POSTGRESQL)
"""A whole number of 64 bits."""

Serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database counts; SQLite does so for a column of exactly this type only."""


def to_micros(time: datetime) -> int:
    """Return an aware time as microseconds since the epoch, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time that `to_micros` wrote, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class _Read(TypeDecorator[T], Generic[T]):
    """A type whose values one function reads from what SQLite keeps, and another from what PostgreSQL does."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Reader | None:
        """Return what reads a value; NULL is None."""
        if dialect.name == POSTGRESQL:
            return super().result_processor(dialect, coltype)
        read = self.reader()
        return lambda value: None if value is None else read(value)

    def reader(self) -> Reader:
        """Return what reads a value that is not NULL from SQLite."""
        raise NotImplementedError


class UtcDateTime(_Read[datetime]):
    """An aware time in UTC with microseconds: an integer on SQLite, which has no type for it, else timestamptz."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(TIMESTAMP(timezone=True) if dialect.name == POSTGRESQL else BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive time, with TypeError."""
        micros = None if value is None else to_micros(value)
        return value if dialect.name == POSTGRESQL else micros

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read PostgreSQL's time, in UTC."""
        return None if value is None else value.astimezone(UTC)

    def reader(self) -> Reader:
        """Return what reads a value that is not NULL from SQLite."""
        return from_micros


class _JsonBased(_Read[T], Generic[T]):
    """A value kept as JSON, None as NULL; NaN and Infinity are refused with ValueError.

    It is read as it was written, to the order of keys and the kind of each number, which jsonb would not keep.
    """

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(JSON(none_as_null=True) if dialect.name == POSTGRESQL else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Write the value's JSON."""
        if value is None:
            return None
        data = self.encode(value)
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        return data if dialect.name == POSTGRESQL else text

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read what PostgreSQL has parsed."""
        return None if value is None else self.decode(value)

    def reader(self) -> Reader:
        """Return what reads a value that is not NULL from SQLite."""
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


class Listed(_JsonBased[Sequence[str]]):
    """Strings to look for."""

    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """Write the list, on PostgreSQL of texts as it has them."""
        wanted = [without_nul(item) for item in value] if value and dialect.name == POSTGRESQL else value
        return super().process_bind_param(wanted, dialect)


class Strings(_JsonBased[tuple[str, ...]]):
    """A few strings in order."""

    cache_ok = True

    def encode(self, value: Sequence[str]) -> Any:
        """Return the strings as a list."""
        return list(value)

    def decode(self, data: Any) -> tuple[str, ...]:
        """Return the strings."""
        return tuple(data)


class Record(_JsonBased[T], Generic[T]):
    """A frozen record that holds nothing that can change and is never searched by its fields.

    Rows with the same text share one object: most runs have the settings and the usage of others.
    """

    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def encode(self, value: T) -> Any:
        """Return the record as an object."""
        return to_json(value)

    def decode(self, data: Any) -> T:
        """Return the record."""
        return from_json(self.cls, data)

    def reader(self) -> Reader:
        """Return what reads a value that is not NULL from SQLite."""
        return lru_cache(maxsize=256)(super().reader())


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


class Word(_Read[E], Generic[E]):
    """A member of a string enum, as its value; new members need no migration."""

    cache_ok = True

    def __init__(self, cls: type[E]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        """Write the member's value."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """Read the member from PostgreSQL."""
        return None if value is None else self.cls(value)

    def reader(self) -> Reader:
        """Return what reads a value that is not NULL from SQLite."""
        return {member.value: member for member in self.cls}.__getitem__


class Severity(_Read[LogLevel]):
    """A log level as a number, so that "from this level up" is a comparison."""

    impl = SmallInteger
    cache_ok = True

    _levels: Final = tuple(LogLevel)

    def process_bind_param(self, value: LogLevel | None, dialect: Dialect) -> int | None:
        """Write the level's rank, 0 the lowest."""
        return None if value is None else self._levels.index(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> LogLevel | None:
        """Read the level from PostgreSQL."""
        return None if value is None else self._levels[value]

    def reader(self) -> Reader:
        """Return what reads a value that is not NULL from SQLite."""
        return self._levels.__getitem__
