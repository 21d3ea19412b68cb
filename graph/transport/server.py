"""Uvicorn's protocols with five things more, the first two as ASGI extensions of `graph.transport.outlet`.

- An application may drop a connection. An orderly close waits until the client has taken what is buffered, which a
  client that never reads prolongs for ever.
- An application may write ready bytes, which it made once for many connections.
- Text that is no UTF-8 is no error of ours.
- The end of the server leaves a client the time to answer the close of its socket.
- A response's head goes out with its body: to hand each to the kernel by itself is a tenth of what a list costs.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from graph.transport.mailbox import Gate, Mailbox
from graph.transport.outlet import ABORT_EXTENSION, WIRE_EXTENSION

_LEAVING_SECONDS: Final = 1.0


class HeadHolder:
    """A transport that keeps a response's head until the body comes, or until the loop's turn is over."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._head = b""
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Write, or keep what is a head."""
        if self._head:
            head, self._head = self._head, b""
            self.transport.write(head + data)
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._let_go)
        else:
            self.transport.write(data)

    def close(self) -> None:
        """Close once all is written."""
        self._let_go()
        self.transport.close()

    def _let_go(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self.transport.write(head)


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Write through a transport that joins heads and bodies."""
        super().connection_made(cast("asyncio.Transport", HeadHolder(transport)))

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection itself to the socket's protocol."""
        self.transport = cast("HeadHolder", self.transport).transport
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Offer the extension to the request that begins."""
        super().on_message_begin()
        self.scope.setdefault("extensions", {})[ABORT_EXTENSION] = self.transport.abort  # type: ignore[assignment]


class SocketProtocol(WebSocketsSansIOProtocol):
    """For `uvicorn.Config(ws=...)`; a `graph.transport.outlet.Wire`, which needs compression to be off."""

    # Of uvicorn's attributes, those that each message reads: in the object itself there is less to fetch from memory.
    # Without them its dict is small enough to share its keys with those of other sockets, which saves 1.2 KiB for each.
    __slots__ = (
        "close_sent",
        "conn",
        "curr_msg_data_type",
        "disconnected",
        "frames",
        "handshake_complete",
        "queue",
        "read_paused",
        "transport",
        "writable",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = cast("Any", Mailbox())
        self.writable = cast("Any", Gate(is_open=True))

    def handle_connect(self, event: Request) -> None:
        """Keep no headers but those of the scope: websockets would keep theirs as long as the socket is open."""
        super().handle_connect(event)
        event.headers.clear()

    async def send(self, message: Any) -> None:
        """Send a message; once the handshake is answered, the answer's headers are not kept either."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.response.headers.clear()

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
