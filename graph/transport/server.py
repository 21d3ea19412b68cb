"""Uvicorn's protocols with four things more, the first two as ASGI extensions of `graph.transport.outlet`.

- An application may drop a connection. An orderly close waits until the client has taken what is buffered, which a
  client that never reads prolongs for ever.
- An application may write ready bytes, which it made once for many connections.
- Text that is no UTF-8 is no error of ours.
- The end of the server leaves a client the time to answer the close of its socket.
"""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from graph.transport.outlet import ABORT_EXTENSION, WIRE_EXTENSION

_LEAVING_SECONDS: Final = 1.0


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def on_message_begin(self) -> None:
        """Offer the extension to the request that begins."""
        super().on_message_begin()
        self.scope.setdefault("extensions", {})[ABORT_EXTENSION] = self.transport.abort  # type: ignore[assignment]


class SocketProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`; a `graph.transport.outlet.Wire`, which needs compression to be off."""

    async def run_asgi(self) -> None:
        """Offer the extensions to the socket that opens."""
        extensions = self.scope.setdefault("extensions", {})
        extensions[ABORT_EXTENSION] = self.transport.abort  # type: ignore[assignment]
        if not self.config.ws_per_message_deflate:
            extensions[WIRE_EXTENSION] = self  # type: ignore[assignment]
        await super().run_asgi()

    def shutdown(self) -> None:
        """Leave an open socket to the application, which closes it when the server ends; the client has a moment.

        To drop it at once could cost the client the close frame: what it sends meanwhile would reset the connection.
        """
        if self.handshake_complete:
            self.loop.call_later(_LEAVING_SECONDS, self.transport.close)
        else:
            super().shutdown()

    def is_free(self) -> bool:
        """Whether frames can be written and the client takes what was written before."""
        return (
            self.writable.is_set()
            and self.handshake_complete
            and not self.close_sent
            and not self.disconnected
            and not self.transport.is_closing()
        )

    def write(self, data: bytes) -> None:
        """Write whole frames."""
        self.transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken something, or is gone."""
        await self.writable.wait()

    def send_receive_event_to_app(self) -> None:
        """Close for text that is no UTF-8 (RFC 6455, 8.1), without the traceback that uvicorn logs for it."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()
