"""One pass of the sequencer, in one message to the server.

The server runs all of it, whatever becomes of who asked: so nobody who is slow, frozen or killed holds the lock. Each
statement of the message sees what was committed before it began
(https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from domain.events import Event
from storage import locks
from storage.arrivals import BATCH, NUMBER
from storage.shapes import EVENT

if TYPE_CHECKING:
    from storage.pipeline import PostgresLink

_LOCK: Final = text(locks.NUMBER)


class Numbering:
    """Gives what has arrived its places, a batch at a time.

    Attributes:
        is_complete: Whether the last pass left nothing behind.
    """

    def __init__(self) -> None:
        self.is_complete = True

    async def __call__(self, link: PostgresLink) -> Sequence[Sequence[Event]]:
        """Number a batch; return it in its order, a sequence for each transaction that wrote it.

        Raises:
            psycopg.Error: The database did not do it.
            LostError: It can't be reached.
        """
        _, found = await link.transact((link.statements(_LOCK), {}), (link.statements(NUMBER), {}))
        rows = found.read()
        self.is_complete = len(rows) < BATCH
        return [[EVENT.read(row) for row in written] for _, written in groupby(rows, itemgetter(-1))]
