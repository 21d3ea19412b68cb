"""The same key and input twice: the first result again, and nothing happens twice."""

import asyncio
from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import awaiting, cancelled, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYED = ["createTask", "createRun", "approveRun", "requestPlanChanges", "retryRun", "createMetrics"]


async def request(api: Api, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the input of a mutation that can succeed, and what makes it another one."""
    match name:
        case "createTask":
            return {"name": "Once", "labels": ["a"]}, {"name": "Twice"}
        case "createRun":
            return {"taskId": (await new_task(api))["id"]}, {"priority": 1}
        case "approveRun":
            return {"runId": (await awaiting(api))["id"], "approved": False}, {"approved": True}
        case "requestPlanChanges":
            return {"runId": (await awaiting(api))["id"], "feedback": "One more."}, {"feedback": "Two more."}
        case "retryRun":
            return {"runId": (await cancelled(api))["id"]}, {"fromStep": "step-1"}
        case _:
            return {"taskId": (await new_task(api))["id"], "metrics": [{"name": "x", "value": 1}]}, {
                "metrics": [{"name": "x", "value": 2}]
            }


def ids(answer: Any) -> Any:
    return [metric["id"] for metric in answer] if isinstance(answer, list) else answer["id"]


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_again_gives_what_it_gave(api: Api, name: str) -> None:
    fields, _ = await request(api, name)
    key = f"again-{name}"
    first = await api.do(name, fields, idempotencyKey=key)
    assert ids(await api.do(name, fields, idempotencyKey=key)) == ids(first)


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_at_the_same_time_happens_once(api: Api, name: str) -> None:
    fields, _ = await request(api, name)
    key = f"together-{name}"
    answers = await asyncio.gather(*(api.do(name, fields, idempotencyKey=key) for _ in range(10)))
    assert len({str(ids(answer)) for answer in answers}) == 1


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_with_another_input_is_refused(api: Api, name: str) -> None:
    fields, other = await request(api, name)
    key = f"other-{name}"
    await api.do(name, fields, idempotencyKey=key)
    error = await api.refusal(name, {**fields, **other}, idempotencyKey=key)
    assert (error["__typename"], error["code"]) == ("GenericUserError", "IDEMPOTENCY_KEY_REUSED")
    assert error["path"] == ["input", "idempotencyKey"]


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.parametrize("key", ["", "  ", "x" * 65])
async def test_a_key_has_1_to_64_characters(api: Api, name: str, key: str) -> None:
    fields, _ = await request(api, name)
    assert await api.invalid(name, fields, idempotencyKey=key) == ["input", "idempotencyKey"]


async def test_a_key_belongs_to_its_mutation(api: Api) -> None:
    task = await api.do("createTask", name="Keys", idempotencyKey="shared")
    run = await api.do("createRun", taskId=task["id"], idempotencyKey="shared")
    assert run["taskId"] == task["id"]


async def test_a_refusal_keeps_no_key(api: Api) -> None:
    assert await api.invalid("createTask", name=" ", idempotencyKey="refused") == ["input", "name"]
    assert (await api.do("createTask", name="Fine", idempotencyKey="refused"))["name"] == "Fine"


async def test_a_repeat_shows_the_object_as_it_is_now(api: Api) -> None:
    fields = {"name": "Before", "idempotencyKey": "as-it-is-now"}
    task = await api.do("createTask", fields)
    await api.do("updateTask", taskId=task["id"], name="After")
    assert (await api.do("createTask", fields))["name"] == "After"
    await api.do("deleteTask", taskId=task["id"])
    error = await api.refusal("createTask", fields)
    assert (error["code"], error["id"]) == ("NOT_FOUND", task["id"])


async def test_feedback_is_sent_once_for_a_key(api: Api) -> None:
    run = await awaiting(api)
    fields = {"runId": run["id"], "feedback": "One more.", "idempotencyKey": "feedback-once"}
    await api.do("requestPlanChanges", fields)
    await api.until(run["id"], lambda e: e["type"] == "APPROVAL_REQUIRED" and e["data"]["plan"]["version"] == 2)
    again = await api.do("requestPlanChanges", fields)
    assert (again["status"], again["plan"]["version"]) == ("AWAITING_APPROVAL", 2)
    without = await api.do("requestPlanChanges", runId=run["id"], feedback="One more.")
    assert without["status"] == "ANALYZING", "without a key it is another request"
    await api.do("cancelRun", runId=run["id"])


async def test_only_one_run_is_made_for_a_key(api: Api) -> None:
    task = await new_task(api)
    fields = {"taskId": task["id"], "idempotencyKey": "one-run"}
    await asyncio.gather(*(api.do("createRun", fields) for _ in range(5)))
    assert (await api.task(task["id"]))["totalRuns"] == 1
