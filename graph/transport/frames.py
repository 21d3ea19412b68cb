"""Messages of the graphql-transport-ws protocol: checked on the way in, put together on the way out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

from graph.execution.encoding import decode, encode
from graph.execution.engine import Failure, Result

SUBPROTOCOL: Final = "graphql-transport-ws"

ACK: Final = '{"type":"connection_ack"}'
PING: Final = '{"type":"ping"}'


class InvalidFrameError(Exception):
    """A message has not the shape that the protocol prescribes; the text fits a close reason."""


@dataclass(frozen=True, slots=True)
class Init:
    """The client introduces itself."""

    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks for a pong with the same payload."""

    payload: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Pong:
    """The client answers a ping, or shows that it lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """The client asks for an operation, of whatever type."""

    id: str
    query: str
    document_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """The client wants no more of an operation."""

    id: str


ClientMessage: TypeAlias = Init | Ping | Pong | Subscribe | Complete


def parse(text: str) -> ClientMessage:
    """Read a client's message.

    Raises:
        InvalidFrameError: It is no JSON or has the wrong shape.
    """
    try:
        message = decode(text)
    except ValueError:
        raise InvalidFrameError("Message is no valid JSON") from None
    if not isinstance(message, dict):
        raise InvalidFrameError("Message is no object")
    match message.get("type"):
        case "connection_init":
            return Init(_payload(message) or {})
        case "ping":
            return Ping(_payload(message))
        case "pong":
            _payload(message)
            return Pong()
        case "subscribe":
            return _subscribe(message)
        case "complete":
            return Complete(_id(message))
        case _:
            raise InvalidFrameError("Message has no known type")


def tail(answer: Result | Failure) -> bytes:
    """Encode what `next` or `error` says, for all operations that get the same answer.

    A frame is a head with its operation's id, and this.
    """
    if isinstance(answer, Result):
        return b',"type":"next","payload":' + answer.body + b"}"
    return b',"type":"error","payload":' + encode(answer.errors) + b"}"


@lru_cache
def pieces(head_bytes: int) -> Callable[[Sequence[Result]], list[bytes]]:
    """Return what makes the parts between the heads of WebSocket frames, for all operations with heads of one length.

    An operation's head joins them: `head(id).join(parts)` is a frame for each answer (RFC 6455, 5.2), as it is written.
    """

    def make(answers: Sequence[Result]) -> list[bytes]:
        made = []
        end = b""
        for answer in answers:
            rest = tail(answer)
            made.append(end + _frame_start(head_bytes + len(rest)))
            end = rest
        made.append(end)
        return made

    return make


def head(operation_id: str) -> bytes:
    """Encode the part of a frame that names the operation."""
    return b'{"id":' + encode(operation_id)


def complete(operation_id: str) -> str:
    """Say that nothing will ever follow."""
    return (head(operation_id) + b',"type":"complete"}').decode()


def pong(payload: Mapping[str, object] | None) -> str:
    """Answer a ping."""
    if payload is None:
        return '{"type":"pong"}'
    return encode({"type": "pong", "payload": payload}).decode()


def _frame_start(length: int) -> bytes:
    """Begin a final, unmasked text frame."""
    if length < 126:
        return bytes((0x81, length))
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)


def _payload(message: dict[str, object]) -> Mapping[str, object] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise InvalidFrameError("payload is neither an object nor null")
    return cast("Mapping[str, object] | None", payload)


def _id(message: dict[str, object]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise InvalidFrameError("id is no text, or empty")
    return operation_id


def _subscribe(message: dict[str, object]) -> Subscribe:
    payload = _payload(message)
    if payload is None:
        raise InvalidFrameError("subscribe has no payload")
    query, document_id, name = payload.get("query"), payload.get("documentId"), payload.get("operationName")
    if not isinstance(document_id, str | None):
        raise InvalidFrameError("documentId is neither text nor null")
    if query is None and document_id is not None:
        query = ""
    if not isinstance(query, str):
        raise InvalidFrameError("query is no text")
    if name is not None and not isinstance(name, str):
        raise InvalidFrameError("operationName is neither text nor null")
    for optional in ("variables", "extensions"):
        if not isinstance(payload.get(optional), dict | None):
            raise InvalidFrameError(f"{optional} is neither an object nor null")
    variables = cast("Mapping[str, Any]", payload.get("variables") or {})
    return Subscribe(id=_id(message), query=query, document_id=document_id, variables=variables, operation_name=name)
