"""Ending a run early, and trying again."""

from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import awaiting, cancelled, ended, new_run, new_task, planning, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_run_that_nothing_works_on_is_cancelled_at_once(api: Api) -> None:
    run = await awaiting(api)
    gone = await api.do("cancelRun", runId=run["id"], reason="Not today.")
    assert (gone["status"], gone["approvalExpiresAt"]) == ("CANCELLED", None)
    last = (await api.life(run["id"]))[-1]
    assert (last["type"], last["data"]["reason"], last["data"]["actor"]) == ("CANCELLED", "Not today.", "anonymous")


@pytest.mark.parametrize("make", [planning, running])
async def test_a_run_at_work_is_cancelled_when_its_work_has_stopped(api: Api, make: Any) -> None:
    run = await make(api)
    assert (await api.do("cancelRun", runId=run["id"]))["status"] in {"CANCELLING", "CANCELLED"}
    events = await api.life(run["id"])
    types = [event["type"] for event in events]
    # What the team had said before, or says while it stops, is kept in between.
    assert set(types[types.index("CANCEL_REQUESTED") + 1 : -1]) <= {"LOG", "METRIC"}
    assert types[-1] == "CANCELLED"
    gone = await api.run(run["id"])
    assert (gone["status"], gone["allowedActions"]) == ("CANCELLED", ["RETRY", "DELETE"])
    assert all(step["status"] in {"FAILED", "SKIPPED"} for step in (gone["plan"] or {"steps": []})["steps"])


async def test_cancelling_again_is_the_same(api: Api) -> None:
    run = await cancelled(api)
    assert await api.do("cancelRun", runId=run["id"], reason="Another reason.") == run
    assert [event["type"] for event in await api.life(run["id"])].count("CANCELLED") == 1


async def test_a_run_that_ended_otherwise_can_not_be_cancelled(api: Api) -> None:
    run = await ended(api)
    error = await api.refusal("cancelRun", runId=run["id"])
    assert (error["code"], error["currentStatus"], error["allowedActions"]) == (
        "INVALID_STATE",
        "COMPLETED",
        ["DELETE"],
    )


async def test_a_reason_has_a_limit(api: Api) -> None:
    run = await awaiting(api)
    assert await api.invalid("cancelRun", runId=run["id"], reason="x" * 2_001) == ["input", "reason"]
    await api.do("cancelRun", runId=run["id"], reason="x" * 2_000)


async def test_a_retry_is_a_new_run_with_the_same_rules(api: Api) -> None:
    old = await cancelled(api, config={"steps": 1}, labels=["x"], priority=3)
    new = await api.do("retryRun", runId=old["id"])
    assert new["id"] != old["id"]
    assert new["retryOf"] == {"id": old["id"]}
    same = ["config", "labels", "priority", "autoApprove", "taskId"]
    assert {key: new[key] for key in same} == {key: old[key] for key in same}
    assert (new["number"], new["plan"], new["decisions"]) == (2, None, [])
    waiting = await api.until(new["id"], "AWAITING_APPROVAL")
    assert waiting["plan"]["digest"] == old["plan"]["digest"]
    await api.do("cancelRun", runId=new["id"])


async def test_a_retry_from_a_step_goes_on_under_the_approved_plan(api: Api) -> None:
    task = await new_task(api)
    run = await awaiting(api, task, config={"steps": 3, "failAt": 2, "artifactsPerStep": 1})
    await api.do("approveRun", runId=run["id"])
    await api.life(run["id"])
    old = await api.run(run["id"])
    new = await api.do("retryRun", runId=old["id"], fromStep="step-2")
    events = await api.life(new["id"])
    types = [event["type"] for event in events]
    assert types[:4] == ["RUN_CREATED", "ANALYSIS_START", "PLAN_READY", "APPROVED"]
    skipped = [event["data"] for event in events if event["data"].get("stepStatus") == "SKIPPED"]
    assert len(skipped) == 1
    assert (skipped[0]["step"], skipped[0]["attempt"]) == ("step-1", 0)
    again = await api.run(
        new["id"],
        "status plan { version digest steps { key status output } } decisions { kind actor } artifacts { name }",
    )
    assert (again["status"], again["plan"]["digest"], again["plan"]["version"]) == ("FAILED", old["plan"]["digest"], 1)
    assert again["plan"]["steps"][0] == {"key": "step-1", "status": "SKIPPED", "output": {"step": 1}}
    assert again["decisions"] == [{"kind": "AUTO_APPROVED", "actor": "policy"}]
    assert "step-1-1.md" in [artifact["name"] for artifact in again["artifacts"]]


async def test_a_retry_from_a_step_needs_that_step_in_an_approved_plan(api: Api) -> None:
    unapproved = await cancelled(api)
    assert await api.invalid("retryRun", runId=unapproved["id"], fromStep="step-1") == ["input", "fromStep"]
    failed = await ended(api, config={"failAt": 2})
    error = await api.refusal("retryRun", runId=failed["id"], fromStep="step-9")
    assert (error["code"], error["path"]) == ("INVALID", ["input", "fromStep"])
    assert "step-1, step-2" in error["message"]


async def test_only_a_run_that_failed_or_was_ended_can_be_retried(api: Api) -> None:
    for make, status in ((awaiting, "AWAITING_APPROVAL"), (ended, "COMPLETED")):
        run = await make(api)
        error = await api.refusal("retryRun", runId=run["id"])
        assert (error["code"], error["currentStatus"]) == ("INVALID_STATE", status)


async def test_a_retried_run_may_be_deleted_without_its_retry(api: Api) -> None:
    old = await ended(api, config={"failAt": 2, "artifactsPerStep": 1})
    new = await api.do("retryRun", runId=old["id"], fromStep="step-2")
    await api.life(new["id"])
    await api.do("deleteRun", runId=old["id"])
    shown = await api.run(new["id"], "retryOf { id } artifacts { name url }")
    assert shown["retryOf"] is None
    url = next(artifact["url"] for artifact in shown["artifacts"] if artifact["name"] == "step-1-1.md")
    assert (await api.http.get(api.base + url)).text == "# Step 1\n\nFile 1 of 1.\n"


class TestConcurrency:
    """What happens when a run is created while another of its task is active."""

    async def test_allow_runs_them_side_by_side(self, api: Api) -> None:
        task = await new_task(api)
        first, second = await awaiting(api, task), await awaiting(api, task)
        for run in (first, second):
            assert (await api.do("cancelRun", runId=run["id"]))["status"] == "CANCELLED"

    async def test_queue_starts_the_next_when_the_one_before_is_final(self, api: Api) -> None:
        task = await new_task(api, concurrency="QUEUE")
        first = await awaiting(api, task)
        second, third = await new_run(api, task), await new_run(api, task)
        await api.do("cancelRun", runId=first["id"])
        await api.until(second["id"], "AWAITING_APPROVAL")
        assert (await api.run(third["id"]))["status"] == "PENDING"
        await api.do("approveRun", runId=second["id"], approved=False)
        await api.until(third["id"], "AWAITING_APPROVAL")
        await api.do("cancelRun", runId=third["id"])

    async def test_a_queued_run_can_be_cancelled_and_the_next_still_starts(self, api: Api) -> None:
        task = await new_task(api, concurrency="QUEUE")
        first = await awaiting(api, task)
        second, third = await new_run(api, task), await new_run(api, task)
        assert (await api.do("cancelRun", runId=second["id"]))["status"] == "CANCELLED"
        assert (await api.run(third["id"]))["status"] == "PENDING"
        await api.do("cancelRun", runId=first["id"])
        await api.until(third["id"], "AWAITING_APPROVAL")
        await api.do("cancelRun", runId=third["id"])

    async def test_refuse_names_the_run_that_is_active(self, api: Api) -> None:
        task = await new_task(api, concurrency="REFUSE")
        first = await awaiting(api, task)
        error = await api.refusal("createRun", taskId=task["id"])
        assert (error["__typename"], error["code"]) == ("GenericUserError", "LIMIT_REACHED")
        assert first["id"] in error["message"]
        await api.do("cancelRun", runId=first["id"])
        assert (await ended(api, task))["status"] == "COMPLETED"

    async def test_cancel_previous_waits_until_the_old_one_is_final(self, api: Api) -> None:
        task = await new_task(api, concurrency="CANCEL_PREVIOUS")
        first = await running(api, task)
        second = await new_run(api, task)
        assert second["status"] == "PENDING"
        assert (await api.life(first["id"]))[-1]["type"] == "CANCELLED"
        waiting = await api.until(second["id"], "AWAITING_APPROVAL")
        assert waiting["startedAt"] >= (await api.run(first["id"]))["completedAt"]
        third = await new_run(api, task)
        assert (await api.run(second["id"]))["status"] == "CANCELLED"
        await api.until(third["id"], "AWAITING_APPROVAL")
        await api.do("cancelRun", runId=third["id"])
