"""A client that costs little beside what it measures: HTTP with one connection kept open, and one subscription."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

Json: TypeAlias = dict[str, Any]


class Http:
    """One connection to the API, one request at a time; opened again where the server closed it for being idle."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._where = address.hostname, address.port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, document: str, **variables: Any) -> Json:
        """Return an answer's data; an error of any kind ends the benchmark."""
        body = json.dumps({"query": document, "variables": variables}).encode()
        head = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        answer = json.loads(await self._exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body))
        assert "errors" not in answer, answer
        data: Json = answer["data"]
        for payload in data.values():
            assert not (isinstance(payload, dict) and payload.get("userErrors")), payload
        return data

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            (_, writer), self._streams = self._streams, None
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, request: bytes) -> bytes:
        while True:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._where)
            reader, writer = self._streams
            try:
                writer.write(request)
                headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                if getattr(error, "partial", b""):
                    raise
                await self.close()  # the server did so before it saw the request
                continue
            return await reader.readexactly(int(headers.partition("content-length:")[2].partition("\r\n")[0]))


@asynccontextmanager
async def http(url: str) -> AsyncGenerator[Http]:
    """Have a connection while the block runs."""
    client = Http(url)
    try:
        yield client
    finally:
        await client.close()


class Subscription:
    """One subscription on a socket of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def next(self) -> Json:
        """Return the next event."""
        while True:
            message = json.loads(await self._socket.recv())
            if message["type"] == "ping":
                await self._socket.send('{"type": "pong"}')
            elif message["type"] == "next":
                (event,) = message["payload"]["data"].values()
                return dict(event)
            else:
                assert message["type"] == "connection_ack", message


@asynccontextmanager
async def subscribed(url: str, document: str, **variables: Any) -> AsyncGenerator[Subscription]:
    """Have a subscription while the block runs."""
    async with connect(
        url.replace("http", "ws", 1) + "/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        compression=None,
        ping_interval=None,
        proxy=None,
    ) as socket:
        await socket.send('{"type": "connection_init"}')
        payload = {"query": document, "variables": variables}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield Subscription(socket)


async def create_task(api: Http, **values: Any) -> str:
    """Create a task of the rehearsal team."""
    document = "mutation ($i: CreateTaskInput!) { createTask(input: $i) { task { id } userErrors { message } } }"
    data = await api.ask(document, i={"name": "Benchmark", "team": "rehearsal", **values})
    return str(data["createTask"]["task"]["id"])


async def create_run(api: Http, task_id: str) -> str:
    """Create a run of a task."""
    document = "mutation ($t: ID!) { createRun(input: {taskId: $t}) { run { id } userErrors { message } } }"
    return str((await api.ask(document, t=task_id))["createRun"]["run"]["id"])


async def approve(api: Http, run_id: str) -> None:
    """Approve a run's plan."""
    document = "mutation ($r: ID!) { approveRun(input: {runId: $r}) { run { status } userErrors { message } } }"
    await api.ask(document, r=run_id)


QUIET: Json = {"steps": 3, "stepSeconds": 0, "planSeconds": 0, "logsPerStep": 0, "metricsPerStep": 0}
"""Config of a rehearsal that does nothing but move on."""
