"""Many subscriptions on raw sockets, counted and not parsed, so that the client costs little beside the server."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import Enum, auto
from typing import Any, Final, cast
from urllib.parse import urlsplit

_NEXT: Final = b'"next"'
_UPGRADE: Final = (
    "GET /graphql HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


class Crowd:
    """Subscribers that count together.

    Attributes:
        seen: Events that came to any of them.
        first: When the first came, as `time.monotonic`.
        last: When the newest came, likewise.
        acknowledged: How many have sent their subscription.
        lost: How many connections ended.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.first = 0.0
        self.last = 0.0
        self.acknowledged = 0
        self.lost = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    def count(self, events: int) -> None:
        """Take note of events."""
        if not self.seen:
            self.first = time.monotonic()
        self.seen += events
        if self.seen >= self._wanted:
            self.last = time.monotonic()
            self._reached.set()

    async def until(self, seen: int, seconds: float) -> bool:
        """Wait until so many came; return whether they did in time."""
        self._wanted = seen
        self._reached.clear()
        if self.seen < seen:
            try:
                async with asyncio.timeout(seconds):
                    await self._reached.wait()
            except TimeoutError:
                return False
        return True


class _Stage(Enum):
    UPGRADE = auto()
    INIT = auto()
    SUBSCRIBED = auto()


class _Subscriber(asyncio.Protocol):
    """One socket with one subscription, whose id is a UUID as clients send it."""

    def __init__(self, crowd: Crowd, host: str, payload: Mapping[str, Any]) -> None:
        self._crowd = crowd
        self._host = host
        self._payload = payload
        self._transport: asyncio.Transport
        self._tail = b""
        self._stage = _Stage.UPGRADE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_UPGRADE.format(host=self._host).encode())

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        if self._stage is _Stage.SUBSCRIBED:
            self._tail = data[-len(_NEXT) + 1 :]
            if events := data.count(_NEXT):
                self._crowd.count(events)
        elif self._stage is _Stage.UPGRADE and b"\r\n\r\n" in data:
            self._stage, self._tail = _Stage.INIT, b""
            self._transport.write(_frame({"type": "connection_init"}))
        elif self._stage is _Stage.INIT and b"connection_ack" in data:
            self._stage, self._tail = _Stage.SUBSCRIBED, b""
            self._transport.write(_frame({"id": str(uuid.uuid4()), "type": "subscribe", "payload": self._payload}))
            self._crowd.acknowledged += 1
        else:
            self._tail = data

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.lost += 1


@asynccontextmanager
async def crowd(url: str, payloads: Sequence[Mapping[str, Any]]) -> AsyncGenerator[Crowd]:
    """Have a subscriber for each payload while the block runs."""
    address = urlsplit(url)
    made = Crowd()
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []
    assert address.hostname is not None
    assert address.port is not None
    try:
        for payload in payloads:

            def subscriber(payload: Mapping[str, Any] = payload) -> _Subscriber:
                return _Subscriber(made, address.netloc, payload)

            transport, _ = await loop.create_connection(subscriber, address.hostname, address.port)
            transports.append(transport)
        while made.acknowledged < len(payloads):
            assert not made.lost, "a socket was refused"
            await asyncio.sleep(0.01)
        yield made
    finally:
        for transport in transports:
            transport.abort()
        while made.lost < len(transports):
            await asyncio.sleep(0.01)


def _frame(message: Mapping[str, Any]) -> bytes:
    """Return a text frame of a client; a mask of zeros leaves its bytes as they are (RFC 6455, 5.3)."""
    payload = json.dumps(message).encode()
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + len(payload).to_bytes(2)
    return b"\x81" + size + bytes(4) + payload


def pin(core: int, pid: int = 0) -> None:
    """Keep a process, by default this one, on one core, where the system can."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(pid, {core})


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process on one core while the block runs."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    pin(core)
    try:
        yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)
