"""How those who gave out the work on a run stop it."""

from __future__ import annotations

import asyncio
from enum import Enum


class Halt(Enum):
    """Why work stops before its end."""

    CANCELLED = "CANCELLED"
    SHUTDOWN = "SHUTDOWN"
    LOST = "LOST"


class Leash:
    """Held by both sides: one pulls it, the other looks at it.

    Attributes:
        halted: Done once the work shall stop, with the reason.
        is_draining: Whether the work shall stop before it begins another step.
        is_claimed: Whether the run is the worker's, said by the one who works.
    """

    def __init__(self) -> None:
        self.halted: asyncio.Future[Halt] = asyncio.get_running_loop().create_future()
        self.is_draining = False
        self.is_claimed = False

    def pull(self, why: Halt) -> None:
        """Have the work stop now; the first reason counts."""
        if not self.halted.done():
            self.halted.set_result(why)

    def is_halted_for(self, *reasons: Halt) -> bool:
        """Return whether the work shall stop for one of these reasons."""
        return self.halted.done() and self.halted.result() in reasons
