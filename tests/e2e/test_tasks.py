"""Tasks: what they are created with, how they change, what their runs leave on them, and how they go."""

from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import QUICK, awaiting, cancelled, ended, new_run, new_task, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEFAULTS = {
    "description": "",
    "status": "PENDING",
    "team": "rehearsal",
    "config": {},
    "labels": [],
    "maxRounds": 5,
    "maxRevisionRounds": 2,
    "memorySize": 50,
    "approvalTimeout": 300,
    "onApprovalTimeout": "REJECT",
    "concurrency": "ALLOW",
    "totalRuns": 0,
    "successfulRuns": 0,
    "failedRuns": 0,
    "successRate": 0.0,
    "lastRunAt": None,
    "lastRunDuration": None,
    "lastError": None,
    "version": 1,
}
EVERYTHING = {
    "name": "Everything",
    "description": "All that can be said.",
    "team": "rehearsal",
    "config": {"steps": 4},
    "labels": ["a", "b"],
    "maxRounds": 7,
    "maxRevisionRounds": 3,
    "memorySize": 60,
    "approvalTimeout": 60,
    "onApprovalTimeout": "APPROVE",
    "concurrency": "QUEUE",
}


async def test_a_task_needs_nothing_but_a_name(api: Api) -> None:
    task = await api.do("createTask", name="  Analyze Sales Data\t")
    assert task.items() >= {"name": "Analyze Sales Data", **DEFAULTS}.items()
    assert task["createdAt"] == task["updatedAt"]
    assert await api.task(task["id"]) == task


async def test_a_task_keeps_all_that_it_is_given(api: Api) -> None:
    task = await api.do("createTask", EVERYTHING)
    assert task.items() >= EVERYTHING.items()
    assert await api.task(task["id"]) == task


async def test_a_wait_without_end_is_null(api: Api) -> None:
    task = await new_task(api, approvalTimeout=None)
    assert task["approvalTimeout"] is None
    run = await awaiting(api, task)
    assert run["approvalExpiresAt"] is None
    await api.do("cancelRun", runId=run["id"])


@pytest.mark.parametrize("field", ["team", "config", "idempotencyKey"])
async def test_an_explicit_null_means_left_out(api: Api, field: str) -> None:
    task = await api.do("createTask", {"name": "Nulls", field: None})
    assert task.items() >= DEFAULTS.items()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 256),
        ("name", "nul\u0000"),
        ("description", "x" * 20_001),
        ("team", "nobody"),
        ("team", ""),
        ("config", {"steps": 1, "pad": "x" * 65_536}),
        ("config", [1]),
        ("maxRounds", 0),
        ("maxRounds", 101),
        ("maxRevisionRounds", -1),
        ("maxRevisionRounds", 51),
        ("memorySize", 0),
        ("memorySize", 1001),
        ("approvalTimeout", 0),
        ("approvalTimeout", 2_592_001),
        ("labels", ["x"] * 51),
        ("idempotencyKey", ""),
        ("idempotencyKey", "x" * 65),
    ],
)
async def test_a_field_out_of_range_is_refused_by_its_name(api: Api, field: str, value: Any) -> None:
    path = await api.invalid("createTask", {"name": "Bad", "team": "rehearsal", field: value})
    assert path == ["input", field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 255),
        ("description", "x" * 20_000),
        ("maxRounds", 100),
        ("maxRevisionRounds", 0),
        ("maxRevisionRounds", 50),
        ("memorySize", 1000),
        ("approvalTimeout", 2_592_000),
        ("labels", [f"{number:064}" for number in range(50)]),
    ],
)
async def test_the_limits_themselves_are_fine(api: Api, field: str, value: Any) -> None:
    assert (await api.do("createTask", {"name": "Limit", field: value}))[field] == value


@pytest.mark.parametrize("label", ["", " ", "x" * 65])
async def test_a_bad_label_is_refused_by_its_place(api: Api, label: str) -> None:
    assert await api.invalid("createTask", name="Labels", labels=["fine", label]) == ["input", "labels", "1"]


async def test_labels_are_trimmed_and_not_repeated(api: Api) -> None:
    assert (await new_task(api, labels=[" a", "b", "a "]))["labels"] == ["a", "b"]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": "three"}, "steps"),
        ({"steps": 2, "failAt": 3}, "failAt"),
        ({"stepSeconds": -1}, "stepSeconds"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_config_that_the_team_refuses_names_the_setting(api: Api, config: Any, field: str) -> None:
    error = await api.refusal("createTask", name="Config", team="rehearsal", config=config)
    assert (error["code"], error["path"][:2]) == ("INVALID", ["input", "config"])
    assert field in [*error["path"], *error["message"].replace("'", " ").split()]


async def test_a_playbooks_parameters_are_checked_when_the_task_is_created(api: Api) -> None:
    error = await api.refusal("createTask", name="Playbook", team="playbook", config={"playbook": "no-such-playbook"})
    assert (error["code"], error["path"]) == ("INVALID", ["input", "config", "playbook"])
    config = {"playbook": "analyze-sales", "parameters": {"no-such-parameter": 1}}
    error = await api.refusal("createTask", name="Playbook", team="playbook", config=config)
    assert error["code"] == "INVALID"
    assert error["path"][:3] == ["input", "config", "parameters"]


async def test_an_update_changes_what_it_names_and_counts_the_version(api: Api) -> None:
    task = await new_task(api)
    fields = {key: value for key, value in EVERYTHING.items() if key != "config"} | {"config": {"steps": 1}}
    changed = await api.do("updateTask", {"taskId": task["id"], **fields})
    assert changed.items() >= fields.items()
    assert changed["version"] == 2
    assert changed["updatedAt"] > task["updatedAt"]
    again = await api.do("updateTask", taskId=task["id"], name="Other")
    assert again == {**changed, "name": "Other", "version": 3, "updatedAt": again["updatedAt"]}


async def test_an_update_that_changes_nothing_is_no_new_version(api: Api) -> None:
    task = await new_task(api)
    assert await api.do("updateTask", taskId=task["id"], name=task["name"]) == task


async def test_null_makes_the_wait_endless_in_an_update(api: Api) -> None:
    task = await new_task(api)
    assert (await api.do("updateTask", taskId=task["id"], approvalTimeout=None))["approvalTimeout"] is None


@pytest.mark.parametrize("field", sorted(set(EVERYTHING) - {"approvalTimeout"}))
async def test_null_is_refused_for_every_other_field_of_an_update(api: Api, field: str) -> None:
    task = await new_task(api)
    assert await api.invalid("updateTask", {"taskId": task["id"], field: None}) == ["input", field]
    assert await api.task(task["id"]) == task


async def test_an_update_is_checked_like_a_creation(api: Api) -> None:
    task = await new_task(api)
    assert await api.invalid("updateTask", taskId=task["id"], name=" ") == ["input", "name"]
    assert await api.invalid("updateTask", taskId=task["id"], memorySize=0) == ["input", "memorySize"]
    assert (await api.invalid("updateTask", taskId=task["id"], config={"steps": 0}))[:2] == ["input", "config"]
    assert await api.task(task["id"]) == task


async def test_an_update_of_another_version_is_a_conflict(api: Api) -> None:
    task = await new_task(api)
    await api.do("updateTask", taskId=task["id"], name="Second", expectedVersion=1)
    error = await api.refusal("updateTask", taskId=task["id"], name="Third", expectedVersion=1)
    assert (error["__typename"], error["code"]) == ("ConflictError", "CONFLICT")
    assert (error["expectedVersion"], error["actualVersion"]) == (1, 2)
    assert error["path"] == ["input", "expectedVersion"]


@pytest.mark.parametrize("name", ["updateTask", "deleteTask", "createRun"])
async def test_an_unknown_task_is_not_found(api: Api, name: str) -> None:
    run = await cancelled(api)
    for unknown in ("nothing", "task_00000000000000000000000000", run["id"]):
        error = await api.refusal(name, {"taskId": unknown})
        assert (error["__typename"], error["code"], error["id"]) == ("NotFoundError", "NOT_FOUND", unknown)
        assert error["path"] == ([] if name == "deleteTask" else ["input"]) + ["taskId"]


async def test_a_task_shows_what_its_runs_came_to(api: Api) -> None:
    task = await new_task(api)
    await ended(api, task)
    failed = await ended(api, task, config={"failAt": 2})
    shown = await api.task(task["id"])
    assert (shown["totalRuns"], shown["successfulRuns"], shown["failedRuns"]) == (2, 1, 1)
    assert (shown["status"], shown["successRate"]) == ("FAILED", 50.0)
    assert (shown["lastRunAt"], shown["lastRunDuration"]) == (failed["createdAt"], failed["duration"])
    assert shown["lastError"] == failed["failure"]["message"]
    await cancelled(api, task)
    shown = await api.task(task["id"])
    assert (shown["status"], shown["totalRuns"], shown["lastError"]) == ("CANCELLED", 3, None)
    assert shown["successRate"] == pytest.approx(100 / 3)


async def test_a_tasks_status_is_the_latest_runs_in_the_dashboards_words(api: Api) -> None:
    task = await new_task(api)

    async def status() -> str:
        return str((await api.task(task["id"], "status"))["status"])

    run = await awaiting(api, task)
    assert await status() == "RUNNING"
    await api.do("approveRun", runId=run["id"], approved=False)
    assert await status() == "CANCELLED"
    await ended(api, task)
    assert await status() == "COMPLETED"


async def test_the_latest_run_and_the_counters_survive_a_deleted_run(api: Api) -> None:
    task = await new_task(api)
    first, second = await ended(api, task), await ended(api, task)
    assert (await api.task(task["id"], "latestRun { id }"))["latestRun"] == {"id": second["id"]}
    await api.do("deleteRun", runId=second["id"])
    shown = await api.task(task["id"], "totalRuns successfulRuns status latestRun { id }")
    assert shown == {"totalRuns": 2, "successfulRuns": 2, "status": "COMPLETED", "latestRun": {"id": first["id"]}}
    assert (await new_run(api, task, autoApprove=True))["number"] == 3


async def test_a_task_with_active_runs_is_deleted_by_force_only(api: Api) -> None:
    task = await new_task(api)
    await awaiting(api, task)
    run = await running(api, task)
    error = await api.refusal("deleteTask", taskId=task["id"])
    assert (error["__typename"], error["code"], error["path"]) == ("InvalidStateError", "INVALID_STATE", ["taskId"])
    assert (error["currentStatus"], error["allowedActions"]) == ("RUNNING", ["CANCEL"])
    assert await api.do("deleteTask", taskId=task["id"], force=True) == task["id"]
    assert await api.task(task["id"]) is None
    assert await api.run(run["id"]) is None


async def test_a_deleted_task_takes_everything_along(api: Api) -> None:
    task = await new_task(api)
    run = await ended(api, task, config={"artifactsPerStep": 1})
    below = "metrics { nodes { id } } artifacts { id url }"
    shown = await api.run(run["id"], below)
    assert await api.do("deleteTask", taskId=task["id"]) == task["id"]
    ids = [task["id"], run["id"], shown["metrics"]["nodes"][0]["id"], shown["artifacts"][0]["id"]]
    found = await api.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert found["nodes"] == [None] * 4
    assert (await api.http.get(api.base + shown["artifacts"][0]["url"])).status_code == 404


async def test_a_deleted_task_can_not_be_run(api: Api) -> None:
    task = await new_task(api)
    await api.do("deleteTask", taskId=task["id"])
    assert (await api.refusal("createRun", taskId=task["id"]))["code"] == "NOT_FOUND"


async def test_a_run_keeps_the_rules_that_it_was_created_under(api: Api) -> None:
    task = await new_task(api, maxRevisionRounds=1)
    run = await awaiting(api, task)
    await api.do("updateTask", taskId=task["id"], maxRevisionRounds=0, config={**QUICK, "steps": 9})
    await api.do("requestPlanChanges", runId=run["id"], feedback="One more.")
    assert (
        len(
            (await api.until(run["id"], lambda e: e["sequence"] > 5 and e["status"] == "AWAITING_APPROVAL"))["plan"][
                "steps"
            ]
        )
        == 3
    )
