"""The failures that the domain knows.

    DomainError
    ├── UserFacingError           a client can expect and handle it; becomes a userError
    │   ├── InvalidInputError
    │   ├── NotFoundError
    │   ├── ConflictError
    │   ├── InvalidStateError
    │   ├── ApprovalExpiredError
    │   ├── IdempotencyKeyReusedError
    │   └── LimitReachedError
    ├── RequestError              the request itself is wrong; becomes a top-level error
    │   ├── InvalidArgumentError
    │   ├── InvalidCursorError
    │   ├── CursorExpiredError
    │   └── UnknownSubjectError
    ├── StoreError                the database can't do it now; becomes a top-level error
    │   ├── StoreBusyError
    │   └── StoreFullError
    └── WorkError                 between engine and teams; never shown as it is
        ├── StaleAttemptError
        ├── NotClaimableError
        ├── InvalidSignalError
        └── TeamError
            └── InvalidPlanError

Errors carry fields, so that transports need not read messages; the message is one sentence that a person can act on.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.model import RunAction, RunStatus


class DomainError(Exception):
    """Base of everything in this module."""


class UserFacingError(DomainError):
    """A refusal that a client can expect and handle.

    Attributes:
        path: Names of the input's fields down to the one at fault, the first as the use case calls it; empty
            where no single field is to blame.
    """

    def __init__(self, message: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class InvalidInputError(UserFacingError):
    """A value is out of range, malformed or unknown."""


class NotFoundError(UserFacingError):
    """An id in the input names nothing, or a thing of another kind."""

    def __init__(self, kind: str, id_: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(f"There is no {kind} with the id {id_!r}.", path=path)
        self.kind = kind
        self.id = id_


class ConflictError(UserFacingError):
    """The caller acted on another version than the current one."""

    def __init__(self, what: str, *, expected: int, actual: int, path: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"The {what} is at version {actual}, not {expected}; read it again and decide on that.", path=path
        )
        self.expected = expected
        self.actual = actual


class InvalidStateError(UserFacingError):
    """Not possible in the run's current status."""

    def __init__(
        self,
        message: str,
        *,
        current: RunStatus,
        allowed: tuple[RunAction, ...],
        path: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, path=path)
        self.current = current
        self.allowed = allowed


class ApprovalExpiredError(UserFacingError):
    """The plan's deadline has passed, whether or not the run has already been closed for it."""

    def __init__(self, *, expired_at: datetime, current: RunStatus, path: tuple[str, ...] = ()) -> None:
        super().__init__(
            f"The plan waited for a decision until {expired_at.isoformat()}; retry the run to get a new plan.",
            path=path,
        )
        self.expired_at = expired_at
        self.current = current


class IdempotencyKeyReusedError(UserFacingError):
    """The idempotency key came before with another input."""

    def __init__(self) -> None:
        super().__init__(
            "This idempotency key was used with another input; use a new key for a new request.",
            path=("idempotency_key",),
        )


class LimitReachedError(UserFacingError):
    """A limit that the task or the product sets is reached."""


class RequestError(DomainError):
    """The request can't be answered as it was put."""


class InvalidArgumentError(RequestError):
    """An argument of a query is out of range or contradicts another."""


class InvalidCursorError(RequestError):
    """The cursor is foreign, cut, edited, of another order, or beyond the log's head."""


class CursorExpiredError(RequestError):
    """Not all of what follows the cursor, or the beginning of a run, is still kept.

    Attributes:
        oldest_cursor: The oldest cursor that can still be followed.
    """

    def __init__(self, oldest_cursor: str) -> None:
        super().__init__(
            "This goes back further than what is kept; read again what you show, and go on from oldestCursor."
        )
        self.oldest_cursor = oldest_cursor


class UnknownSubjectError(RequestError):
    """A subscription names a run or task that does not exist."""

    def __init__(self, kind: str, id_: str) -> None:
        super().__init__(f"There is no {kind} with the id {id_!r}.")


class StoreError(DomainError):
    """The database can't do it now; nothing was written."""


class StoreBusyError(StoreError):
    """Another writer held the database for too long."""


class StoreFullError(StoreError):
    """The database or its disk is full or read-only; reads go on."""


class WorkError(DomainError):
    """Something between the engine and a team."""


class StaleAttemptError(WorkError):
    """Another claim owns the run now; what this worker says no longer counts."""


class NotClaimableError(WorkError):
    """The run needs no work now, waits for another run, or has a living owner."""


class InvalidSignalError(WorkError):
    """A team said something that does not fit its plan, such as an unknown step."""


class TeamError(WorkError):
    """A team gave up.

    Attributes:
        code: Stable name of the reason, as in RunFailure.code.
        step: Key of the step at fault, if it was one.
        retryable: Whether a retry could end otherwise.
    """

    def __init__(
        self, message: str, *, code: str = "TEAM_ERROR", step: str | None = None, retryable: bool = True
    ) -> None:
        super().__init__(message)
        self.code = code
        self.step = step
        self.retryable = retryable


class InvalidPlanError(TeamError):
    """A team's plan is empty or breaks a rule of plans."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="INVALID_PLAN")
