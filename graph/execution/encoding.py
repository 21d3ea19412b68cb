"""JSON in and out: orjson, with an exact answer where orjson has none."""

import json
import math

import orjson


def encode(value: object) -> bytes:
    """Encode a value as compact UTF-8 JSON on one line.

    Integers beyond 64 bits are written in full, lone surrogates as escapes, and NaN and infinities,
    which JSON doesn't know, as null.

    Raises:
        TypeError: Something in the value has no JSON form.
        ValueError: The value contains itself.
        RecursionError: The value is nested too deeply.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False).encode()


def decode(text: bytes | str) -> object:
    """Decode JSON from a client.

    Raises:
        ValueError: It is no JSON, not UTF-8, or nested deeper than 1,024 levels.
    """
    decoded: object = orjson.loads(text)
    return decoded


def _finite(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value
