"""How long a plan waits, what happens then, and what a decision meets that comes too late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from graph import backend
from tests.e2e.client import Api
from tests.e2e.server import serving
from tests.e2e.work import awaiting, new_run, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run_out(api: Api, **fields: Any) -> Any:
    """Return a run whose plan waited for a second and got no decision."""
    run = await new_run(api, await new_task(api, approvalTimeout=1, **fields))
    await api.life(run["id"])
    return await api.run(run["id"])


async def test_a_plan_that_nobody_decides_on_times_out(api: Api) -> None:
    run = await run_out(api)
    assert (run["status"], run["allowedActions"]) == ("TIMEOUT", ["RETRY", "DELETE"])
    (decision,) = run["decisions"]
    assert (decision["kind"], decision["actor"]) == ("EXPIRED", "policy")
    last = (await api.life(run["id"]))[-1]
    assert (last["type"], last["status"], last["__typename"]) == ("TIMEOUT", "TIMEOUT", "TimeoutEvent")
    task = await api.task(run["taskId"])
    assert (task["status"], task["failedRuns"]) == ("TIMEOUT", 1)
    assert task["lastError"]


async def test_the_policy_may_approve_instead(api: Api) -> None:
    run = await run_out(api, onApprovalTimeout="APPROVE")
    assert run["status"] == "COMPLETED"
    (decision,) = run["decisions"]
    assert (decision["kind"], decision["actor"]) == ("AUTO_APPROVED", "policy")
    error = await api.refusal("approveRun", runId=run["id"])
    assert (error["code"], error["currentStatus"]) == ("INVALID_STATE", "COMPLETED")


async def test_a_decision_after_the_run_was_closed_is_told_that_it_expired(api: Api) -> None:
    run = await run_out(api)
    for name, more in (
        ("approveRun", {}),
        ("approveRun", {"approved": False}),
        ("requestPlanChanges", {"feedback": "x"}),
    ):
        error = await api.refusal(name, {"runId": run["id"], **more})
        assert (error["__typename"], error["code"]) == ("ApprovalExpiredError", "APPROVAL_EXPIRED")
        assert error["currentStatus"] == "TIMEOUT"
        assert error["expiredAt"] <= run["completedAt"]


async def test_a_run_that_timed_out_can_be_retried(api: Api) -> None:
    run = await run_out(api)
    retry = await api.do("retryRun", runId=run["id"])
    assert retry["retryOf"] == {"id": run["id"]}


class Clock:
    """A clock that a test can set forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def test_a_decision_after_the_deadline_counts_as_late_before_the_run_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(backend, "SystemClock", lambda: clock)
    async with serving(tmp_path) as served:
        api = served.api
        run = await awaiting(api, await new_task(api, approvalTimeout=600))
        clock.ahead = timedelta(seconds=600)
        assert (await api.run(run["id"]))["allowedActions"] == ["CANCEL"]
        # The version is another one as well: the deadline is looked at first.
        error = await api.refusal("approveRun", runId=run["id"], planVersion=7)
        assert (error["code"], error["currentStatus"]) == ("APPROVAL_EXPIRED", "AWAITING_APPROVAL")
        assert error["expiredAt"] == run["approvalExpiresAt"]
        assert error["path"] == ["input", "runId"]
        assert (await api.run(run["id"]))["decisions"] == []


async def test_each_version_of_a_plan_has_a_wait_of_its_own(api: Api) -> None:
    run = await awaiting(api, await new_task(api, approvalTimeout=600))
    await api.do("requestPlanChanges", runId=run["id"], feedback="One more.")
    second = await api.until(
        run["id"], lambda e: e["type"] == "APPROVAL_REQUIRED" and e["data"]["plan"]["version"] == 2
    )
    assert second["approvalExpiresAt"] > run["approvalExpiresAt"]
    await api.do("cancelRun", runId=run["id"])
