"""Rules of input: ranges, lengths and forms. Each returns the value as it is stored, or refuses it with its path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Final

from domain.errors import InvalidInputError
from domain.model import JsonObject, JsonValue

MAX_NAME: Final = 255
MAX_DESCRIPTION: Final = 20_000
MAX_LABEL: Final = 64
MAX_LABELS: Final = 50
MAX_FEEDBACK: Final = 10_000
MAX_REASON: Final = 2_000
MAX_CONFIG_BYTES: Final = 64 * 1024
MAX_APPROVAL_TIMEOUT: Final = 2_592_000
MAX_METRIC_NAME: Final = 128
MAX_UNIT: Final = 50
MAX_METRIC_LABELS: Final = 20
MAX_METRIC_LABEL_VALUE: Final = 256
MAX_METRICS: Final = 1_000
MAX_IDEMPOTENCY_KEY: Final = 64

_encode: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a character beyond the basic plane, which UTF-8 has no form for; NUL is refused by PostgreSQL."""


def text(value: str | None, *path: str, maximum: int, minimum: int = 0) -> str:
    """Check a text's length; one that must not be empty is trimmed first."""
    if value is None:
        raise InvalidInputError(f"{_name(path)} can't be null.", path=path)
    kept = value.strip() if minimum else value
    if not minimum <= len(kept) <= maximum:
        limits = f"{minimum} to {maximum}" if minimum else f"at most {maximum}"
        blank = " and must not be blank" if minimum and not kept else ""
        raise InvalidInputError(f"{_name(path)} must have {limits} characters{blank}.", path=path)
    if "\x00" in kept or _SURROGATE.search(kept):
        raise InvalidInputError(f"{_name(path)} holds a character that can't be stored.", path=path)
    return kept


def whole(value: int | None, *path: str, minimum: int, maximum: int) -> int:
    """Check a whole number's range."""
    if value is None or not minimum <= value <= maximum:
        raise InvalidInputError(f"{_name(path)} must be between {minimum} and {maximum}.", path=path)
    return value


def finite(value: float | None, *path: str) -> float:
    """Refuse null, NaN and Infinity."""
    if value is None or not math.isfinite(value):
        raise InvalidInputError(f"{_name(path)} must be a finite number.", path=path)
    return value


def labels(values: Sequence[str] | None, *path: str) -> tuple[str, ...]:
    """Check labels; each is trimmed, repeats are dropped, the order stays."""
    if values is None:
        raise InvalidInputError(f"{_name(path)} can't be null.", path=path)
    if len(values) > MAX_LABELS:
        raise InvalidInputError(f"At most {MAX_LABELS} labels are allowed.", path=path)
    kept = (text(value, *path, str(place), minimum=1, maximum=MAX_LABEL) for place, value in enumerate(values))
    return tuple(dict.fromkeys(kept))


def config(value: JsonValue, *path: str) -> JsonObject:
    """Check that a config is a JSON object within its size."""
    if not isinstance(value, dict):
        raise InvalidInputError(f"{_name(path)} must be a JSON object.", path=path)
    try:
        size = len(_encode(value).encode())
    except (ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise InvalidInputError(f"{_name(path)} is no JSON: {error}.", path=path) from None
    if size > MAX_CONFIG_BYTES:
        raise InvalidInputError(f"{_name(path)} has {size} bytes of JSON; at most {MAX_CONFIG_BYTES} fit.", path=path)
    return value


def metric_labels(value: JsonValue, *path: str) -> dict[str, str]:
    """Check a metric's labels: a JSON object of texts."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidInputError(f"{_name(path)} must be a JSON object whose values are strings.", path=path)
    if len(value) > MAX_METRIC_LABELS:
        raise InvalidInputError(f"At most {MAX_METRIC_LABELS} metric labels are allowed.", path=path)
    return {
        text(key, *path, key, minimum=1, maximum=MAX_LABEL): text(str(item), *path, key, maximum=MAX_METRIC_LABEL_VALUE)
        for key, item in value.items()
    }


def _name(path: tuple[str, ...]) -> str:
    return path[-1].replace("_", " ").capitalize() if not path[-1].isdigit() else f"{path[-2]} {path[-1]}".capitalize()
