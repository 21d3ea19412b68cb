"""Small HTTP answers as ASGI messages, with the body that GraphQL clients read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import Receive, Scope, Send

from graph.errors import ErrorCode
from graph.execution.encoding import encode
from graph.transport.headers import Header, content_type

JSON: Final = "application/json"

_JSON_TYPE: Final = content_type(JSON)

_CODES: Final = {403: ErrorCode.FORBIDDEN, 429: ErrorCode.RATE_LIMITED, 503: ErrorCode.BUSY}


@dataclass(slots=True)  # a frozen one takes four times as long to make
class Exchange:
    """One HTTP request and the way back.

    Attributes:
        scope: ASGI.
        receive: ASGI.
        send: ASGI.
        request_id: Names it in headers, errors and the log.
        headers: Of the response, whatever it will be.
    """

    scope: Scope
    receive: Receive
    send: Send
    request_id: str
    headers: list[Header]


async def respond(send: Send, status: int, body: bytes, headers: Sequence[Header], *, prefix: str = "http") -> None:
    """Send a whole response; `prefix` is "websocket.http" for a refused handshake."""
    fields = [*headers]
    if status != 204:  # RFC 9110 §8.6
        fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": f"{prefix}.response.start", "status": status, "headers": fields})
    await send({"type": f"{prefix}.response.body", "body": body})


async def refuse(scope: Scope, send: Send, status: int, message: str, headers: Sequence[Header] = ()) -> None:
    """Refuse a request or a WebSocket handshake with a JSON body."""
    body = error_body(_CODES.get(status, ErrorCode.BAD_REQUEST), message)
    fields = [_JSON_TYPE, *headers]
    if scope["type"] == "http":
        await respond(send, status, body, fields)
    elif "websocket.http.response" in scope.get("extensions", {}):
        await respond(send, status, body, fields, prefix="websocket.http")
    else:
        await send({"type": "websocket.close"})


def error_body(code: ErrorCode, message: str) -> bytes:
    """Encode one error in the form of a GraphQL response."""
    return encode({"errors": [{"message": message, "extensions": {"code": code.value}}]})
