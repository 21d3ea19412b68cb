"""What our HTTP protocol hands to the kernel, and when: the same bytes as uvicorn's, with fewer writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from graph.transport.server import HttpProtocol

REQUEST = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\nbody"
CONTINUE = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n"
LENGTH = (b"content-length", b"4")


class Network:
    """The kernel's side of a transport."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def get_extra_info(self, _: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        if data:
            self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


WHOLE = (start((b"x-of", b"ours"), LENGTH), body(b"body"))


class Answering:
    """An application that sends some messages, with a turn of the loop between them if it is slow."""

    def __init__(self, messages: Sequence[Message], *, slow: bool = False) -> None:
        self._messages = messages
        self._slow = slow

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        for message in self._messages:
            await send(message)
            if self._slow:
                await asyncio.sleep(0)


class Connection:
    """A connection that one of the protocols serves."""

    def __init__(self, protocol: type[HttpToolsProtocol], app: Any) -> None:
        config = uvicorn.Config(app, http=protocol, log_config=None, access_log=False, proxy_headers=False)
        config.load()
        self.network = Network()
        self.protocol = protocol(config, ServerState(), {}, asyncio.get_running_loop())
        self.protocol.connection_made(cast("Any", self.network))

    async def ask(self, request: bytes) -> None:
        """Send a request and let it be answered."""
        self.protocol.data_received(request)
        await asyncio.gather(*self.protocol.tasks)
        await asyncio.sleep(0)


@pytest.fixture
def connect() -> Callable[..., Connection]:
    def of(*messages: Message, slow: bool = False, protocol: type[HttpToolsProtocol] = HttpProtocol) -> Connection:
        return Connection(protocol, Answering(messages, slow=slow))

    return of


@pytest.mark.parametrize(
    "request_", [REQUEST, CONTINUE, REQUEST.replace(b"POST", b"HEAD"), REQUEST.replace(b"1.1", b"1.0"), REQUEST * 2]
)
@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize(
    "messages",
    [
        WHOLE,
        (start((b"x", b"1"), LENGTH, (b"x", b"2")), body(b"body")),
        (start(LENGTH), body(b"bo", more=True), body(b"dy")),
        (start(LENGTH), body(b"body", more=True), body(b"")),
        (start((b"content-length", b"04")), body(b"body")),
        (start(LENGTH), body(b"bod")),
        (start(LENGTH), body(b"bodies")),
        (start((b"Content-Length", b"4")), body(b"body")),
        (start((b"connection", b"close"), LENGTH), body(b"body")),
        (start((b"Connection", b"close"), LENGTH), body(b"body")),
        (start(LENGTH, (b"transfer-encoding", b"chunked")), body(b"body")),
        (start(), body(b"body")),
        (start((b"x", b"1")), body(b"body")),
        (start((b"content-length", b"0")), body(b"")),
        (start(status=204), body(b"")),
        (start((b"etag", b'"1"'), status=304), body(b"")),
        (start((b"x-bad", b"1\r\nset-cookie: theirs"), LENGTH), body(b"body")),
        (start((b"x bad", b"1"), LENGTH), body(b"body")),
        (start((b"%b", b"1"), LENGTH), body(b"body")),
        (start((b"x", b"\xff\t%b"), LENGTH), body(b"body")),
        (*WHOLE, *WHOLE),
        (start((b"x", b"1")),),
        (body(b"body"),),
        (),
    ],
)
async def test_the_client_is_sent_what_uvicorn_sends(
    connect: Callable[..., Connection], messages: Sequence[Message], slow: bool, request_: bytes
) -> None:
    ours, theirs = (connect(*messages, slow=slow, protocol=each) for each in (HttpProtocol, HttpToolsProtocol))
    for connection in (ours, theirs):
        await connection.ask(request_)
    assert b"".join(ours.network.written) == b"".join(theirs.network.written)
    assert ours.network.closed == theirs.network.closed
    assert len(ours.network.written) <= len(theirs.network.written)


@pytest.mark.parametrize("slow", [False, True])
async def test_a_whole_response_is_one_write(connect: Callable[..., Connection], slow: bool) -> None:
    connection = connect(*WHOLE, slow=slow)
    for _ in range(2):
        await connection.ask(REQUEST)
    assert connection.network.written == 2 * [b"HTTP/1.1 200 OK\r\nx-of: ours\r\ncontent-length: 4\r\n\r\nbody"]


async def test_a_response_that_breaks_off_before_its_body_never_began(connect: Callable[..., Connection]) -> None:
    connection = connect(start(LENGTH))
    await connection.ask(REQUEST)
    assert b"".join(connection.network.written).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("error", [RuntimeError("ours"), asyncio.CancelledError()])
async def test_an_application_that_fails_before_the_body_is_a_mistake_of_ours(error: BaseException) -> None:
    async def fail(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(LENGTH))
        raise error

    connection = Connection(HttpProtocol, fail)
    connection.protocol.data_received(REQUEST)
    await asyncio.gather(*connection.protocol.tasks, return_exceptions=True)
    assert b"".join(connection.network.written).startswith(b"HTTP/1.1 500 ")


async def test_a_client_that_leaves_before_the_body_is_sent_nothing(connect: Callable[..., Connection]) -> None:
    connection = connect(*WHOLE, slow=True)
    connection.protocol.data_received(REQUEST)
    await asyncio.sleep(0)
    connection.protocol.connection_lost(None)
    await asyncio.gather(*connection.protocol.tasks)
    assert connection.network.written == []


async def test_a_head_without_a_length_waits_for_nothing(connect: Callable[..., Connection]) -> None:
    connection = connect(start((b"content-type", b"text/event-stream")), slow=True)
    connection.protocol.data_received(REQUEST)
    await asyncio.sleep(0)
    assert connection.network.written == [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    ]
    await asyncio.gather(*connection.protocol.tasks)


async def test_who_takes_nothing_is_sent_nothing_more(connect: Callable[..., Connection]) -> None:
    connection = connect(*WHOLE)
    connection.protocol.pause_writing()
    connection.protocol.data_received(REQUEST)
    await asyncio.sleep(0.01)
    assert connection.network.written == []
    connection.protocol.resume_writing()
    await asyncio.gather(*connection.protocol.tasks)
    assert b"".join(connection.network.written).endswith(b"\r\n\r\nbody")


async def test_a_server_that_ends_says_so_in_a_response_that_had_begun(connect: Callable[..., Connection]) -> None:
    connection = connect(*WHOLE, slow=True)
    connection.protocol.data_received(REQUEST)
    await asyncio.sleep(0)
    connection.protocol.shutdown()
    await asyncio.gather(*connection.protocol.tasks)
    assert b"connection: close\r\n" in b"".join(connection.network.written)
    assert connection.network.closed
