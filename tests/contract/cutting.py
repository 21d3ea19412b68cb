"""A wire to PostgreSQL that is cut at a commit, before or after the server has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

WRITER = b"application_name\0mgx\0"
"""How a connection that writes introduces itself; it stands in the first message."""


class Cut(Enum):
    BEFORE_COMMIT = "before"
    AFTER_COMMIT = "after"


class Wire:
    """Forwards what clients and server say, until one who writes commits and the wire is to be cut."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._cut: Cut | None = None
        self.port = 0
        self.connections: set[asyncio.Task[None]] = set()

    @property
    def was_cut(self) -> bool:
        """Whether the commit that was waited for has come."""
        return self._cut is None

    def cut_at(self, cut: Cut) -> None:
        """Cut the connection of the next one who commits."""
        self._cut = cut

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward a connection in a task that the end can wait for."""
        self.connections.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it."""
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server)
        answers = asyncio.create_task(_forward(server_reader, writer))
        try:
            is_writer = False
            while said := await reader.read(65536):
                is_writer = is_writer or WRITER in said
                if is_writer and b"COMMIT" in said and self._cut is not None:
                    cut, self._cut = self._cut, None
                    answers.cancel()
                    await asyncio.wait({answers})
                    if cut is Cut.AFTER_COMMIT:
                        server_writer.write(said)
                        await server_reader.read(65536)
                    break
                server_writer.write(said)
        except ConnectionError:
            pass  # an end like another
        finally:
            answers.cancel()
            writer.transport.abort()
            server_writer.transport.abort()
            await asyncio.gather(answers, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65536):
        writer.write(said)
    writer.close()


@asynccontextmanager
async def wire(server: int) -> AsyncIterator[Wire]:
    """Have a wire to a server's port."""
    made = Wire(server)
    listener = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        await asyncio.gather(*made.connections)
