"""What a client can expect and handle: the domain's refusals as data.

This is the only place that knows which refusal becomes which type and code.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import strawberry

from domain import errors
from domain.codec import camel_case
from domain.model import RunAction, RunStatus
from graph.types.enums import describe
from graph.types.fields import attribute, computed


class UserErrorCode(StrEnum):
    """What kind of refusal it is."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    INVALID_STATE = "INVALID_STATE"
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    LIMIT_REACHED = "LIMIT_REACHED"


describe(
    UserErrorCode,
    "What kind of refusal it is. Clients should have a case for codes that are added later.",
    {
        UserErrorCode.INVALID: "A value is out of range, malformed or unknown.",
        UserErrorCode.NOT_FOUND: "An id in the input names nothing, or a thing of another kind.",
        UserErrorCode.CONFLICT: "The caller acted on another version than the current one.",
        UserErrorCode.INVALID_STATE: "Not possible in the run's current status.",
        UserErrorCode.APPROVAL_EXPIRED: "The plan's deadline has passed.",
        UserErrorCode.IDEMPOTENCY_KEY_REUSED: "The idempotency key came before with another input.",
        UserErrorCode.LIMIT_REACHED: "A limit that the task or the product sets is reached.",
    },
)


@strawberry.interface(
    description=(
        "What a client can expect and handle. Bugs, bad documents and missing rights are top-level errors with "
        "extensions.code."
    )
)
class UserError:
    """A refusal."""

    record: strawberry.Private[errors.UserFacingError]
    code: UserErrorCode = computed("What kind of refusal it is.", lambda error: _KINDS[type(error.record)][1])
    message: str = attribute("One sentence that a person can act on.")
    path: list[str] = strawberry.field(
        description='Input path, e.g. ["input", "name"]; empty where no single field is to blame.'
    )

    @classmethod
    def from_domain(cls, record: errors.UserFacingError, within: tuple[str, ...]) -> UserError:
        """Show a refusal as its own type.

        Args:
            record: Names the field at fault as Python does.
            within: Where that field stands in the mutation's arguments.
        """
        return _KINDS[type(record)][0](record=record, path=_path(record.path, within))


@strawberry.type(description="A value is out of range, malformed or unknown.")
class InvalidInputError(UserError):
    """INVALID."""


@strawberry.type(description="An id in the input names nothing, or a thing of another kind.")
class NotFoundError(UserError):
    """NOT_FOUND."""

    id: strawberry.ID = attribute("The id that was given.")


@strawberry.type(description="Another version than expected: of a task, or of the plan that was decided on.")
class ConflictError(UserError):
    """CONFLICT."""

    expected_version: int = attribute("The version that the caller acted on.", "expected")
    actual_version: int = attribute("The current version.", "actual")


@strawberry.type(description="Not possible in the run's current status.")
class InvalidStateError(UserError):
    """INVALID_STATE."""

    current_status: RunStatus = attribute("Where the run stands.", "current")
    allowed_actions: list[RunAction] = attribute("What can be done instead.", "allowed")


@strawberry.type(description="The plan's deadline has passed, whether or not the run has already been closed for it.")
class ApprovalExpiredError(UserError):
    """APPROVAL_EXPIRED."""

    expired_at: datetime = attribute("When the wait ended.")
    current_status: RunStatus = attribute("Where the run stands.", "current")


@strawberry.type(description="IDEMPOTENCY_KEY_REUSED and LIMIT_REACHED.")
class GenericUserError(UserError):
    """IDEMPOTENCY_KEY_REUSED and LIMIT_REACHED."""


_KINDS: Final[Mapping[type[errors.UserFacingError], tuple[type[UserError], UserErrorCode]]] = MappingProxyType(
    {
        errors.InvalidInputError: (InvalidInputError, UserErrorCode.INVALID),
        errors.NotFoundError: (NotFoundError, UserErrorCode.NOT_FOUND),
        errors.ConflictError: (ConflictError, UserErrorCode.CONFLICT),
        errors.InvalidStateError: (InvalidStateError, UserErrorCode.INVALID_STATE),
        errors.ApprovalExpiredError: (ApprovalExpiredError, UserErrorCode.APPROVAL_EXPIRED),
        errors.IdempotencyKeyReusedError: (GenericUserError, UserErrorCode.IDEMPOTENCY_KEY_REUSED),
        errors.LimitReachedError: (GenericUserError, UserErrorCode.LIMIT_REACHED),
    }
)
USER_ERROR_TYPES: Final = tuple(dict.fromkeys(type_ for type_, _ in _KINDS.values()))
"""All concrete types: nothing else in the schema names them."""


def _path(path: tuple[str, ...], within: tuple[str, ...]) -> list[str]:
    """Return a path as clients see it: only its first name is ours, what follows may be a key of their own JSON."""
    return [*within, camel_case(path[0]), *path[1:]] if path else []
