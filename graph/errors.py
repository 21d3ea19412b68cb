"""Top-level GraphQL errors: their codes, and what a client may see of an unexpected one.

    RequestError            a resolver or the transport refuses: code and message reach the client
      LimitExceededError    a document, body or socket is larger than a limit allows

What a client can expect and handle is data (`userErrors` of a payload); what stands here is a bad
document, a missing right, or a bug.
"""

import logging
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from graphql import GraphQLError, GraphQLFormattedError, ValueNode

_log = logging.getLogger(__name__)


class ErrorCode(StrEnum):
    """The values of `extensions.code` in `errors`."""

    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    NOT_FOUND = "NOT_FOUND"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    BUSY = "BUSY"
    TIMEOUT = "TIMEOUT"
    INTERNAL = "INTERNAL"
    BAD_REQUEST = "BAD_REQUEST"


class RequestError(GraphQLError):
    """A refusal that reaches the client as it is.

    Args:
        code: What kind of refusal; it becomes `extensions.code`.
        message: One sentence that says what to do about it.
        **extensions: More for machines, e.g. `oldestCursor`; keys as clients see them.
    """

    def __init__(self, code: ErrorCode, message: str, **extensions: object) -> None:
        super().__init__(message, extensions={"code": code.value, **extensions})
        self.code = code


class LimitExceededError(RequestError):
    """Something is larger than a limit allows; both numbers are in `extensions`.

    Args:
        what: The measured thing as the start of a sentence, e.g. "The operation's depth".
        value: What was measured.
        limit: What is allowed.
    """

    def __init__(self, what: str, value: int, limit: int) -> None:
        message = f"{what} is {value}; the limit is {limit}."
        super().__init__(ErrorCode.LIMIT_EXCEEDED, message, limit=limit, value=value)


def coded(error: GraphQLError, code: ErrorCode) -> GraphQLFormattedError:
    """Format an error that the client caused, with a code unless it brings its own."""
    formatted = error.formatted
    formatted["extensions"] = {"code": code.value, **(error.extensions or {})}
    return formatted


def public(errors: Iterable[GraphQLError], request_id: str) -> list[GraphQLFormattedError]:
    """Turn execution errors into what the client may see.

    Errors with a code pass. An argument that only execution could refuse is the client's, so it is
    BAD_USER_INPUT. Everything else is a bug: it is logged once for each distinct exception and
    masked as INTERNAL.

    Args:
        errors: As graphql-core collected them, or exceptions located by `located_error`.
        request_id: Ties the masked answer to its line in the log.
    """
    logged: set[int] = set()
    return [_public(error, request_id, logged) for error in errors]


def internal(error: BaseException, request_id: str) -> GraphQLFormattedError:
    """Log an exception that has no place in a response, and format its masked form."""
    _log.error("Unexpected error", exc_info=error, extra={"request_id": request_id})
    return _masked(request_id)


def _public(error: GraphQLError, request_id: str, logged: set[int]) -> GraphQLFormattedError:
    if "code" in (error.extensions or {}):
        return error.formatted
    cause = error.original_error or error
    if isinstance(cause, GraphQLError) and any(isinstance(node, ValueNode) for node in cause.nodes or ()):
        return coded(error, ErrorCode.BAD_USER_INPUT)
    if id(cause) not in logged:
        logged.add(id(cause))
        where = ".".join(str(key) for key in error.path or ())
        _log.error("Unexpected error at %s", where or "-", exc_info=cause, extra={"request_id": request_id})
    masked: dict[str, Any] = {**error.formatted, **_masked(request_id)}
    return masked  # type: ignore[return-value]  # a TypedDict can't be merged and keep its type


def _masked(request_id: str) -> GraphQLFormattedError:
    return {
        "message": "Internal error",
        "extensions": {"code": ErrorCode.INTERNAL.value, "requestId": request_id},
    }
