"""The log of events: what each tells, how it is listed, and what a cursor into it is good for."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import EVENT, PLAN, Api
from tests.e2e.server import serving
from tests.e2e.work import awaiting, cancelled, ended, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

DECISION = "decision { kind planVersion feedback actor decidedAt }"
TYPED = f"""
  {EVENT}
  ... on PlanReadyEvent {{ plan {{ {PLAN} }} }}
  ... on ApprovalRequiredEvent {{ plan {{ {PLAN} }} expiresAt }}
  ... on ApprovedEvent {{ {DECISION} }}
  ... on RejectedEvent {{ {DECISION} }}
  ... on ChangesRequestedEvent {{ {DECISION} }}
  ... on ProgressEvent {{ step stepStatus stepIndex totalSteps attempt progress }}
  ... on LogEvent {{ lines {{ cursor level message step timestamp }} }}
  ... on MetricEvent {{ metrics {{ id name value }} }}
  ... on ArtifactEvent {{ artifact {{ id name url }} }}
  ... on CompletionEvent {{ results }}
  ... on FailureEvent {{ failure {{ code message step retryable }} }}
"""


async def listed(api: Api, kind: str, id_: str, arguments: str = "first: 100", select: str = TYPED) -> Any:
    query = f"query ($id: ID!) {{ {kind}(id: $id) {{ events({arguments}) {{ nodes {{ {select} }} }} }} }}"
    return (await api.ask(query, id=id_))[kind]["events"]["nodes"]


async def a_whole_life(api: Api) -> Any:
    """Return a run that went through planning twice and made everything."""
    run = await awaiting(api, config={"steps": 1, "artifactsPerStep": 1})
    await api.do("requestPlanChanges", runId=run["id"], feedback="One more.")
    await api.until(run["id"], lambda e: e["type"] == "APPROVAL_REQUIRED" and e["data"]["plan"]["version"] == 2)
    await api.do("approveRun", runId=run["id"], feedback="Go.")
    await api.life(run["id"])
    return run


async def test_a_runs_events_are_numbered_without_a_gap_and_end_once(api: Api) -> None:
    run = await a_whole_life(api)
    events = await listed(api, "run", run["id"])
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len({event["cursor"] for event in events}) == len(events)
    assert {event["runId"] for event in events} == {run["id"]}
    order = [event["type"] for event in events if event["type"] not in {"LOG", "METRIC", "ARTIFACT"}]
    planned = ["PLAN_READY", "APPROVAL_REQUIRED"]
    worked = ["APPROVED", *["PROGRESS"] * 4, "COMPLETION"]
    assert order == ["RUN_CREATED", "ANALYSIS_START", *planned, "CHANGES_REQUESTED", *planned, *worked]


async def test_every_event_is_of_the_type_that_its_name_says(api: Api) -> None:
    task = await new_task(api)
    await api.do("updateTask", taskId=task["id"], name="Other")
    run = await a_whole_life(api)
    for event in [*await listed(api, "run", run["id"]), *await listed(api, "task", task["id"])]:
        words = "".join(word.capitalize() for word in event["type"].split("_"))
        assert event["__typename"] == f"{words}Event"
        assert event["message"]


async def test_what_was_replayed_equals_what_is_listed(api: Api) -> None:
    run = await a_whole_life(api)
    assert await api.life(run["id"], select=TYPED) == await listed(api, "run", run["id"])


async def test_a_plan_in_an_event_is_as_it_was_then(api: Api) -> None:
    run = await a_whole_life(api)
    plans = [event["plan"] for event in await listed(api, "run", run["id"]) if event["type"] == "PLAN_READY"]
    assert [plan["version"] for plan in plans] == [1, 2]
    assert {step["status"] for plan in plans for step in plan["steps"]} == {"PENDING"}
    now = await api.run(run["id"])
    assert {step["status"] for step in now["plan"]["steps"]} == {"COMPLETED"}
    assert now["plan"]["digest"] == plans[1]["digest"]


async def test_the_typed_fields_say_what_happened(api: Api) -> None:
    run = await a_whole_life(api)
    of: dict[str, list[Any]] = {}
    for event in await listed(api, "run", run["id"]):
        of.setdefault(event["type"], []).append(event)
    assert of["APPROVAL_REQUIRED"][0]["plan"] == of["PLAN_READY"][0]["plan"]
    assert of["APPROVAL_REQUIRED"][0]["expiresAt"] == run["approvalExpiresAt"]
    assert of["CHANGES_REQUESTED"][0]["decision"]["feedback"] == "One more."
    assert of["APPROVED"][0]["decision"]["kind"] == "APPROVED"
    steps = [(e["step"], e["stepStatus"], e["stepIndex"], e["totalSteps"], e["attempt"]) for e in of["PROGRESS"]]
    assert steps == [
        ("step-1", "RUNNING", 1, 2, 1),
        ("step-1", "COMPLETED", 1, 2, 1),
        ("step-2", "RUNNING", 2, 2, 1),
        ("step-2", "COMPLETED", 2, 2, 1),
    ]
    assert [e["progress"] for e in of["PROGRESS"]] == [0.0, 0.5, 0.5, 1.0]
    assert of["COMPLETION"][0]["results"] == {"steps": 2}
    assert [artifact["artifact"]["name"] for artifact in of["ARTIFACT"]] == ["step-1-1.md", "step-2-1.md"]
    assert [metric["name"] for event in of["METRIC"] for metric in event["metrics"]] == ["rehearsal_1"] * 2
    assert {line["step"] for event in of["LOG"] for line in event["lines"]} == {None, "step-1", "step-2"}


async def test_a_failure_says_why(api: Api) -> None:
    run = await ended(api, config={"failAt": 1})
    last = (await listed(api, "run", run["id"]))[-1]
    assert (last["type"], last["failure"]) == ("FAILURE", run["failure"])


async def test_status_is_the_runs_after_the_event(api: Api) -> None:
    run = await a_whole_life(api)
    status = {event["type"]: event["status"] for event in await listed(api, "run", run["id"])}
    assert status["RUN_CREATED"] == "PENDING"
    assert status["PLAN_READY"] == status["APPROVAL_REQUIRED"] == "AWAITING_APPROVAL"
    assert (status["CHANGES_REQUESTED"], status["APPROVED"], status["COMPLETION"]) == (
        "ANALYZING",
        "RUNNING",
        "COMPLETED",
    )


async def test_a_task_has_its_own_events_and_those_of_its_runs(api: Api) -> None:
    task = await new_task(api)
    await api.do("updateTask", taskId=task["id"], name="Other", labels=["x"])
    run = await cancelled(api, task)
    await api.do("deleteRun", runId=run["id"])
    select = "type taskId ... on TaskUpdatedEvent { changedFields }"
    events = await listed(api, "task", task["id"], select=select)
    assert [event["type"] for event in events] == ["TASK_CREATED", "TASK_UPDATED", "RUN_DELETED"], (
        "a run takes its events along"
    )
    assert events[1]["changedFields"] == ["name", "labels"]
    assert {event["taskId"] for event in events} == {task["id"]}


async def test_a_deleted_task_leaves_one_event(api: Api) -> None:
    task = await new_task(api)
    cursor = (await api.ask("{ eventCursor }"))["eventCursor"]
    run = await cancelled(api, task)
    await api.do("deleteTask", taskId=task["id"])
    query = """query ($after: String) {
      events(first: 100, after: $after) { nodes { type taskId message task { id } } }
    }"""
    news = (await api.ask(query, after=cursor))["events"]["nodes"]
    assert [event["type"] for event in news if event["taskId"] == task["id"]] == ["TASK_DELETED"], run
    assert news[-1]["task"] is None


async def test_task_and_run_of_an_event_are_as_they_are_now(api: Api) -> None:
    task = await new_task(api)
    run = await ended(api, task)
    await api.do("updateTask", taskId=task["id"], name="Renamed")
    first = (
        await listed(api, "run", run["id"], "first: 1", "task { name } ... on RunEvent { status run { status } }")
    )[0]
    assert first == {"task": {"name": "Renamed"}, "status": "PENDING", "run": {"status": "COMPLETED"}}


async def test_events_are_filtered_by_type(api: Api) -> None:
    run = await ended(api)
    some = await listed(api, "run", run["id"], "first: 100, types: [COMPLETION, RUN_CREATED]", "type")
    assert some == [{"type": "RUN_CREATED"}, {"type": "COMPLETION"}]
    assert await listed(api, "run", run["id"], "types: []", "type") == []


async def test_a_cursor_is_good_in_every_list_of_events_and_in_subscriptions(api: Api) -> None:
    run = await ended(api)
    events = await listed(api, "run", run["id"])
    cursor = events[2]["cursor"]
    assert await listed(api, "run", run["id"], f'first: 100, after: "{cursor}"') == events[3:]
    assert await listed(api, "task", run["taskId"], f'first: 100, after: "{cursor}"') == events[3:]
    query = f'{{ events(first: {len(events) - 3}, after: "{cursor}") {{ nodes {{ {TYPED} }} }} }}'
    assert (await api.ask(query))["events"]["nodes"] == events[3:]
    assert await api.life(run["id"], after=cursor, select=TYPED) == events[3:]


async def test_the_event_cursor_is_where_the_answer_ends(api: Api) -> None:
    run = await awaiting(api)
    snapshot = await api.run(run["id"], "eventCursor status task { eventCursor } events(last: 1) { nodes { cursor } }")
    assert snapshot["status"] == "AWAITING_APPROVAL"
    await api.do("approveRun", runId=run["id"], approved=False)
    (event,) = await api.life(run["id"], after=snapshot["eventCursor"])
    assert event["type"] == "REJECTED", "nothing missed, nothing repeated"
    assert snapshot["task"]["eventCursor"] == snapshot["eventCursor"]


async def test_the_event_cursor_is_never_newer_than_the_answer(api: Api) -> None:
    """While a run works, each snapshot and what follows its cursor make the whole life."""
    task = await new_task(api, config={"steps": 15, "stepSeconds": 0.01, "planSeconds": 0})
    run = await api.do("createRun", taskId=task["id"], autoApprove=True)
    snapshots: list[Any] = []
    while not snapshots or snapshots[-1]["status"] not in {"COMPLETED", "FAILED"}:
        select = "status eventCursor events(last: 1) { nodes { ... on RunEvent { sequence } } }"
        snapshots.append(await api.run(run["id"], select))
    life = await api.life(run["id"])
    for snapshot in snapshots:
        seen = snapshot["events"]["nodes"][0]["sequence"]
        rest = [event["sequence"] for event in life if event["sequence"] > seen]
        followed = [event["sequence"] for event in await api.life(run["id"], after=snapshot["eventCursor"])]
        assert set(rest) <= set(followed)


async def test_a_mutations_cursor_is_behind_what_it_did(api: Api) -> None:
    run = await awaiting(api)
    payload = await api.mutate("cancelRun", {"runId": run["id"]}, "status eventCursor")
    assert payload["run"]["status"] == "CANCELLED"
    assert await api.life(run["id"], after=payload["run"]["eventCursor"]) == []


async def test_a_cursor_stays_good_when_what_it_came_from_is_gone(api: Api) -> None:
    run = await cancelled(api)
    cursor = (await listed(api, "run", run["id"]))[1]["cursor"]
    await api.do("deleteRun", runId=run["id"])
    news = await listed(api, "task", run["taskId"], f'first: 100, after: "{cursor}"', "type")
    assert news == [{"type": "RUN_DELETED"}]


async def test_the_cursor_of_an_empty_log_is_its_beginning(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        cursor = (await served.api.ask("{ eventCursor }"))["eventCursor"]
        task = await new_task(served.api)
        async with served.api.following("allEvents", after=cursor) as events:
            first = await anext(events)
        assert (first["type"], first["taskId"]) == ("TASK_CREATED", task["id"])
