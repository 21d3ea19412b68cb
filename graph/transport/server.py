"""Uvicorn's protocols with five things more, the first two as ASGI extensions of `graph.transport.outlet`.

- An application may drop a connection. An orderly close waits until the client has taken what is buffered, which a
  client that never reads prolongs for ever.
- An application may write ready bytes, which it made once for many connections.
- Text that is no UTF-8 is no error of ours.
- The end of the server leaves a client the time to answer the close of its socket.
- A whole response goes out by one write: to hand its head to the kernel by itself is a tenth of what a list costs.
"""

import re
from functools import lru_cache
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from graph.transport.mailbox import Gate, Mailbox
from graph.transport.outlet import ABORT_EXTENSION, WIRE_EXTENSION

_LEAVING_SECONDS: Final = 1.0

_NAME: Final = re.compile(rb"[a-z0-9-]+")
_ABOUT_CONNECTION: Final = frozenset({b"connection", b"transfer-encoding"})
_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {ord("\t")})

_REMEMBERED: Final = 64
"""Lists of names of headers; nearly all responses have the same."""


class WholeSender:
    """What an application sends with: a head that tells its body's length waits for that, and both go out at once.

    Whatever is no whole response of one head and one body is sent by uvicorn. Should the application fail before the
    body, no head has gone out, and uvicorn answers 500.

    Args:
        cycle: The request and its response.
    """

    __slots__ = ("_cycle", "_head", "_start")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head: bytes | None = None
        self._start: Any = None

    async def __call__(self, message: Any) -> None:
        """Send a message, or keep what is a head."""
        head, self._head = self._head, None
        if head is not None:
            if self._write(head, message):
                return
            await self._cycle.send(self._start)
        elif message["type"] == "http.response.start":
            self._start, self._head = message, self._encoded(message)
            if self._head is not None:
                return
        await self._cycle.send(message)

    def _encoded(self, start: Any) -> bytes | None:
        """Return a head as uvicorn would write it, None if uvicorn has more to do."""
        cycle, headers = self._cycle, start.get("headers")
        if cycle.response_started or cycle.waiting_for_100_continue or cycle.access_log:
            return None
        if not headers or not isinstance(headers, list):
            return None
        names, values = zip(*cycle.default_headers, *headers, strict=True)
        lines, text = _lines(names), b"".join(values)
        if lines is None or len(text.translate(None, _CONTROLS)) < len(text):
            return None
        return STATUS_LINE[start["status"]] + lines % values

    def _write(self, head: bytes, message: Any) -> bool:
        """Write a response, if it is whole and the client takes what is sent; tell whether it was."""
        cycle, body = self._cycle, message.get("body", b"")
        if message["type"] != "http.response.body" or message.get("more_body") or cycle.scope["method"] == "HEAD":
            return False
        if cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive:
            return False
        if b"\r\ncontent-length: %d\r\n" % len(body) not in head:
            return False
        cycle.transport.write(head + body)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True


@lru_cache(_REMEMBERED)
def _lines(names: tuple[bytes, ...]) -> bytes | None:
    """Return a head's lines with places for values, None without a length or if they say more of the connection."""
    if names.count(b"content-length") != 1 or not _ABOUT_CONNECTION.isdisjoint(names):
        return None
    if not all(map(_NAME.fullmatch, names)):
        return None
    return b"".join(name + b": %b\r\n" for name in names) + b"\r\n"


class HttpProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def on_message_begin(self) -> None:
        """Offer the extension to the request that begins."""
        super().on_message_begin()
        self.scope.setdefault("extensions", {})[ABORT_EXTENSION] = self.transport.abort  # type: ignore[assignment]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, lambda scope, receive, _: app(scope, receive, WholeSender(cycle)))


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
