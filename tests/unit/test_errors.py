"""Errors carry what transports need, and the tree that the module draws is the one it has."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from domain import errors
from domain.errors import (
    ApprovalExpiredError,
    ConflictError,
    CursorExpiredError,
    DomainError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    InvalidPlanError,
    InvalidStateError,
    LimitReachedError,
    NotFoundError,
    TeamError,
    UnknownSubjectError,
    UserFacingError,
)
from domain.model import RunAction, RunStatus

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

EXAMPLES: list[tuple[UserFacingError, str, tuple[str, ...]]] = [
    (InvalidInputError("Too long.", path=("name",)), "Too long.", ("name",)),
    (NotFoundError("run", "run_x", path=("run_id",)), "There is no run with the id 'run_x'.", ("run_id",)),
    (
        ConflictError("plan", expected=1, actual=2, path=("plan_version",)),
        "The plan is at version 2, not 1; read it again and decide on that.",
        ("plan_version",),
    ),
    (InvalidStateError("No.", current=RunStatus.FAILED, allowed=(RunAction.RETRY,)), "No.", ()),
    (
        ApprovalExpiredError(expired_at=NOON, current=RunStatus.TIMEOUT),
        "The plan waited for a decision until 2026-11-23T12:00:00+00:00; retry the run to get a new plan.",
        (),
    ),
    (
        IdempotencyKeyReusedError(),
        "This idempotency key was used with another input; use a new key for a new request.",
        ("idempotency_key",),
    ),
    (LimitReachedError("Enough."), "Enough.", ()),
]


@pytest.mark.parametrize(("error", "message", "path"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_refusal_has_a_sentence_and_a_path(error: UserFacingError, message: str, path: tuple[str, ...]) -> None:
    assert error.message == str(error) == message
    assert error.path == path


def test_every_kind_of_refusal_is_among_the_examples() -> None:
    assert {type(error) for error, _, _ in EXAMPLES} == set(UserFacingError.__subclasses__())


def test_refusals_carry_their_fields() -> None:
    assert (NotFoundError("task", "x").kind, NotFoundError("task", "x").id) == ("task", "x")
    conflict = ConflictError("task", expected=3, actual=5)
    assert (conflict.expected, conflict.actual) == (3, 5)
    state = InvalidStateError("No.", current=RunStatus.FAILED, allowed=(RunAction.RETRY,))
    assert (state.current, state.allowed) == (RunStatus.FAILED, (RunAction.RETRY,))
    expired = ApprovalExpiredError(expired_at=NOON, current=RunStatus.TIMEOUT)
    assert (expired.expired_at, expired.current) == (NOON, RunStatus.TIMEOUT)


def test_request_errors_say_what_to_do() -> None:
    assert CursorExpiredError("abc").oldest_cursor == "abc"
    assert str(UnknownSubjectError("run", "x")) == "There is no run with the id 'x'."


def test_a_team_that_gives_up_says_by_which_code_and_whether_to_retry() -> None:
    plain, full = TeamError("No."), TeamError("No.", code="BUDGET", step="a", retryable=False)

    assert (plain.code, plain.step, plain.retryable) == ("TEAM_ERROR", None, True)
    assert (full.code, full.step, full.retryable) == ("BUDGET", "a", False)
    assert InvalidPlanError("No.").code == "INVALID_PLAN"


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: list[tuple[str, str]] = []
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^([ │├└─]*)(\w+Error)\b", line):
            depth = len(match[1])
            above = [(other, name) for other, name in above if other < depth]
            drawn += [(above[-1][1], match[2])] if above else []
            above.append((depth, match[2]))

    assert sorted(drawn) == sorted(_edges(DomainError))


def _edges(cls: type[DomainError]) -> list[tuple[str, str]]:
    found = []
    for sub in cls.__subclasses__():
        found += [(cls.__name__, sub.__name__), *_edges(sub)]
    return found
