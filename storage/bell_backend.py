"""A connection of the bell's bus, as broadcaster wants it, that says when it breaks.

broadcaster's own network backends go silent when their connection is lost, and some lose the first messages of a
subscription. These subscribe as they connect, to the one topic there is, and end with `ConnectionLost`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Final

from broadcaster import BroadcastBackend, Event

TOPIC: Final = "mgx_events"


class ConnectionLost(Event):
    """The last event of a connection; its message says why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(TOPIC, describe(error))


class NetworkBackend(BroadcastBackend):
    """One topic over a network; used for one connection, and made anew after it."""

    def __init__(self) -> None:
        self._lost = False

    async def subscribe(self, channel: str) -> None:
        """Do nothing: `connect` has subscribed, so that no message falls between the two."""

    async def unsubscribe(self, channel: str) -> None:
        """Do nothing: the subscription ends with the connection."""

    async def next_published(self) -> Event:
        """Wait for the next message; after `ConnectionLost` there is none."""
        if self._lost:
            await asyncio.Event().wait()
        try:
            return Event(TOPIC, await self.receive())
        except Exception as error:  # whatever it was, nothing can be heard any more
            self._lost = True
            return ConnectionLost(error)

    @abstractmethod
    async def receive(self) -> str:
        """Wait for the next message.

        Raises:
            Exception: The driver's, when the connection is lost.
        """


def describe(error: BaseException) -> str:
    """Return an error as one line for the log."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
