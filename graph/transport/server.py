"""Uvicorn's protocols with one thing more: an application may drop a connection.

An orderly close waits until the client has taken what is buffered, which a client that never reads
prolongs for ever. The ASGI extension `graph.transport.outlet.ABORT_EXTENSION` drops it.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from graph.transport.outlet import ABORT_EXTENSION


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def on_message_begin(self) -> None:
        """Offer the extension to the request that begins."""
        super().on_message_begin()
        self.scope.setdefault("extensions", {})[ABORT_EXTENSION] = self.transport.abort  # type: ignore[assignment]


class SocketProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`."""

    async def run_asgi(self) -> None:
        """Offer the extension to the socket that opens."""
        self.scope.setdefault("extensions", {})[ABORT_EXTENSION] = self.transport.abort  # type: ignore[assignment]
        await super().run_asgi()
