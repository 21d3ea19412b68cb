"""Reads a GraphQL request from HTTP (GraphQL over HTTP, section "Request")."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from graph.deadlines import Deadlines
from graph.execution.encoding import decode
from graph.execution.engine import Request
from graph.transport.headers import Header, headers_of
from graph.transport.responses import JSON

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

_REMEMBERED: Final = 64
"""Content types that were found good; clients of one kind all send the same."""


class HttpRefusedError(Exception):
    """The request is refused before GraphQL looks at it.

    Attributes:
        status: HTTP status code.
        message: What to do about it.
        headers: To be sent with the refusal.
    """

    def __init__(self, status: int, message: str, *headers: Header) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class ClientGoneError(Exception):
    """The client left before its request was complete."""


def given_request_id(scope: Scope) -> str | None:
    """Return the request id that a client or proxy chose, if it is fit for headers and logs."""
    chosen = headers_of(scope).get(b"x-request-id")
    return chosen.decode() if chosen is not None and _REQUEST_ID.fullmatch(chosen) else None


def read_get(scope: Scope, request_id: str) -> Request:
    """Read a request from the query string.

    Raises:
        HttpRefusedError: 400, it is malformed.
    """
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise HttpRefusedError(400, "The query string is not percent-encoded UTF-8.") from None
    fields: dict[str, object] = dict(pairs)
    for name in ("variables", "extensions"):
        if fields.get(name) == "":
            del fields[name]
        elif name in fields:
            fields[name] = _json(str(fields[name]), f"{name} in the query string")
    return _request(fields, request_id)


async def read_post(
    scope: Scope, receive: Receive, request_id: str, *, max_bytes: int, deadlines: Deadlines
) -> Request:
    """Read a request from a JSON body.

    Raises:
        HttpRefusedError: 400, 408, 413 or 415.
        ClientGoneError: The client left.
    """
    headers = headers_of(scope)
    _check_content_type(headers.get(b"content-type", b""))
    # The connection stays open: closing it under a client that still sends would reset it, answer and all.
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        with deadlines.one():
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
                more = message.get("more_body", False)
    except TimeoutError:
        late = f"The body did not arrive within {deadlines.seconds:g} s."
        raise HttpRefusedError(408, late, (b"connection", b"close")) from None
    fields = _json(bytes(body), "The body")
    if isinstance(fields, list):
        raise HttpRefusedError(400, "Batching is off; send one request at a time.")
    if not isinstance(fields, dict):
        raise HttpRefusedError(400, "The body has to be a JSON object.")
    return _request(fields, request_id)


def _too_large(max_bytes: int) -> HttpRefusedError:
    return HttpRefusedError(413, f"The body has more than {max_bytes} bytes, which is the limit.")


@lru_cache(_REMEMBERED)
def _check_content_type(content_type: bytes) -> None:
    media, *parameters = (part.strip().lower() for part in content_type.decode("latin-1").split(";"))
    if media != JSON:
        raise HttpRefusedError(415, f"Send the request as JSON, with content-type: {JSON}.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in {"utf-8", "utf8"}:
            raise HttpRefusedError(415, "Encode the body in UTF-8.")


def _json(text: str | bytes, what: str) -> object:
    try:
        return decode(text)
    except ValueError:
        raise HttpRefusedError(400, f"{what} is no valid JSON.") from None


def _request(fields: Mapping[str, Any], request_id: str) -> Request:
    document_id = fields.get("documentId")
    if document_id is not None and not isinstance(document_id, str):
        raise HttpRefusedError(400, "documentId has to be a string or null.")
    query = fields.get("query")
    if query is None and document_id is not None:
        query = ""
    if not isinstance(query, str):
        raise HttpRefusedError(400, "query has to be a string with a GraphQL document.")
    name = fields.get("operationName")
    if name is not None and not isinstance(name, str):
        raise HttpRefusedError(400, "operationName has to be a string or null.")
    for optional in ("variables", "extensions"):
        value = fields.get(optional)
        if value is not None and not isinstance(value, dict):
            raise HttpRefusedError(400, f"{optional} has to be an object or null.")
    return Request(
        query=query,
        document_id=document_id,
        variables=fields.get("variables") or {},
        # GET has no null: an empty name means none.
        operation_name=name or None,
        request_id=request_id,
    )
