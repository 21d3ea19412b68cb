"""Refusals: those that a client can expect are data, the others have a code."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from domain import errors
from domain.model import RunAction, RunStatus
from tests.schema.support import Api
from tests.unit.lives import NOON

ALL_FIELDS = """
    userErrors {
      __typename code message path
      ... on NotFoundError { id }
      ... on ConflictError { expectedVersion actualVersion }
      ... on InvalidStateError { currentStatus allowedActions }
      ... on ApprovalExpiredError { expiredAt currentStatus }
    }
"""
APPROVE = f"""mutation {{ approveRun(input: {{runId: "run_1"}}) {{ run {{ id }} {ALL_FIELDS} }} }}"""

REFUSALS = [
    (
        errors.InvalidInputError("Too long.", path=("approval_timeout",)),
        {"__typename": "InvalidInputError", "code": "INVALID", "path": ["input", "approvalTimeout"]},
    ),
    (
        errors.InvalidInputError("No.", path=("config", "step_seconds", "0")),
        {"__typename": "InvalidInputError", "code": "INVALID", "path": ["input", "config", "step_seconds", "0"]},
    ),
    (
        errors.NotFoundError("run", "run_1", path=("run_id",)),
        {"__typename": "NotFoundError", "code": "NOT_FOUND", "path": ["input", "runId"], "id": "run_1"},
    ),
    (
        errors.ConflictError("plan", expected=1, actual=2, path=("plan_version",)),
        {
            "__typename": "ConflictError",
            "code": "CONFLICT",
            "path": ["input", "planVersion"],
            "expectedVersion": 1,
            "actualVersion": 2,
        },
    ),
    (
        errors.InvalidStateError("No.", current=RunStatus.FAILED, allowed=(RunAction.RETRY, RunAction.DELETE)),
        {
            "__typename": "InvalidStateError",
            "code": "INVALID_STATE",
            "path": [],
            "currentStatus": "FAILED",
            "allowedActions": ["RETRY", "DELETE"],
        },
    ),
    (
        errors.ApprovalExpiredError(expired_at=NOON, current=RunStatus.TIMEOUT),
        {
            "__typename": "ApprovalExpiredError",
            "code": "APPROVAL_EXPIRED",
            "path": [],
            "expiredAt": "2026-11-23T12:00:00.000000Z",
            "currentStatus": "TIMEOUT",
        },
    ),
    (
        errors.IdempotencyKeyReusedError(),
        {"__typename": "GenericUserError", "code": "IDEMPOTENCY_KEY_REUSED", "path": ["input", "idempotencyKey"]},
    ),
    (errors.LimitReachedError("Enough."), {"__typename": "GenericUserError", "code": "LIMIT_REACHED", "path": []}),
]
TOP_LEVEL = [
    (errors.StoreBusyError("locked"), {"code": "BUSY"}),
    (errors.StoreFullError("disk full"), {"code": "BUSY"}),
    (errors.InvalidArgumentError("No."), {"code": "BAD_USER_INPUT"}),
    (errors.InvalidCursorError("No."), {"code": "BAD_USER_INPUT"}),
    (errors.CursorExpiredError("oldest"), {"code": "CURSOR_EXPIRED", "oldestCursor": "oldest"}),
    (errors.UnknownSubjectError("run", "run_1"), {"code": "NOT_FOUND"}),
]


def refusing(error: Exception) -> Any:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise error

    return refuse


def test_each_refusal_of_the_domain_is_tried() -> None:
    assert {type(error) for error, _ in REFUSALS} == set(errors.UserFacingError.__subclasses__())


@pytest.mark.parametrize(("error", "expected"), REFUSALS)
async def test_a_refusal_is_data(api: Api, error: errors.UserFacingError, expected: dict[str, Any]) -> None:
    api.on(run_service__review=refusing(error))

    payload = (await api.data(APPROVE))["approveRun"]

    assert payload == {"run": None, "userErrors": [expected | {"message": error.message}]}


@pytest.mark.parametrize(
    ("mutation", "service", "path"),
    [
        ('deleteTask(taskId: "x")', "task_service__delete", "task_id"),
        ('deleteRun(runId: "x")', "run_service__delete", "run_id"),
        ('deleteMetric(metricId: "x")', "metric_service__delete", "metric_id"),
    ],
)
async def test_without_an_input_the_path_begins_with_the_argument(
    api: Api, mutation: str, service: str, path: str
) -> None:
    api.on(**{service: refusing(errors.NotFoundError("thing", "x", path=(path,)))})

    (payload,) = (await api.data(f"mutation {{ {mutation} {{ deletedId {ALL_FIELDS} }} }}")).values()

    (argument,) = [part for part in mutation.replace("(", " ").split() if part.endswith(":")]
    assert payload["deletedId"] is None
    assert payload["userErrors"][0]["path"] == [argument.removesuffix(":")]


async def test_refused_metrics_are_an_empty_list(api: Api) -> None:
    api.on(metric_service__create=refusing(errors.InvalidInputError("No.", path=("metrics",))))

    payload = await api.data("mutation { createMetrics(input: {metrics: []}) { metrics { id } userErrors { path } } }")

    assert payload["createMetrics"] == {"metrics": [], "userErrors": [{"path": ["input", "metrics"]}]}


@pytest.mark.parametrize(("error", "extensions"), TOP_LEVEL)
@pytest.mark.parametrize("query", ["{ tasks { nodes { id } } }", '{ task(id: "task_1") { id } }'])
async def test_what_is_wrong_with_the_whole_request_is_a_top_level_error(
    api: Api, error: Exception, extensions: dict[str, str], query: str
) -> None:
    api.on(tasks__page=refusing(error), tasks__many=refusing(error))

    (shown,) = (await api.execute(query))["errors"]

    assert shown["extensions"] == extensions
    assert "disk" not in shown["message"]


async def test_a_busy_store_refuses_a_mutation_with_a_top_level_error(api: Api) -> None:
    api.on(run_service__review=refusing(errors.StoreBusyError("locked")))

    answer = await api.execute(APPROVE)

    assert answer["data"] is None
    assert answer["errors"][0]["extensions"] == {"code": "BUSY"}


async def test_a_bug_stays_a_bug(api: Api) -> None:
    api.on(run_service__review=refusing(RuntimeError("secret")))

    (shown,) = (await api.execute(APPROVE))["errors"]

    assert shown["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert "secret" not in shown["message"]
