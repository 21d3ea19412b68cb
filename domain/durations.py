"""How long things take, counted where they happen: cheap enough for whatever is done a thousand times a second."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the buckets in seconds, each included; one without an end follows."""


class Durations:
    """A histogram of durations since the start of the process."""

    __slots__ = ("_counts", "seconds")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    @property
    def cumulated(self) -> Sequence[int]:
        """How many took at most each of `BOUNDS`, and then how many there were."""
        return list(accumulate(self._counts))
