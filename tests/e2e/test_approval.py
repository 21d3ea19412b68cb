"""Decisions about a plan: approve, reject, send back, and what is refused."""

from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import awaiting, cancelled, ended, new_task, planning, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def approve(api: Api, run: Any, **fields: Any) -> Any:
    return await api.do("approveRun", {"runId": run["id"], **fields})


async def reject(api: Api, run: Any, **fields: Any) -> Any:
    return await approve(api, run, approved=False, **fields)


async def send_back(api: Api, run: Any, feedback: str = "One more step.") -> Any:
    """Send a plan back and wait for the next version."""
    version = run["plan"]["version"] + 1
    sent = await api.do("requestPlanChanges", runId=run["id"], feedback=feedback)
    assert sent["status"] == "ANALYZING"

    def is_next(event: Any) -> bool:
        return bool(event["type"] == "APPROVAL_REQUIRED" and event["data"]["plan"]["version"] == version)

    return await api.until(run["id"], is_next)


async def test_an_approved_plan_is_executed(api: Api) -> None:
    run = await awaiting(api)
    assert run["approvalExpiresAt"] > run["plan"]["createdAt"]
    approved = await approve(api, run, feedback="Go.", planVersion=1)
    assert approved["status"] == "RUNNING"
    assert approved["approvalExpiresAt"] is None
    (decision,) = approved["decisions"]
    assert decision.items() >= {"kind": "APPROVED", "planVersion": 1, "feedback": "Go.", "actor": "anonymous"}.items()
    events = await api.life(run["id"])
    assert events[-1]["type"] == "COMPLETION"
    done = await api.run(run["id"])
    assert done["plan"]["digest"] == run["plan"]["digest"], "what a reviewer saw is what ran"


async def test_a_rejected_plan_ends_the_run(api: Api) -> None:
    run = await awaiting(api)
    rejected = await reject(api, run, feedback="No.")
    assert rejected["status"] == "REJECTED"
    assert (rejected["decisions"][0]["kind"], rejected["decisions"][0]["feedback"]) == ("REJECTED", "No.")
    assert (await api.life(run["id"]))[-1]["type"] == "REJECTED"
    assert rejected["allowedActions"] == ["RETRY", "DELETE"]


async def test_feedback_brings_the_next_version_with_what_changed(api: Api) -> None:
    run = await awaiting(api)
    second = await send_back(api, run, "Also compare regions.")
    assert (second["plan"]["version"], second["plan"]["feedback"]) == (2, "Also compare regions.")
    assert second["plan"]["changes"] == [
        {"kind": "ADDED", "stepKey": "step-3", "before": None, "after": second["plan"]["changes"][0]["after"]}
    ]
    assert second["plan"]["steps"][-1]["detail"] == "Also compare regions."
    assert second["plan"]["digest"] != run["plan"]["digest"]
    assert second["decisions"][0]["kind"] == "CHANGES_REQUESTED"
    shown = await api.run(run["id"], "plans { version digest feedback }")
    assert [plan["version"] for plan in shown["plans"]] == [1, 2]
    assert shown["plans"][0] == {"version": 1, "digest": run["plan"]["digest"], "feedback": None}
    await approve(api, second, planVersion=2)
    await api.life(run["id"])
    assert (await api.run(run["id"], "results"))["results"] == {"steps": 3}


async def test_feedback_ends_where_the_task_says(api: Api) -> None:
    run = await awaiting(api, await new_task(api, maxRevisionRounds=1))
    second = await send_back(api, run)
    assert "REQUEST_CHANGES" not in second["allowedActions"]
    error = await api.refusal("requestPlanChanges", runId=run["id"], feedback="Again.")
    assert (error["__typename"], error["code"]) == ("GenericUserError", "LIMIT_REACHED")
    assert error["path"] == ["input", "runId"]
    assert (await approve(api, run))["status"] == "RUNNING"


@pytest.mark.parametrize("feedback", ["", "  \n", "x" * 10_001])
async def test_feedback_must_say_something(api: Api, feedback: str) -> None:
    run = await awaiting(api)
    assert await api.invalid("requestPlanChanges", runId=run["id"], feedback=feedback) == ["input", "feedback"]
    assert (await api.run(run["id"]))["decisions"] == [], "nothing was decided"
    await reject(api, run)


async def test_an_approvals_feedback_has_a_limit_too(api: Api) -> None:
    run = await awaiting(api)
    assert await api.invalid("approveRun", runId=run["id"], feedback="x" * 10_001) == ["input", "feedback"]
    assert (await api.run(run["id"]))["status"] == "AWAITING_APPROVAL"
    await reject(api, run)


async def test_a_decision_on_an_old_version_is_a_conflict(api: Api) -> None:
    run = await awaiting(api)
    await send_back(api, run)
    for name, more in (
        ("approveRun", {}),
        ("approveRun", {"approved": False}),
        ("requestPlanChanges", {"feedback": "x"}),
    ):
        error = await api.refusal(name, {"runId": run["id"], "planVersion": 1, **more})
        assert (error["__typename"], error["code"], error["path"]) == (
            "ConflictError",
            "CONFLICT",
            ["input", "planVersion"],
        )
        assert (error["expectedVersion"], error["actualVersion"]) == (1, 2)
    assert (await api.run(run["id"]))["status"] == "AWAITING_APPROVAL"
    await reject(api, run)


async def test_the_same_decision_again_changes_nothing(api: Api) -> None:
    run = await awaiting(api)
    await approve(api, run, feedback="First.")
    again = await approve(api, run, feedback="Second.")
    assert [decision["feedback"] for decision in again["decisions"]] == ["First."]
    events = await api.life(run["id"])
    assert [event["type"] for event in events].count("APPROVED") == 1
    late = await approve(api, run, planVersion=1)
    assert (late["status"], len(late["decisions"])) == ("COMPLETED", 1)


async def test_the_same_rejection_again_changes_nothing(api: Api) -> None:
    run = await awaiting(api)
    await reject(api, run)
    assert (await reject(api, run))["status"] == "REJECTED"
    assert [event["type"] for event in await api.life(run["id"])].count("REJECTED") == 1


async def test_the_opposite_of_a_decision_is_refused_by_the_state(api: Api) -> None:
    approved, rejected = await awaiting(api, config={"stepSeconds": 3600}), await awaiting(api)
    await approve(api, approved)
    await reject(api, rejected)
    for run, opposite, status in ((approved, False, "RUNNING"), (rejected, True, "REJECTED")):
        error = await api.refusal("approveRun", runId=run["id"], approved=opposite)
        assert (error["__typename"], error["code"], error["currentStatus"]) == (
            "InvalidStateError",
            "INVALID_STATE",
            status,
        )
        assert error["allowedActions"] == (await api.run(run["id"]))["allowedActions"]
    await api.do("cancelRun", runId=approved["id"])


@pytest.mark.parametrize(
    ("make", "status"),
    [(planning, "ANALYZING"), (running, "RUNNING"), (ended, "COMPLETED"), (cancelled, "CANCELLED")],
)
async def test_a_decision_that_nothing_awaits_is_refused_by_the_state(api: Api, make: Any, status: str) -> None:
    run = await make(api)
    for name, more in (
        ("approveRun", {}),
        ("approveRun", {"approved": False}),
        ("requestPlanChanges", {"feedback": "x"}),
    ):
        error = await api.refusal(name, {"runId": run["id"], **more})
        assert (error["__typename"], error["code"], error["currentStatus"]) == (
            "InvalidStateError",
            "INVALID_STATE",
            status,
        )
        assert status in error["message"]
    if "CANCEL" in run["allowedActions"]:
        await api.do("cancelRun", runId=run["id"])
