"""A client of the API over graphql-transport-ws, for our own commands.

Each operation has a socket of its own: reading waits for whoever asked, so nothing piles up here, and a cut concerns
one operation alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from graph.execution.encoding import decode, encode
from graph.transport.frames import SUBPROTOCOL

Data: TypeAlias = Mapping[str, Any]
"""What an operation answered, or an event of it."""

_OPERATION_ID: Final = "1"
_ACK_SECONDS: Final = 10.0

# graphql-transport-ws: of its own codes only this one, silence after a ping, may go better the next time.
_SILENCE: Final = 4408
_BUSY_STATUSES: Final = frozenset({429, 502, 503, 504})

_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0


class ApiError(Exception):
    """The API can't be used or refused an operation; the message is for people."""


class UnreachableError(ApiError):
    """Nobody serves at the address, at least not now."""


class ConnectionCutError(ApiError):
    """The connection ended before the operation did."""


class OperationError(ApiError):
    """The server refused the operation or could not finish it.

    Attributes:
        codes: `extensions.code` of each of its errors.
    """

    def __init__(self, message: str, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.codes = codes


class Client:
    """Speaks to one server.

    Args:
        url: Its address, such as http://127.0.0.1:8000 or https://example.org/mgx; that of its API will do.

    Raises:
        ApiError: It is no http or https address.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/").removesuffix("/graphql")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ApiError(f"{url!r} is no address of a server; it looks like http://127.0.0.1:8000.")
        scheme = "wss" if parts.scheme == "https" else "ws"
        self._endpoint = f"{scheme}://{parts.netloc}{parts.path}/graphql"

    async def execute(self, query: str, variables: Data | None = None) -> Data:
        """Run a query or mutation.

        Raises:
            UnreachableError, ConnectionCutError, OperationError: See there.
        """
        async with aclosing(self.subscribe(query, variables)) as answers:
            async for data in answers:
                return data
        raise OperationError("The server answered nothing.")

    async def subscribe(self, query: str, variables: Data | None = None) -> AsyncGenerator[Data]:
        """Run an operation and yield what it answers, one item for each event of a subscription.

        Raises:
            UnreachableError, ConnectionCutError, OperationError: See there.
        """
        async with self._connected() as socket:
            payload = {"query": query, "variables": dict(variables or {})}
            await _send(socket, {"type": "subscribe", "id": _OPERATION_ID, "payload": payload})
            while True:
                message = await _receive(socket)
                match message["type"]:
                    case "next":
                        yield _data(message["payload"])
                    case "error":
                        raise _operation_error(message["payload"])
                    case "complete":
                        return

    async def follow(
        self,
        query: str,
        variables: Data,
        field: str,
        on_cut: Callable[[ApiError], None] = lambda _: None,
    ) -> AsyncGenerator[Data]:
        """Yield the events of a subscription that takes `after`, going on behind the last one after each cut.

        It ends when the server says that nothing will ever follow. Only the first attempt to connect may fail.

        Args:
            query: A subscription with the variable `$after`, which selects `cursor`.
            variables: `after` among them starts behind that event.
            field: Of the subscription root.
            on_cut: Told of every connection that is lost or fails before the next attempt.

        Raises:
            UnreachableError, OperationError: See there.
        """
        after = variables.get("after")
        delays, connected = _delays(), False
        while True:
            try:
                async with aclosing(self.subscribe(query, {**variables, "after": after})) as answers:
                    async for data in answers:
                        event = data[field]
                        after, delays, connected = event["cursor"], _delays(), True
                        yield event
            except UnreachableError as error:
                if not connected:
                    raise
                on_cut(error)
            except ConnectionCutError as error:
                connected = True
                on_cut(error)
            else:
                return
            await asyncio.sleep(next(delays))

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[ClientConnection]:
        """Open a socket and introduce ourselves.

        No `max_size`: we read what we asked for. No proxy: one for the web does not lead to a server on this machine.
        """
        try:
            socket = await connect(
                self._endpoint, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None, proxy=None, compression=None
            )
        except InvalidStatus as error:
            raise self._refused(error) from error
        except (OSError, TimeoutError, InvalidMessage) as error:
            message = f"Nothing answers at {self.url}; start a server with `mgx serve`, or name another with --url."
            raise UnreachableError(message) from error
        except WebSocketException as error:
            raise ApiError(f"{self.url} is no server of ours: {error}") from error
        async with socket:
            try:
                await _introduce(socket)
                yield socket
            except ConnectionClosed as error:
                raise _ended(error) from error

    def _refused(self, error: InvalidStatus) -> ApiError:
        status = error.response.status_code
        reason = " ".join(error.response.body.decode(errors="replace").split())[:200] if error.response.body else ""
        message = f"{self.url} refused the connection with {status}. {reason}".strip()
        return UnreachableError(message) if status in _BUSY_STATUSES else ApiError(message)


async def _introduce(socket: ClientConnection) -> None:
    await _send(socket, {"type": "connection_init"})
    try:
        async with asyncio.timeout(_ACK_SECONDS):
            while (await _receive(socket))["type"] != "connection_ack":
                pass
    except TimeoutError as error:
        raise ConnectionCutError("The server took the connection and said nothing.") from error


async def _receive(socket: ClientConnection) -> dict[str, Any]:
    """Return what the server says next, its pings answered; raises ConnectionClosed at the end."""
    while True:
        message = cast("dict[str, Any]", decode(await socket.recv()))
        if message["type"] != "ping":
            return message
        await _send(socket, {"type": "pong"})


async def _send(socket: ClientConnection, message: object) -> None:
    await socket.send(encode(message).decode())


def _data(payload: Data) -> Data:
    if payload.get("errors"):
        raise _operation_error(payload["errors"])
    return cast("Data", payload["data"])


def _operation_error(errors: list[Data]) -> OperationError:
    codes = tuple(str(error.get("extensions", {}).get("code", "")) for error in errors)
    return OperationError(" ".join(str(error["message"]) for error in errors), codes)


def _ended(error: ConnectionClosed) -> ApiError:
    """Tell an end that another attempt may mend from one that is an answer."""
    code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "")
    said = f"{code} {reason}".strip()
    if 4000 <= code < 5000 and code != _SILENCE:
        return OperationError(f"The server closed the connection: {said}.")
    return ConnectionCutError(f"The connection was cut ({said}).")


def _delays() -> Iterator[float]:
    """Yield growing times to wait, never the same for two clients that were cut together."""
    delay = _FIRST_DELAY
    while True:
        yield delay * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret
        delay = min(delay * 2, _LONGEST_DELAY)
