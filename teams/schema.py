"""Checks JSON values against a JSON Schema (draft 2020-12) and words what is wrong for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from domain.errors import InvalidInputError
from domain.model import JsonObject, JsonValue

NO_REFERENCES: Final[Registry[Any]] = Registry()
"""Without it a `$ref` to a web address would be fetched."""

_MAX_MESSAGE: Final = 500
_MOST_ALLOWED: Final = 64
_allowed: Final[dict[tuple[int, str], JsonObject]] = {}
"""Schemas by what they have allowed: runs of a task have the same config, and to check one takes long."""

_TYPE_NAMES: Final = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def check_config(schema: JsonObject, config: JsonValue, path: tuple[str, ...] = ("config",)) -> None:
    """Refuse a value that a schema does not allow.

    Args:
        schema: What is allowed.
        config: The value.
        path: Where the value stands in the input; the error's path goes on from there.

    Raises:
        InvalidInputError: The most telling of the faults, with the path down to its field.
    """
    known = id(schema), repr(config)
    if _allowed.get(known) is schema:
        return
    for place in infinite_numbers(config):
        raise InvalidInputError(f"{name_of((*path, *place))} must be a finite number.", path=(*path, *place))
    try:
        fault = best_match(validator(schema).iter_errors(config))
    except Unresolvable as error:
        raise InvalidInputError(
            f"The team's config schema refers to {error.ref!r}, which it does not hold; its operator must mend it.",
            path=path,
        ) from error
    if fault is not None:
        place = location(fault)
        raise InvalidInputError(explain(fault, name_of((*path, *place))), path=(*path, *place))
    if len(_allowed) >= _MOST_ALLOWED:
        _allowed.clear()
    _allowed[known] = schema


def check_schema(schema: object) -> None:
    """Refuse what is no JSON Schema of an object.

    Raises:
        ValueError: It is not; the message says why.
    """
    if not isinstance(schema, Mapping):
        raise ValueError(f"it must be a JSON Schema, a dict, not {type(schema).__name__}")  # noqa: TRY004 (one kind)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(error.message[:_MAX_MESSAGE]) from error


def validator(schema: JsonObject) -> Draft202012Validator:
    """Return a validator that never reads from the network."""
    return Draft202012Validator(schema, registry=NO_REFERENCES)


def infinite_numbers(value: JsonValue) -> Iterator[tuple[str, ...]]:
    """Yield the places of numbers that JSON has no form for, and that would pass every range."""
    waiting: list[tuple[tuple[str, ...], JsonValue]] = [((), value)]
    while waiting:
        place, current = waiting.pop()
        match current:
            case float() if not math.isfinite(current):
                yield place
            case dict():
                waiting += [((*place, key), item) for key, item in current.items()]
            case list():
                waiting += [((*place, str(index)), item) for index, item in enumerate(current)]
            case _:
                pass


def name_of(path: tuple[str, ...]) -> str:
    """Return how to speak of the field at the end of a path."""
    *_, last = path
    return f"item {int(last) + 1}" if last.isdecimal() else last


def location(fault: ValidationError) -> tuple[str, ...]:
    """Return the path to the field at fault; for a missing or an unknown key, to that key."""
    place = tuple(str(part) for part in fault.absolute_path)
    match fault.validator:
        case "required":
            return (*place, *_missing(fault)[:1])
        case "additionalProperties":
            return (*place, *_unknown(fault)[:1])
        case _:
            return place


def explain(fault: ValidationError, name: str) -> str:
    """Return a sentence that says what to do about a fault of a field."""
    limit: Any = fault.validator_value
    if "propertyNames" in fault.absolute_schema_path:
        return _cut(f"{_show(fault.instance)} can't be a key of {name}; it must match the pattern {limit}.")
    match fault.validator:
        case "required":
            return f"{name} is required."
        case "additionalProperties":
            known = ", ".join(sorted(_properties(fault))) or "none"
            return f"{name} is not a known key; known are: {known}."
        case "type":
            kinds = [limit] if isinstance(limit, str) else list(limit)
            return f"{name} must be {' or '.join(_TYPE_NAMES.get(kind, kind) for kind in kinds)}."
        case "enum":
            return _cut(f"{name} must be one of {', '.join(map(_show, limit))}; it is {_show(fault.instance)}.")
        case "minimum":
            return f"{name} must be at least {limit}; it is {fault.instance}."
        case "maximum":
            return f"{name} must be at most {limit}; it is {fault.instance}."
        case "minLength" | "minItems":
            return f"{name} must not be empty." if limit == 1 else f"{name} must have at least {limit} items."
        case "maxLength":
            return f"{name} must have at most {limit} characters."
        case "pattern":
            return _cut(f"{name} must match the pattern {limit}; it is {_show(fault.instance)}.")
        case _:
            return _cut(f"{name}: {fault.message}.")


def _missing(fault: ValidationError) -> list[str]:
    required: Any = fault.validator_value
    return [key for key in required if fault.message.startswith(repr(key))]


def _unknown(fault: ValidationError) -> list[str]:
    given: Any = fault.instance
    return sorted(key for key in given if key not in _properties(fault))


def _properties(fault: ValidationError) -> Mapping[str, object]:
    rules: Any = fault.schema
    return cast("Mapping[str, object]", rules.get("properties", {}))


def _show(value: object) -> str:
    return value if isinstance(value, str) and value else repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else f"{text[: _MAX_MESSAGE - 1]}…"
