"""A server on a free port, and clients that speak the protocols word by word."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from graph.execution.engine import Engine, EngineOptions
from graph.transport.connections import Shutdown
from graph.transport.routes import GraphQLFront
from graph.transport.server import HttpProtocol, SocketProtocol
from graph.transport.shared import Authorizer, RequestInfo, Transport, TransportOptions, everybody
from tests.transport import schema

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
EVENTS = "text/event-stream"
PROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass
class Server:
    """A running server and what its tests look into."""

    transport: Transport
    world: schema.World
    port: int
    uvicorn: uvicorn.Server
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def begin_end(self) -> None:
        """Tell everyone that the server ends, as it does when it has been told to."""
        self.transport.shutdown.begin()
        for listener in self.uvicorn.servers:
            listener.close()
        for connection in list(self.uvicorn.server_state.connections):
            connection.shutdown()

    async def post(
        self,
        query: str,
        variables: object = None,
        *,
        accept: str | None = GRAPHQL,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        fields = dict(headers or {})
        if accept is not None:
            fields["accept"] = accept
        body: dict[str, object] = {"query": query}
        if variables is not None:
            body["variables"] = variables
        return await self.http.post(self.url, json=body, headers=fields)

    @asynccontextmanager
    async def stream(self, query: str) -> AsyncIterator["Events"]:
        request = self.http.stream("POST", self.url, json={"query": query}, headers={"accept": EVENTS})
        async with request as response:
            yield Events(response)

    @asynccontextmanager
    async def socket(
        self, *, init: object = None, origin: str | None = None, raw: bool = False
    ) -> AsyncIterator["Socket"]:
        url = f"ws://127.0.0.1:{self.port}/graphql"
        page = Origin(origin) if origin else None
        async with connect(
            url, subprotocols=[PROTOCOL], origin=page, ping_interval=None, close_timeout=1
        ) as connection:
            socket = Socket(connection)
            if not raw:
                await socket.send({"type": "connection_init", "payload": init})
                assert await socket.receive() == {"type": "connection_ack"}
            yield socket


class Events:
    """A stream's events; comments are kept apart."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.raw = b""
        self._chunks = response.aiter_bytes()
        self._buffer = b""

    async def blocks(self) -> AsyncGenerator[str, None]:
        async for chunk in self._chunks:
            self.raw += chunk
            self._buffer += chunk
            while b"\n\n" in self._buffer:
                block, self._buffer = self._buffer.split(b"\n\n", 1)
                yield block.decode()

    async def all(self) -> list[tuple[str, Any]]:
        return [self.parse(block) async for block in self.blocks() if not block.startswith(":")]

    @staticmethod
    def parse(block: str) -> tuple[str, Any]:
        event, data = block.split("\n")
        text = data.removeprefix("data:").strip()
        return event.removeprefix("event: "), json.loads(text) if text else None


class Socket:
    """A WebSocket whose messages are objects, or whatever a test wants to send."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def subscribe(self, query: str, operation_id: str = "1", **payload: object) -> None:
        await self.send({"type": "subscribe", "id": operation_id, "payload": {"query": query, **payload}})

    async def receive(self) -> Any:
        async with asyncio.timeout(10):
            return json.loads(await self.connection.recv())

    async def closed(self) -> int:
        """Read until the server closes, and return its code."""
        try:
            async with asyncio.timeout(10):
                while True:
                    await self.connection.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


async def until(condition: Callable[[], bool]) -> None:
    """Let the server's tasks run until something is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def serve(
    engine_options: EngineOptions | None = None,
    options: TransportOptions | None = None,
    *,
    authorize: Authorizer = everybody,
    wrap: Callable[[ASGIApp], Any] = lambda app: app,
) -> AsyncIterator[Server]:
    world = schema.World()

    async def make_context(info: RequestInfo) -> object:
        world.contexts.append(info)
        if world.refuse_context is not None:
            raise world.refuse_context
        return schema.Context(info, world)

    engine = Engine(schema.build(), engine_options or EngineOptions(introspection=True, suggestions=True))
    transport = Transport(engine, make_context, Shutdown(), options, authorize)
    app = wrap(GraphQLFront(transport, Starlette()))
    config = uvicorn.Config(
        app,
        port=0,
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=10,
    )
    config.load()
    running = uvicorn.Server(config)
    running.lifespan = config.lifespan_class(config)
    await running.startup()
    port = running.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(timeout=20, verify=False) as http:
            server = Server(transport, world, port, running, http)
            yield server
    finally:
        # What `uvicorn.Server.shutdown` does, without its pause of 0.1 s.
        server.begin_end()
        async with asyncio.timeout(10):
            while running.server_state.connections or running.server_state.tasks:
                await asyncio.sleep(0.001)
