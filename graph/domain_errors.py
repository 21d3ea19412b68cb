"""Failures of the domain that belong to the whole request, as the top-level errors that clients see.

Refusals that a client can expect (`UserFacingError`) are data and belong to `graph.types.user_errors`. Whatever is in
neither place is a bug and stays what it is, to be logged and masked.
"""

from domain.errors import (
    CursorExpiredError,
    DomainError,
    RequestError,
    StoreError,
    StoreFullError,
    UnknownSubjectError,
)
from graph import errors
from graph.errors import ErrorCode

_FULL = "The database is full or can't be written; reading goes on. Try again when there is room."
_BUSY = "The database is busy; try again."


class translated:  # noqa: N801  # it is used as a function, which would make a generator for each statement
    """Raise what the domain says about the request, or its store, as a top-level error with a code."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (RequestError, StoreError)):
            raise top_level(error) from error


def top_level(error: DomainError) -> errors.RequestError:
    """Return the error that a client sees in `errors`."""
    match error:
        case CursorExpiredError():
            return errors.RequestError(ErrorCode.CURSOR_EXPIRED, str(error), oldestCursor=error.oldest_cursor)
        case UnknownSubjectError():
            return errors.RequestError(ErrorCode.NOT_FOUND, str(error))
        case StoreFullError():
            return errors.RequestError(ErrorCode.BUSY, _FULL)
        case StoreError():
            return errors.RequestError(ErrorCode.BUSY, _BUSY)
        case _:
            return errors.RequestError(ErrorCode.BAD_USER_INPUT, str(error))
