"""PostgreSQL as the bus of the bell: NOTIFY and LISTEN, outside of every transaction that writes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress
from typing import Any, LiteralString

from psycopg import AsyncConnection, Error, ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from storage.bell_backend import TOPIC, NetworkBackend


class PostgresBackend(NetworkBackend):
    """Two connections: while one listens, nothing else can be said on it."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._connections: list[AsyncConnection[Any]] = []
        self._heard: deque[str] = deque()

    async def connect(self) -> None:
        """Connect twice, and listen.

        Raises:
            psycopg.Error: It can't be reached, or refuses.
        """
        try:
            for _ in range(2):
                self._connections.append(await AsyncConnection.connect(self._url, autocommit=True))
            await _execute(self._listener, f"LISTEN {TOPIC}")
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """Close both connections."""
        for connection in self._connections:
            await connection.close()

    async def publish(self, channel: str, message: str) -> None:
        """Send a message.

        Raises:
            psycopg.Error: The connection is lost.
        """
        await _execute(self._publisher, "SELECT pg_notify(%s, %s)", channel, message)

    async def receive(self) -> str:
        """Wait for the next message."""
        while not self._heard:
            async for notification in self._listener.notifies(stop_after=1):
                self._heard.append(notification.payload)
        return self._heard.popleft()

    @property
    def _listener(self) -> AsyncConnection[Any]:
        return self._connections[0]

    @property
    def _publisher(self) -> AsyncConnection[Any]:
        return self._connections[1]


async def _execute(connection: AsyncConnection[Any], statement: LiteralString, *values: str) -> None:
    """Execute a statement; a cancel ends the connection with it.

    psycopg would ask the server to cancel the statement, and wait up to ten seconds for one that is silent.
    """
    executing = asyncio.create_task(connection.execute(statement, values))
    try:
        await asyncio.shield(executing)
    except asyncio.CancelledError:
        with suppress(Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)  # unless it is lost already
        await asyncio.gather(executing, return_exceptions=True)
        raise


def is_url(url: str) -> bool:
    """Whether libpq understands a URL."""
    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        return False
    return True
