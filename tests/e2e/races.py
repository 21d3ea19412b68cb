"""Decisions that come at the same time: how they are tried, and what must be true afterwards."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tests.e2e.client import Api
from tests.e2e.work import QUICK

SHORT: Final = {**QUICK, "steps": 1, "logsPerStep": 0, "metricsPerStep": 0}

OUTCOMES: Final = {"APPROVED": "COMPLETED", "REJECTED": "REJECTED", "CANCELLED": "CANCELLED", "EXPIRED": "TIMEOUT"}


async def decide(api: Api, run: Any, what: str) -> tuple[str, Any]:
    """Try to decide; return what was tried, and the refusal if there was one."""
    if what == "CANCELLED":
        payload = await api.mutate("cancelRun", {"runId": run["id"]}, "status")
    else:
        payload = await api.mutate("approveRun", {"runId": run["id"], "approved": what == "APPROVED"}, "status")
    return what, payload["userErrors"][0] if payload["userErrors"] else None


async def check(api: Api, run: Any, tried: Sequence[tuple[str, Any]]) -> str:
    """Check that one of those who tried won, or the deadline did; return what won."""
    won = {what for what, error in tried if error is None}
    events = await api.life(run["id"])
    types = [event["type"] for event in events]
    terminal = [event for event in types if event in {"COMPLETION", "REJECTED", "CANCELLED", "TIMEOUT", "FAILURE"}]
    assert (len(terminal), types[-1]) == (1, terminal[0])
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    decided = await api.run(run["id"])
    kinds = [decision["kind"] for decision in decided["decisions"]]
    if "CANCELLED" in won and "APPROVED" in won:
        # The approval came first, and the cancel ended what it had begun.
        assert (kinds, decided["status"]) == (["APPROVED"], "CANCELLED")
        winner = "APPROVED"
    else:
        winner = won.pop() if won else "EXPIRED"
        assert not won
        assert kinds == ([] if winner == "CANCELLED" else [winner])
        assert decided["status"] == OUTCOMES[winner]
    for _, error in tried:
        if error is not None:
            check_refusal(error, may_be_late=winner in {"EXPIRED", "CANCELLED"})
    return winner


def check_refusal(error: Any, *, may_be_late: bool) -> None:
    assert error["path"] == ["input", "runId"]
    # A plan that nobody may decide on any more can still be cancelled.
    if may_be_late and error["code"] == "APPROVAL_EXPIRED":
        assert error["currentStatus"] in {"AWAITING_APPROVAL", "TIMEOUT", "CANCELLED"}
        assert error["expiredAt"] <= datetime.now(UTC).isoformat()
        return
    assert (error["__typename"], error["code"]) == ("InvalidStateError", "INVALID_STATE")
    assert error["currentStatus"] in error["message"]
    assert error["currentStatus"] != "AWAITING_APPROVAL"
    assert "APPROVE" not in error["allowedActions"]


async def deadline(api: Api, run: Any) -> datetime:
    """Wait for the plan and return when its wait ends."""
    select = "... on ApprovalRequiredEvent { expiresAt }"
    async with api.following("runEvents", run["id"], types=["APPROVAL_REQUIRED"], select=select) as events:
        return datetime.fromisoformat((await anext(events))["expiresAt"])


async def until_about(expires: datetime, early: float) -> None:
    """Wait until some seconds before a deadline, or after it where they are negative."""
    await asyncio.sleep(max((expires - datetime.now(UTC)).total_seconds() - early, 0))
