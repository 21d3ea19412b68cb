"""Live events over WebSocket and over server-sent events: replay, live, resume, filter, end."""

import asyncio
from typing import Any

import pytest

from tests.e2e.client import PATIENCE, Api, RefusedError
from tests.e2e.work import awaiting, cancelled, ended, new_run, new_task, running

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("sse", [False, True], ids=["socket", "sse"]),
]


async def some(events: Any, count: int) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [event for event in [await anext(events, None) for _ in range(count)] if event is not None]


async def rest(events: Any) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [event async for event in events]


async def until_followed(api: Api, times: int) -> None:
    """Wait until the server has that many subscribers; those of earlier tests leave in their own time."""
    async with asyncio.timeout(PATIENCE):
        while (await api.ask("{ feed { subscribers } }"))["feed"]["subscribers"] != times:
            await asyncio.sleep(0)


async def test_a_run_is_followed_from_its_first_event_to_its_last(api: Api, sse: bool) -> None:
    run = await awaiting(api)
    async with api.following("runEvents", run["id"], sse=sse) as events:
        past = [await anext(events)]
        while past[-1]["type"] != "APPROVAL_REQUIRED":
            past.append(await anext(events))
        await api.do("approveRun", runId=run["id"])
        live = await rest(events)
    sequences = [event["sequence"] for event in past + live]
    assert sequences == list(range(1, len(sequences) + 1))
    assert (past[0]["type"], live[0]["type"], live[-1]["type"]) == ("RUN_CREATED", "APPROVED", "COMPLETION")


async def test_after_goes_on_exactly_where_it_was_cut(api: Api, sse: bool) -> None:
    task = await new_task(api, config={"steps": 8, "stepSeconds": 0.01, "planSeconds": 0})
    run = await new_run(api, task, autoApprove=True)
    seen: list[Any] = []
    while not seen or seen[-1]["type"] != "COMPLETION":
        after = seen[-1]["cursor"] if seen else None
        async with api.following("runEvents", run["id"], after=after, sse=sse) as events:
            seen += await some(events, min(3, 1 + len(seen) % 3))
    assert [event["sequence"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen == await api.life(run["id"])


async def test_following_a_run_that_ended_replays_and_completes(api: Api, sse: bool) -> None:
    run = await ended(api)
    life = await api.life(run["id"], sse=sse)
    assert life[-1]["type"] == "COMPLETION"
    assert await api.life(run["id"], after=life[-1]["cursor"], sse=sse) == []


async def test_types_choose_what_is_sent_and_not_when_it_ends(api: Api, sse: bool) -> None:
    run = await awaiting(api)
    async with api.following("runEvents", run["id"], types=["APPROVED", "PLAN_READY"], sse=sse) as events:
        assert (await some(events, 1))[0]["type"] == "PLAN_READY"
        await api.do("approveRun", runId=run["id"])
        assert [event["type"] for event in await rest(events)] == ["APPROVED"]


async def test_no_types_send_nothing_and_still_end(api: Api, sse: bool) -> None:
    run = await awaiting(api)
    async with api.following("runEvents", run["id"], types=[], sse=sse) as events:
        await api.do("cancelRun", runId=run["id"])
        assert await rest(events) == []


async def test_a_task_is_followed_from_now_on(api: Api, sse: bool) -> None:
    task = await new_task(api)
    await cancelled(api, task)
    await until_followed(api, 0)
    async with api.following("taskEvents", task["id"], sse=sse) as events:
        await until_followed(api, 1)
        await api.do("updateTask", taskId=task["id"], name="Now")
        run = await new_run(api, task)
        first, second = await some(events, 2)
    assert (first["type"], second["type"], second["runId"]) == ("TASK_UPDATED", "RUN_CREATED", run["id"])


async def test_a_task_is_followed_after_a_snapshot_without_a_gap(api: Api, sse: bool) -> None:
    task = await new_task(api)
    cursor = (await api.task(task["id"], "eventCursor"))["eventCursor"]
    run = await cancelled(api, task)
    async with api.following("taskEvents", task["id"], after=cursor, sse=sse) as events:
        life = await api.life(run["id"])
        assert await some(events, len(life)) == life
        await api.do("deleteTask", taskId=task["id"])
        assert [event["type"] for event in await rest(events)] == ["TASK_DELETED"]


async def test_everything_can_be_followed(api: Api, sse: bool) -> None:
    cursor = (await api.ask("{ eventCursor }"))["eventCursor"]
    one, two = await new_task(api), await new_task(api)
    async with api.following("allEvents", after=cursor, types=["TASK_CREATED", "TASK_DELETED"], sse=sse) as events:
        assert [event["taskId"] for event in await some(events, 2)] == [one["id"], two["id"]]
        await api.do("deleteTask", taskId=one["id"])
        (deleted,) = await some(events, 1)
    assert (deleted["type"], deleted["taskId"]) == ("TASK_DELETED", one["id"])


async def test_a_deleted_run_is_news_of_its_task_and_of_everything(api: Api, sse: bool) -> None:
    run = await cancelled(api)
    cursor = (await api.ask("{ eventCursor }"))["eventCursor"]
    await api.do("deleteRun", runId=run["id"])
    select = "__typename type taskId ... on RunDeletedEvent { runId }"
    expected = {"__typename": "RunDeletedEvent", "type": "RUN_DELETED", "taskId": run["taskId"], "runId": run["id"]}
    for field, subject in (("taskEvents", run["taskId"]), ("allEvents", None)):
        async with api.following(field, subject, after=cursor, select=select, sse=sse) as events:
            assert await some(events, 1) == [expected]


async def test_a_task_that_is_deleted_ends_the_streams_of_its_runs(api: Api, sse: bool) -> None:
    task = await new_task(api)
    run = await running(api, task)
    await until_followed(api, 0)
    async with (
        api.following("runEvents", run["id"], sse=sse) as of_run,
        api.following("taskEvents", task["id"], after=None, sse=sse) as of_task,
    ):
        await some(of_run, 1)
        await until_followed(api, 2)
        await api.do("deleteTask", taskId=task["id"], force=True)
        assert all(event["type"] != "TASK_DELETED" for event in await rest(of_run))
        assert [event["type"] for event in await rest(of_task)][-1] == "TASK_DELETED"


@pytest.mark.parametrize("field", ["runEvents", "taskEvents"])
async def test_an_unknown_subject_is_an_error_and_no_empty_stream(api: Api, sse: bool, field: str) -> None:
    task, run = await new_task(api), await cancelled(api)
    other = task["id"] if field == "runEvents" else run["id"]
    for unknown in ("nothing", "", other, f"{field[:-6]}_00000000000000000000000000"):
        async with api.following(field, unknown, sse=sse) as events:
            with pytest.raises(RefusedError) as refused:
                await rest(events)
        assert refused.value.code == "NOT_FOUND"


async def test_a_bad_cursor_is_an_error_and_no_empty_stream(api: Api, sse: bool) -> None:
    run = await cancelled(api)
    good = (await api.ask("{ eventCursor }"))["eventCursor"]
    listed = (await api.ask("{ tasks(first: 1) { pageInfo { endCursor } } }"))["tasks"]["pageInfo"]["endCursor"]
    for bad in ("", "nothing", good[:-1], good[:-2] + "xx", listed):
        for field, subject in (("runEvents", run["id"]), ("taskEvents", run["taskId"]), ("allEvents", None)):
            async with api.following(field, subject, after=bad, sse=sse) as events:
                with pytest.raises(RefusedError) as refused:
                    await rest(events)
            assert refused.value.code == "BAD_USER_INPUT"


async def test_many_followers_see_the_same(api: Api, sse: bool) -> None:
    task = await new_task(api, config={"steps": 5, "stepSeconds": 0.01, "planSeconds": 0})
    run = await new_run(api, task)

    async def follow(cut_after: int) -> list[Any]:
        async with api.following("runEvents", run["id"], sse=sse) as events:
            seen = await some(events, cut_after)
        return seen + await api.life(run["id"], after=seen[-1]["cursor"], sse=sse)

    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(follow(1 + number % 4)) for number in range(12)]
        await api.until(run["id"], "AWAITING_APPROVAL")
        await api.do("approveRun", runId=run["id"])
    life = await api.life(run["id"])
    assert all(follower.result() == life for follower in followers)


async def test_an_event_tells_of_its_task_and_run_when_it_is_sent(api: Api, sse: bool) -> None:
    run = await ended(api)
    select = "... on RunEvent { sequence task { id name } run { id status number task { id } } }"
    events = await api.life(run["id"], select=select, sse=sse)
    assert events[0]["run"] == {"id": run["id"], "status": "COMPLETED", "number": 1, "task": {"id": run["taskId"]}}
