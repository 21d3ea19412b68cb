"""How much of the log is kept, and the removal of what is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Extent:
    """From where to where the log goes, for what is looked at: a run, a task, or everything.

    Attributes:
        horizon: Place up to which events are gone, 0 where all are kept. All events above it are there.
        head: Place of the newest event, whoever's it is, whether or not it is kept.
    """

    horizon: int
    head: int


class HistoryWrites(Protocol):
    """The history of runs that are long over: their events and the lines of their logs."""

    async def forget(self, kept: timedelta, rows: int, /) -> int | None:
        """Remove history of runs that have been final for longer than `kept`, those first that ended first.

        All of a run's history is gone for readers at once; its rows may take several transactions, and what one that
        was broken off has left behind comes first in the next.

        Args:
            kept: How long history is kept after the end of its run.
            rows: How many events, and how many lines, to remove at most.

        Returns:
            How many runs have no history any more; None when nothing is to be removed, or another process does it.
        """
        ...
