"""Runs: how they begin, what they hold, how they end, and how they go."""

from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import QUICK, awaiting, cancelled, ended, new_run, new_task, planning, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_run_starts_in_the_background(api: Api) -> None:
    task = await new_task(api)
    run = await api.do("createRun", taskId=task["id"], labels=["nightly"], priority=7)
    new = {"number": 1, "taskId": task["id"], "status": "PENDING", "labels": ["nightly"], "priority": 7}
    nothing = dict.fromkeys(["plan", "approvalExpiresAt", "progress", "currentStep", "results", "failure", "retryOf"])
    unstarted: dict[str, Any] = {
        "startedAt": None,
        "completedAt": None,
        "duration": None,
        "roundCount": 0,
        "decisions": [],
    }
    assert run.items() >= {**new, **nothing, **unstarted, "autoApprove": False, "allowedActions": ["CANCEL"]}.items()
    assert run["config"] == QUICK
    waiting = await api.until(run["id"], "AWAITING_APPROVAL")
    assert waiting["plan"]["version"] == 1
    await api.do("cancelRun", runId=run["id"])


async def test_a_runs_own_config_goes_on_top_of_its_tasks(api: Api) -> None:
    task = await new_task(api, config={"steps": 5, "planSeconds": 0, "stepSeconds": 0})
    run = await awaiting(api, task, config={"steps": 1, "logsPerStep": 0})
    assert run["config"] == {"steps": 1, "planSeconds": 0, "stepSeconds": 0, "logsPerStep": 0}
    assert [step["key"] for step in run["plan"]["steps"]] == ["step-1"]
    assert (await api.task(task["id"]))["config"]["steps"] == 5
    await api.do("cancelRun", runId=run["id"])


async def test_the_merged_config_is_checked_as_a_whole(api: Api) -> None:
    task = await new_task(api, config={"steps": 5, "failAt": 5})
    assert await api.invalid("createRun", taskId=task["id"], config={"steps": 1}) == ["input", "config", "failAt"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", 101),
        ("priority", -101),
        ("labels", ["x"] * 51),
        ("config", "text"),
        ("config", {"pad": "x" * 65_536}),
        ("idempotencyKey", " "),
    ],
)
async def test_a_field_out_of_range_is_refused_by_its_name(api: Api, field: str, value: Any) -> None:
    task = await new_task(api)
    assert await api.invalid("createRun", {"taskId": task["id"], field: value}) == ["input", field]


async def test_a_run_ends_with_results_and_every_step_done(api: Api) -> None:
    run = await ended(api)
    assert (run["status"], run["progress"], run["currentStep"]) == ("COMPLETED", 1.0, None)
    assert run["results"] == {"steps": 2}
    assert [(step["status"], step["output"]) for step in run["plan"]["steps"]] == [
        ("COMPLETED", {"step": 1}),
        ("COMPLETED", {"step": 2}),
    ]
    assert run["createdAt"] <= run["startedAt"] <= run["completedAt"]
    assert run["duration"] >= 0
    assert run["allowedActions"] == ["DELETE"]
    shown = await api.run(run["id"], "usage { requests inputTokens outputTokens costUsd } task { id } roundCount")
    assert shown["usage"] == {"requests": 3, "inputTokens": 360, "outputTokens": 90, "costUsd": 0.0}
    assert shown["task"] == {"id": run["taskId"]}


async def test_a_step_that_fails_fails_the_run(api: Api) -> None:
    run = await ended(api, config={"steps": 3, "failAt": 2})
    assert run["status"] == "FAILED"
    assert (run["failure"]["code"], run["failure"]["step"], run["failure"]["retryable"]) == (
        "STEP_FAILED",
        "step-2",
        False,
    )
    assert [step["status"] for step in run["plan"]["steps"]] == ["COMPLETED", "FAILED", "SKIPPED"]
    assert run["plan"]["steps"][1]["error"]
    assert run["allowedActions"] == ["RETRY", "DELETE"]


async def test_auto_approve_asks_nobody(api: Api) -> None:
    run = await new_run(api, autoApprove=True)
    events = await api.life(run["id"])
    types = [event["type"] for event in events]
    assert "APPROVAL_REQUIRED" not in types
    assert types[:4] == ["RUN_CREATED", "ANALYSIS_START", "LOG", "PLAN_READY"]
    assert types[4] == "APPROVED"
    ready = events[3]
    assert (ready["status"], ready["data"]["plan"]["version"]) == ("RUNNING", 1)
    (decision,) = (await api.run(run["id"]))["decisions"]
    assert (decision["kind"], decision["actor"], decision["planVersion"]) == ("AUTO_APPROVED", "policy", 1)


async def test_labels_are_all_that_can_be_changed(api: Api) -> None:
    run = await cancelled(api)
    changed = await api.do("updateRun", runId=run["id"], labels=["seen"])
    assert changed == {**run, "labels": ["seen"]}
    assert await api.do("updateRun", runId=run["id"]) == changed
    assert await api.invalid("updateRun", runId=run["id"], labels=None) == ["input", "labels"]
    assert await api.invalid("updateRun", runId=run["id"], labels=[""]) == ["input", "labels", "0"]
    events = await api.life(run["id"])
    assert events[-1]["type"] == "CANCELLED", "a label is no event"


async def test_only_a_run_that_ended_can_be_deleted(api: Api) -> None:
    for make, status in ((planning, "ANALYZING"), (awaiting, "AWAITING_APPROVAL"), (running, "RUNNING")):
        run = await make(api)
        error = await api.refusal("deleteRun", runId=run["id"])
        assert (error["code"], error["currentStatus"], error["path"]) == ("INVALID_STATE", status, ["runId"])
        await api.do("cancelRun", runId=run["id"])
        await api.life(run["id"])
        assert await api.do("deleteRun", runId=run["id"]) == run["id"]
        assert await api.run(run["id"]) is None


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("updateRun", {"labels": []}),
        ("deleteRun", {}),
        ("approveRun", {}),
        ("requestPlanChanges", {"feedback": "Shorter."}),
        ("cancelRun", {}),
        ("retryRun", {}),
    ],
)
async def test_an_unknown_run_is_not_found(api: Api, name: str, fields: Any) -> None:
    task = await new_task(api)
    for unknown in ("nothing", "run_00000000000000000000000000", task["id"], ""):
        error = await api.refusal(name, {"runId": unknown, **fields})
        assert (error["__typename"], error["code"], error["id"]) == ("NotFoundError", "NOT_FOUND", unknown)
        assert error["path"] == ([] if name == "deleteRun" else ["input"]) + ["runId"]


@pytest.mark.parametrize(
    ("make", "actions"),
    [
        (planning, ["CANCEL"]),
        (awaiting, ["APPROVE", "REJECT", "REQUEST_CHANGES", "CANCEL"]),
        (running, ["CANCEL"]),
        (cancelled, ["RETRY", "DELETE"]),
        (ended, ["DELETE"]),
    ],
)
async def test_a_run_says_what_may_be_done_with_it(api: Api, make: Any, actions: list[str]) -> None:
    run = await make(api)
    assert run["allowedActions"] == actions
    if "CANCEL" in actions:
        await api.do("cancelRun", runId=run["id"])


async def test_plans_are_found_by_version(api: Api) -> None:
    run = await awaiting(api)
    shown = await api.run(
        run["id"], "plans { version } one: planVersion(version: 1) { digest } two: planVersion(version: 2) { digest }"
    )
    assert shown == {"plans": [{"version": 1}], "one": {"digest": run["plan"]["digest"]}, "two": None}
    await api.do("cancelRun", runId=run["id"])


async def test_the_same_plan_has_the_same_digest_in_every_run(api: Api) -> None:
    task = await new_task(api)
    first, second = await ended(api, task), await ended(api, task)
    other = await ended(api, task, config={"steps": 1})
    assert first["plan"]["digest"] == second["plan"]["digest"] != other["plan"]["digest"]
    assert len(first["plan"]["digest"]) == 64
