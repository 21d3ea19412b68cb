"""GraphQL over HTTP: POST, GET for queries, and event streams by POST."""

from collections.abc import Mapping
from typing import Final

from graphql import OperationType
from starlette.types import Receive, Scope, Send

from domain.log_context import doing
from graph.deadlines import Deadlines
from graph.errors import ErrorCode, internal
from graph.execution.encoding import encode
from graph.execution.engine import Answer, Failure, Operation, Result
from graph.transport.connections import TooManyConnectionsError
from graph.transport.headers import content_type, headers_of
from graph.transport.http_request import ClientGoneError, HttpRefusedError, given_request_id, read_get, read_post
from graph.transport.negotiation import MediaType, negotiate
from graph.transport.responses import Exchange, refuse, respond
from graph.transport.shared import Transport, new_request_id
from graph.transport.sse import stream

_ALLOW: Final = (b"allow", b"GET, POST, OPTIONS")
_VARY: Final = (b"vary", b"accept, origin")
_CONTENT_TYPE: Final = {media: content_type(media) for media in MediaType}

# Failures that are not the document's are told by status to every client, whatever it accepts.
_STATUS: Final[Mapping[str, int]] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.BUSY: 503,
    ErrorCode.TIMEOUT: 503,
}


class HttpView:
    """The HTTP side of the GraphQL address, as an ASGI application.

    Args:
        transport: What it shares with the WebSocket side.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._max_body = transport.engine.options.limits.body_bytes
        self._body_deadlines = Deadlines(transport.options.body_timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = given_request_id(scope) or new_request_id()
        headers = [(b"x-request-id", request_id.encode()), _VARY]
        exchange = Exchange(scope, receive, send, request_id, headers)
        try:
            with doing(request_id=request_id):
                await self._serve(exchange)
        except HttpRefusedError as refusal:
            await refuse(scope, send, refusal.status, refusal.message, (*headers, *refusal.headers))
        except ClientGoneError:
            return
        except Exception as error:
            body = encode({"errors": [internal(error, request_id)]})
            await respond(send, 500, body, [_CONTENT_TYPE[MediaType.JSON], *headers])

    async def _serve(self, exchange: Exchange) -> None:
        scope, origins = exchange.scope, self._transport.origins
        if not origins.allows(scope):
            raise HttpRefusedError(403, "This origin is not allowed.")
        exchange.headers.extend(origins.response_headers(scope))
        method = scope["method"]
        if method == "OPTIONS":
            headers = [*exchange.headers, *origins.preflight_headers(scope), _ALLOW]
            await respond(exchange.send, 204, b"", headers)
            return
        if method not in {"GET", "POST"}:
            raise HttpRefusedError(405, "Use POST, or GET for queries.", _ALLOW)
        media = negotiate(headers_of(scope).get(b"accept", b""))
        if media is None:
            raise HttpRefusedError(406, f"Accept one of {', '.join(MediaType)}.")
        if method == "GET":
            request = read_get(scope, exchange.request_id)
        else:
            request = await read_post(
                scope, exchange.receive, exchange.request_id, max_bytes=self._max_body, deadlines=self._body_deadlines
            )
        prepared = self._transport.prepare(request, "sse" if media is MediaType.EVENTS else "http")
        if isinstance(prepared, Operation):
            _check_operation(prepared, method, media)
        if media is MediaType.EVENTS:
            await self._stream(exchange, prepared)
        else:
            await self._answer(exchange, prepared, media)

    async def _answer(self, exchange: Exchange, prepared: Operation | Failure, media: MediaType) -> None:
        answer: Answer
        if isinstance(prepared, Operation):
            info = self._transport.describe(exchange.scope, "http", exchange.request_id)
            answer = await self._transport.execute(prepared, info)
        else:
            answer = prepared
        headers = [_CONTENT_TYPE[media], *exchange.headers]
        await respond(exchange.send, _status(answer, media), answer.body, headers)

    async def _stream(self, exchange: Exchange, prepared: Operation | Failure) -> None:
        info = self._transport.describe(exchange.scope, "sse", exchange.request_id)
        try:
            with self._transport.connections.admit(info.address, info.kind):
                await stream(self._transport, exchange, prepared, info)
        except TooManyConnectionsError as error:
            raise HttpRefusedError(_STATUS[error.code], error.message) from None


def _check_operation(operation: Operation, method: str, media: MediaType) -> None:
    """Refuse what this method or media type can't carry.

    Raises:
        HttpRefusedError: 405 or 406.
    """
    if method == "GET" and operation.type is not OperationType.QUERY:
        raise HttpRefusedError(405, f"Send a {operation.type.value} by POST.", (b"allow", b"POST"))
    if operation.type is OperationType.SUBSCRIPTION and media is not MediaType.EVENTS:
        raise HttpRefusedError(406, f"Accept {MediaType.EVENTS} before JSON for a subscription, or use the WebSocket.")


def _status(answer: Answer, media: MediaType) -> int:
    if isinstance(answer, Result):
        return 200
    # application/json: "200 for all responses to well-formed GraphQL requests" (GraphQL over HTTP)
    return _STATUS.get(answer.code, 200 if media is MediaType.JSON else 400)
