"""What one core can do: a protocol by hand on uvloop that only writes prepared bytes, one by one or joined.

It speaks just enough of WebSocket and graphql-transport-ws for `benchmarks.sockets`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import sys
import time
from typing import Final, cast

import uvloop

from benchmarks.peers.event import event

_ID: Final = re.compile(rb'"id": "([^"]+)"')
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SUBSCRIBERS: Final[dict[Peer, bytes]] = {}
_JOINED: Final = "--joined" in sys.argv


class Peer(asyncio.Protocol):
    """One connection: a socket of a subscriber, or a request to publish."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"POST /publish"):
            self._publish(int(data.split(b"count=", 1)[1].split(b" ", 1)[0]))
        elif data.startswith(b"GET /graphql"):
            key = base64.b64encode(hashlib.sha1(b"dGhlIHNhbXBsZSBub25jZQ==" + _GUID).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Accept: " + key + b"\r\n\r\n"
            )
        elif b"connection_init" in data:
            self.transport.write(_frame(b'{"type":"connection_ack"}'))
        elif (found := _ID.search(data)) is not None:
            _SUBSCRIBERS[self] = b'{"id":"' + found[1] + b'","type":"next","payload":'

    def connection_lost(self, exc: Exception | None) -> None:
        _SUBSCRIBERS.pop(self, None)

    def _publish(self, count: int) -> None:
        at = time.monotonic()
        bodies = [
            b'{"data":{"runEvents":' + json.dumps(event("run"), separators=(",", ":")).encode() + b"}}}"
            for _ in range(count)
        ]
        for subscriber, head in _SUBSCRIBERS.items():
            frames = [_frame(head + body) for body in bodies]
            if _JOINED:
                subscriber.transport.write(b"".join(frames))
            else:
                for frame in frames:
                    subscriber.transport.write(frame)
        answer = json.dumps({"at": at}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))


def _frame(payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes([0x81, len(payload)]) + payload
    return b"\x81\x7e" + len(payload).to_bytes(2) + payload


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
