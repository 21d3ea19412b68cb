"""Many connections that ask the same again and again, on raw sockets: answers are counted and measured, not parsed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking for some time.

    Attributes:
        seconds: Of each answer, from its request.
        duration: Seconds, of all.
        busy: Share of its core that the client used.
        body: Of an answer.
    """

    seconds: list[float]
    duration: float
    busy: float
    body: bytes

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.duration


def post(url: str, query: str, variables: Mapping[str, Any]) -> bytes:
    """Return a request for a GraphQL operation, as it goes over the network."""
    return post_json(url, "/graphql", {"query": query, "variables": variables})


def post_json(url: str, target: str, content: Mapping[str, Any]) -> bytes:
    """Return a request that posts something, as it goes over the network."""
    body = json.dumps(content).encode()
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(url: str, target: str) -> bytes:
    """Return a request for a page, as it goes over the network."""
    return f"GET {target} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nAccept: */*\r\n\r\n".encode()


async def ask(url: str, request: bytes, connections: int, seconds: float) -> Asked:
    """Send a request over some connections, over each as soon as the answer before has come."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    loop = asyncio.get_running_loop()
    load = _Load(request, loop.time() + seconds)
    began, used = time.perf_counter(), time.process_time()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(load), address.hostname, address.port)
        load.open += 1
    async with asyncio.timeout(seconds + 60):
        await load.over.wait()
    duration = time.perf_counter() - began
    return Asked(load.seconds, duration, (time.process_time() - used) / duration, load.body)


@dataclass(slots=True)
class _Load:
    request: bytes
    until: float
    open: int = 0
    body: bytes = b""
    seconds: list[float] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._received = b""
        self._head = 0
        self._whole = 0
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole:
            head, found, _ = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 200"), self._received
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            assert length, "answers in chunks are not understood"
            self._head = len(head) + len(found)
            self._whole = self._head + int(length)
        if len(self._received) >= self._whole:
            self._load.seconds.append(time.perf_counter() - self._asked)
            self._load.body = self._received[self._head :]
            self._received, self._whole = b"", 0
            if self._loop.time() < self._load.until:
                self._ask()
            else:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.open -= 1
        if not self._load.open:
            self._load.over.set()

    def _ask(self) -> None:
        self._asked = time.perf_counter()  # the loop's clock knows milliseconds only
        self._transport.write(self._load.request)
