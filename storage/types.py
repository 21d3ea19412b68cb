"""Column types that read the same from SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar, cast

from sqlalchemy import BigInteger, Dialect, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

from domain.codec import from_json, to_json
from domain.model import JsonValue, LogLevel

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

POSTGRESQL: Final = "postgresql"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Ordered: Final = Text().with_variant(Text(collation="C"), POSTGRESQL)
"""Text that sorts by code point, as SQLite's does; every id and name that lists are sorted by."""

Serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database counts; SQLite does so for a column of exactly this type only."""


def to_micros(time: datetime) -> int:
    """Return an aware time as microseconds since the epoch, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time that `to_micros` wrote, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class UtcDateTime(TypeDecorator[datetime]):
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

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read a time, in UTC."""
        if value is None:
            return None
        return cast("datetime", value).astimezone(UTC) if dialect.name == POSTGRESQL else from_micros(value)


class Json(TypeDecorator[JsonValue]):
    """Any JSON value, None as NULL; NaN and Infinity are refused with ValueError."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(JSONB(none_as_null=True) if dialect.name == POSTGRESQL else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Write the value's JSON."""
        if value is None:
            return None
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        return value if dialect.name == POSTGRESQL else text

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read what was written."""
        return value if value is None or dialect.name == POSTGRESQL else json.loads(value)


class Strings(TypeDecorator[tuple[str, ...]]):
    """A few strings in order, as a JSON list."""

    impl = Json
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        """Write a list."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...]:
        """Read a tuple."""
        return tuple(value or ())


class Record(TypeDecorator[T], Generic[T]):
    """A frozen record that is never searched by its fields, as a JSON object."""

    impl = Json
    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:
        """Write the record's JSON."""
        return None if value is None else to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:
        """Read the record."""
        return None if value is None else from_json(self.cls, value)


class Records(TypeDecorator[tuple[T, ...]], Generic[T]):
    """Frozen records in order, as a JSON list."""

    impl = Json
    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: Sequence[T] | None, dialect: Dialect) -> Any:
        """Write the records' JSON."""
        return None if value is None else to_json(list(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[T, ...]:
        """Read the records."""
        return tuple(from_json(self.cls, item) for item in value or ())


class Word(TypeDecorator[E], Generic[E]):
    """A member of a string enum, as its value; new members need no migration."""

    impl = Text
    cache_ok = True

    def __init__(self, cls: type[E]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:
        """Write the member's value."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:
        """Read the member."""
        return None if value is None else self.cls(value)


class Severity(TypeDecorator[LogLevel]):
    """A log level as a number, so that "from this level up" is a comparison."""

    impl = SmallInteger
    cache_ok = True

    _levels: Final = tuple(LogLevel)

    def process_bind_param(self, value: LogLevel | None, dialect: Dialect) -> int | None:
        """Write the level's rank, 0 the lowest."""
        return None if value is None else self._levels.index(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> LogLevel | None:
        """Read the level."""
        return None if value is None else self._levels[value]
