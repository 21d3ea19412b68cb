"""Records to JSON and back, by the types of their fields: names in camelCase, times in UTC with six digits.

One rule for events' `data` and for what is stored as JSON, so that replay equals live.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from math import isfinite
from operator import attrgetter
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from domain.memory import Memory
from domain.model import JsonObject, JsonValue

T = TypeVar("T")
_Decoder = Callable[[Any], Any]
_Encoder = Callable[[Any], JsonValue]

_KEPT: Final = 1024
"""Classes; a team may make new ones."""

_PLAIN: Final = frozenset({bool, int, types.NoneType})
"""Classes whose values are JSON."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTES: Final = tuple(f"T{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS: Final = tuple(f"{second:02}." for second in range(60))


def to_micros(time: datetime) -> int:
    """Return an aware time as microseconds since the epoch, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the time that `to_micros` wrote, in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def _format_micros(micros: int) -> str:
    # Put together of parts: to make a time of it first takes twice as long.
    minutes, rest = divmod(micros, 60_000_000)
    day, minute = divmod(minutes, 1_440)
    second, fraction = divmod(rest, 1_000_000)
    return f"{_day(day)}{_MINUTES[minute]}{_SECONDS[second]}{fraction:06}Z"


TIMES: Final = Memory(_format_micros, 16_384)
"""What `format_time` returns, by the microseconds that `from_micros` reads; the same lists are read again and again."""


@lru_cache(1_024)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(number)).isoformat()[:-15]  # without the time and the offset


def format_time(time: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with microseconds, such as 2026-11-23T09:30:00.000000Z."""
    return TIMES[to_micros(time)]


def to_json(value: object) -> JsonValue:
    """Return a record, or anything that one holds, as JSON values.

    Raises:
        TypeError: The value is of a type that JSON has no form for.
        ValueError: A number is not finite, or a text has no form in UTF-8.
    """
    kind: Any = type(value)  # mypy takes no class for hashable
    return _encoder(kind)(value)


def to_json_object(record: object) -> JsonObject:
    """Return a record as a JSON object."""
    return cast("JsonObject", to_json(record))


def from_json(cls: type[T], data: Mapping[str, Any]) -> T:
    """Return the record that `to_json` wrote.

    A missing field takes its default, an unknown one is ignored: rows outlive versions of this code.
    """
    decoders = _decoders(cast("Any", cls))
    return cls(**{name: decode(data[alias]) for name, alias, decode in decoders if alias in data})


def camel_case(name: str) -> str:
    """Return a Python name as GraphQL and JSON spell it."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@lru_cache(_KEPT)
def _encoder(cls: Any) -> _Encoder:
    """Return what turns the values of a class into JSON."""
    is_record: bool = is_dataclass(cls)
    for kind, encode in _ENCODERS:
        if issubclass(cls, kind):
            return encode
    return _record_encoder(cls) if is_record else _refuse


def _from_float(value: float) -> JsonValue:
    if not isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value


def _from_text(value: str) -> JsonValue:
    if not value.isascii():
        value.encode()
    return value


def _from_mapping(value: Mapping[Any, Any]) -> JsonValue:
    return {str(key): to_json(item) for key, item in value.items()}


def _from_list(value: Sequence[Any]) -> JsonValue:
    return [to_json(item) for item in value]


def _record_encoder(cls: Any) -> _Encoder:
    """Return what turns records of a class into JSON; most of what they hold needs no look at its own encoder."""
    aliases = [alias for _, alias in _aliases(cls)]
    read = _values_of([name for name, _ in _aliases(cls)])

    def encode(record: object) -> JsonValue:
        found: JsonObject = {}
        for alias, item in zip(aliases, read(record), strict=True):
            kind: Any = type(item)
            is_plain = kind in _PLAIN or (kind is str and item.isascii())
            found[alias] = item if is_plain else _encoder(kind)(item)
        return found

    return encode


def _values_of(names: Sequence[str]) -> Callable[[Any], Sequence[Any]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: [getattr(record, name) for name in names]


def _refuse(value: object) -> JsonValue:
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _aliases(cls: Any) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, camel_case(field.name)) for field in fields(cls))


@cache
def _decoders(cls: Any) -> tuple[tuple[str, str, _Decoder], ...]:
    hints = get_type_hints(cls)
    return tuple((name, alias, _decoder(hints[name])) for name, alias in _aliases(cls))


def _decoder(hint: Any) -> _Decoder:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _optional(hint)
    if origin is tuple:
        item = _decoder(get_args(hint)[0])
        return lambda value: tuple(item(part) for part in value)
    if isinstance(hint, type):
        if issubclass(hint, datetime):
            return datetime.fromisoformat
        if issubclass(hint, StrEnum):
            return hint
        if is_dataclass(hint):
            return lambda value: from_json(hint, value)
    return _same


def _optional(hint: Any) -> _Decoder:
    """Decode `X | None`; any other union holds plain JSON, which is its own form."""
    members = [member for member in get_args(hint) if member is not types.NoneType]
    if len(members) != 1:
        return _same
    decode = _decoder(members[0])
    return lambda value: None if value is None else decode(value)


def _same(value: Any) -> Any:
    return value


_ENCODERS: Final[Sequence[tuple[type | tuple[type, ...], _Encoder]]] = (
    (float, _from_float),
    ((types.NoneType, int), _same),
    (StrEnum, str),
    (str, _from_text),
    (datetime, format_time),
    (Mapping, _from_mapping),
    ((list, tuple), _from_list),
)
