"""One pass of the sequencer, in one message to the server.

The server runs all of it, whatever becomes of who asked: so nobody who is slow, frozen or killed holds the lock. Each
statement of the message sees what was committed before it began
(https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.events import Event
from storage import locks
from storage.arrivals import BATCH, NUMBER
from storage.shapes import EVENT


class Numbering:
    """Gives what has arrived its places, a batch at a time.

    Attributes:
        is_complete: Whether the last pass left nothing behind.
    """

    def __init__(self, dialect: Dialect) -> None:
        number = NUMBER.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        self._script = f"BEGIN; {locks.NUMBER}; {number}; COMMIT"
        self._readers = [column.type.result_processor(dialect, None) for column in EVENT.columns()]
        self.is_complete = True

    async def __call__(self, connection: AsyncConnection) -> Sequence[Sequence[Event]]:
        """Number a batch; return it in its order, a sequence for each transaction that wrote it.

        Args:
            connection: One on which each message stands for itself.

        Raises:
            psycopg.Error: The database did not do it, or can't be reached.
        """
        driver: Any = (await connection.get_raw_connection()).driver_connection
        cursor = await driver.execute(self._script)
        for _ in ("BEGIN", "lock"):
            cursor.nextset()
        rows = await cursor.fetchall()
        self.is_complete = len(rows) < BATCH
        return [[self._event(row) for row in written] for _, written in groupby(rows, itemgetter(-1))]

    def _event(self, row: Sequence[Any]) -> Event:
        values = zip(row, self._readers, strict=False)  # what comes after the event's own is its transaction
        return EVENT.read([value if read is None else read(value) for value, read in values])
