"""Opaque, time-ordered ids that name their kind: `run_01k9z3v6q5w8m1c2x7r4t0b9ye`.

The part after the underscore follows the ULID layout: 48 bits of milliseconds, then 80 random bits, in Crockford's
base 32 (https://github.com/ulid/spec). Within one process ids made in the same millisecond still ascend, so that the
order of ids is the order of creation.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_LENGTH: Final = 26
_RANDOM_BITS: Final = 80


class Kind(StrEnum):
    """What an id stands for; its prefix."""

    TASK = "task"
    RUN = "run"
    METRIC = "metric"
    ARTIFACT = "artifact"


class IdFactory:
    """Makes ids; one per process, so that they ascend."""

    def __init__(
        self,
        milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        entropy: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._milliseconds = milliseconds
        self._entropy = entropy
        self._last = 0

    def new(self, kind: Kind) -> str:
        """Return a fresh id of a kind, greater than every one this factory made before."""
        value = self._milliseconds() << _RANDOM_BITS | self._entropy(_RANDOM_BITS)
        self._last = max(value, self._last + 1)
        return f"{kind}_{_encode(self._last)}"


def kind_of(id_: str) -> Kind | None:
    """Return what an id stands for, None for a text that is no id of ours."""
    prefix, separator, rest = id_.partition("_")
    if not separator or len(rest) != _LENGTH or not set(rest) <= set(_ALPHABET):
        return None
    try:
        return Kind(prefix)
    except ValueError:
        return None


def _encode(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(5 * (_LENGTH - 2), -1, -10)])
