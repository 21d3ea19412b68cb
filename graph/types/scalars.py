"""The two scalars of the API: times that can't be misread, and JSON that every client can read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NewType

import strawberry
from graphql import GraphQLError, ValueNode, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

from domain.codec import TIMES, format_time, from_micros
from domain.model import JsonValue

if TYPE_CHECKING:
    JSON = JsonValue
else:
    JSON = NewType("JSON", object)

MAX_JSON_DEPTH: Final = 100
"""Deeper values would overflow the stack of those who walk them; no config comes near."""

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)


def parse_time(value: object) -> datetime:
    """Read a time as RFC 3339 (section 5.6) writes it, offset included.

    Raises:
        GraphQLError: It is no text, not of this form, lacks the offset, or is no point in time.
    """
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise GraphQLError("A DateTime is written with date, time and offset, such as 2026-11-23T09:30:00Z.")


def print_time(value: object) -> str:
    """Write a time in UTC with six digits.

    Raises:
        GraphQLError: It is no aware time, which is a mistake of ours.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise GraphQLError("Only times with an offset can be written as DateTime.")
    return format_time(value)


def parse_json(value: JsonValue) -> JsonValue:
    """Accept a JSON value from a client.

    Raises:
        GraphQLError: It holds NaN or an infinity, or is nested too deeply.
    """
    depth = 0
    level: list[object] = [value]
    while level := _below(level):
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise GraphQLError(f"JSON may be nested {MAX_JSON_DEPTH} levels deep.")
    return value


def parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> JsonValue:
    """Accept a JSON value that is written in the document itself; as `parse_json`."""
    value: JsonValue = value_from_ast_untyped(node, variables)
    return parse_json(value)


def print_json(value: object) -> object:
    """Pass a JSON value on.

    Raises:
        GraphQLError: It holds NaN or an infinity, for which JSON has no form.
    """
    level = [value]
    while level := _below(level):
        pass
    return value


def _below(values: list[object]) -> list[object]:
    """Return what one level of a JSON value holds, having refused numbers that JSON has no form for."""
    found: list[object] = []
    for value in values:
        if isinstance(value, dict):
            found += value.values()
        elif isinstance(value, (list, tuple)):
            found += value
        elif isinstance(value, float) and not math.isfinite(value):
            raise GraphQLError("JSON has no form for NaN and infinities.")
    return found


SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "RFC 3339 with an offset, such as 2026-11-23T09:30:00Z; always printed in UTC with six digits. "
            "Naive and date-only values are refused."
        ),
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=print_time,
        parse_value=parse_time,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value. NaN and Infinity are refused.",
        serialize=print_json,
        parse_value=parse_json,
        parse_literal=parse_json_literal,
    ),
}
"""What a Python type in an annotation stands for."""

SHORT_WAYS: Final[Mapping[tuple[object, object], Mapping[Any, str]]] = {(from_micros, print_time): TIMES}
"""What a column's reader and then a scalar's serializer make of a cell, without what lies between them."""
