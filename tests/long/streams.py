"""Subscriptions over both transports, behind one face; nothing is hidden, a lost connection is an error."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from tests.long.records import RETRYABLE, Json

SILENCE = 60.0
"""Seconds without anything, heartbeats every 15 s included, after which a stream counts as stuck."""


class LostError(Exception):
    """The connection broke or was closed by the server, or it said to try again; the message says what it was."""


class RefusedError(Exception):
    """The server answered the subscription with an error."""


class SilentError(Exception):
    """Nothing came for far too long."""


class Stream(Protocol):
    """One subscription on one connection."""

    async def next(self) -> Json | None:
        """Return the next `data`, None when the server says that nothing will follow.

        Raises:
            LostError, RefusedError, SilentError: What else can happen.
        """

    async def close(self, *, abruptly: bool) -> None:
        """Go away, with or without telling the server."""


class SocketStream:
    """A subscription by graphql-transport-ws on a socket of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, document: str, variables: Json) -> SocketStream:
        """Connect and subscribe."""
        address = url.replace("http", "ws", 1) + "/graphql"
        try:
            socket = await connect(
                address,
                subprotocols=[Subprotocol("graphql-transport-ws")],
                compression=None,
                ping_interval=None,
                open_timeout=SILENCE,
                close_timeout=1.0,
                proxy=None,
            )
        except (OSError, WebSocketException, TimeoutError) as error:
            raise LostError(f"no connection: {error!r}") from error
        stream = cls(socket)
        await stream._send({"type": "connection_init"})
        await stream._send({"id": "1", "type": "subscribe", "payload": {"query": document, "variables": variables}})
        return stream

    async def next(self) -> Json | None:
        """Return the next event, answering what else the server says."""
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    message = json.loads(await self._socket.recv())
            except ConnectionClosed as error:
                raise LostError(str(error.rcvd.code if error.rcvd else 1006)) from error
            except TimeoutError as error:
                raise SilentError from error
            match message["type"]:
                case "next":
                    return _data(message["payload"])
                case "complete":
                    return None
                case "error":
                    raise _refusal(message["payload"])
                case "ping":
                    await self._send({"type": "pong"})
                case _:
                    pass

    async def close(self, *, abruptly: bool) -> None:
        """Break the connection, or complete the operation and say goodbye."""
        if abruptly:
            self._socket.transport.abort()
        else:
            with contextlib.suppress(LostError):
                await self._send({"id": "1", "type": "complete"})
        await self._socket.close()

    async def _send(self, message: Json) -> None:
        try:
            await self._socket.send(json.dumps(message))
        except ConnectionClosed as error:
            raise LostError(str(error.rcvd.code if error.rcvd else 1006)) from error


class EventStream:
    """A subscription by server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._lines: AsyncIterator[str] = response.aiter_lines()

    @classmethod
    async def open(cls, http: httpx.AsyncClient, url: str, document: str, variables: Json) -> EventStream:
        """Connect and subscribe."""
        request = http.build_request(
            "POST",
            f"{url}/graphql",
            json={"query": document, "variables": variables},
            headers={"accept": "text/event-stream"},
            timeout=httpx.Timeout(SILENCE),
        )
        try:
            response = await http.send(request, stream=True)
        except httpx.TransportError as error:
            raise LostError(f"no connection: {error!r}") from error
        if response.status_code != 200:
            await response.aclose()
            if response.status_code == 503:
                raise LostError("503")
            raise RefusedError(f"HTTP status {response.status_code}")
        return cls(response)

    async def next(self) -> Json | None:
        """Return the next event, passing over comments."""
        event, data = "", ""
        while True:
            try:
                line = await anext(self._lines)
            except httpx.ReadTimeout as error:
                raise SilentError from error
            except httpx.TransportError as error:
                raise LostError(repr(error)) from error
            except StopAsyncIteration:
                raise LostError("the stream ended without complete") from None
            name, _, value = line.partition(":")
            match name:
                case "event":
                    event = value.strip()
                case "data":
                    data += value.strip()
                case "" if not line and event == "next":
                    return _data(json.loads(data))
                case "" if not line and event == "complete":
                    return None
                case "":
                    pass  # a comment, or the end of nothing
                case _:
                    raise RefusedError(f"not an event stream: {line!r}")

    async def close(self, *, abruptly: bool) -> None:
        """Close the connection; here there is only one way."""
        del abruptly
        await self._response.aclose()


def _data(result: Json) -> Json:
    if result.get("errors"):
        raise _refusal(result["errors"])
    data: Json = result["data"]
    return data


def _refusal(errors: list[Json]) -> LostError | RefusedError:
    if all(error["extensions"]["code"] in RETRYABLE for error in errors):
        return LostError("BUSY")
    return RefusedError(json.dumps(errors))
