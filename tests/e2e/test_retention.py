"""What clients see when history is gone: an error with where to go on, never silence."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from domain.retention import Retention
from tests.e2e.client import PATIENCE, Api, RefusedError
from tests.e2e.server import Served, serving
from tests.e2e.work import cancelled, ended, new_task, running

pytestmark = pytest.mark.asyncio(loop_scope="session")
STREAMS = pytest.mark.parametrize("sse", [False, True], ids=["socket", "sse"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server of its own: what is forgotten here is forgotten for all."""
    async with serving(tmp_path_factory.mktemp("retention"), database_synchronous="NORMAL") as running:
        yield running


@pytest.fixture(scope="module")
def api(served: Served) -> Api:
    return served.api


async def forget(served: Served) -> None:
    """Remove the history of all that has ended."""
    assert await Retention(served.application.backend.store, timedelta(microseconds=1)).sweep() > 0


async def test_a_forgotten_run_keeps_all_but_its_events_and_lines(api: Api, served: Served) -> None:
    task = await new_task(api, config={"steps": 1, "stepSeconds": 0, "planSeconds": 0, "artifactsPerStep": 1})
    run = await ended(api, task)
    select = "status results plan { digest steps { output } } artifacts { id sha256 } metrics { nodes { id value } }"
    before = await api.run(run["id"], select)
    await forget(served)
    assert await api.run(run["id"], select) == before
    empty = "events { nodes { id } pageInfo { hasPreviousPage hasNextPage } } logs { nodes { message } }"
    assert await api.run(run["id"], empty) == {
        "events": {"nodes": [], "pageInfo": {"hasPreviousPage": False, "hasNextPage": False}},
        "logs": {"nodes": []},
    }
    again = await api.do("retryRun", runId=(await cancelled(api, task))["id"])
    assert again["status"] == "PENDING"


async def test_a_query_with_an_old_cursor_says_where_to_go_on(api: Api, served: Served) -> None:
    task = await new_task(api)
    run = await ended(api, task)
    life = await api.life(run["id"])
    lines = (await api.run(run["id"], "logs { edges { cursor } }"))["logs"]["edges"]
    await forget(served)
    old, last = life[0]["cursor"], life[-1]["cursor"]
    for query in (
        f'{{ events(after: "{old}") {{ nodes {{ id }} }} }}',
        f'{{ events(last: 1, before: "{old}") {{ nodes {{ id }} }} }}',
        f'{{ run(id: "{run["id"]}") {{ events(after: "{old}") {{ nodes {{ id }} }} }} }}',
        f'{{ task(id: "{task["id"]}") {{ events(after: "{old}") {{ nodes {{ id }} }} }} }}',
    ):
        error = await api.error(query)
        assert error["extensions"] == {"code": "CURSOR_EXPIRED", "oldestCursor": last}
        assert (await api.ask(query.replace("last: 1, before", "after").replace(old, last))) is not None
    error = await api.error(
        f'{{ run(id: "{run["id"]}") {{ logs(after: "{lines[0]["cursor"]}") {{ nodes {{ message }} }} }} }}'
    )
    assert error["extensions"] == {"code": "CURSOR_EXPIRED", "oldestCursor": lines[-1]["cursor"]}


@STREAMS
@pytest.mark.parametrize("field", ["runEvents", "taskEvents", "allEvents"])
async def test_a_subscription_with_an_old_cursor_says_where_to_go_on(
    api: Api, served: Served, sse: bool, field: str
) -> None:
    run = await ended(api)
    life = await api.life(run["id"])
    await forget(served)
    subject = {"runEvents": run["id"], "taskEvents": run["taskId"]}.get(field)
    with pytest.raises(RefusedError) as refused:
        async with api.following(field, subject, after=life[-2]["cursor"], sse=sse) as events:
            await anext(events)
    (error,) = refused.value.errors
    assert error["extensions"] == {"code": "CURSOR_EXPIRED", "oldestCursor": life[-1]["cursor"]}


@STREAMS
async def test_a_forgotten_run_is_not_followed_from_the_middle(api: Api, served: Served, sse: bool) -> None:
    run = await ended(api)
    life = await api.life(run["id"])
    await forget(served)
    with pytest.raises(RefusedError) as refused:
        await api.life(run["id"], sse=sse)
    assert refused.value.code == "CURSOR_EXPIRED"
    assert refused.value.errors[0]["extensions"]["oldestCursor"] == life[-1]["cursor"]
    assert await api.life(run["id"], after=life[-1]["cursor"], sse=sse) == [], "who saw the end is told that it ended"


@STREAMS
async def test_one_goes_on_from_the_oldest_cursor(api: Api, served: Served, sse: bool) -> None:
    task = await new_task(api)
    old = (await api.task(task["id"], "eventCursor"))["eventCursor"]
    lasting = await running(api, task)
    await ended(api, task)
    await forget(served)
    with pytest.raises(RefusedError) as refused:
        async with api.following("taskEvents", task["id"], after=old, sse=sse) as events:
            await anext(events)
    oldest = refused.value.errors[0]["extensions"]["oldestCursor"]
    await api.do("updateTask", taskId=task["id"], name="Later")
    of_task = ["TASK_CREATED", "TASK_UPDATED"]
    async with api.following("taskEvents", task["id"], after=oldest, types=of_task, sse=sse) as events:
        assert (await anext(events))["type"] == "TASK_UPDATED"
    select = f"events(types: [{', '.join(of_task)}]) {{ nodes {{ type }} pageInfo {{ hasPreviousPage }} }}"
    page = (await api.task(task["id"], select))["events"]
    assert page == {"nodes": [{"type": "TASK_UPDATED"}], "pageInfo": {"hasPreviousPage": False}}
    async with api.following("runEvents", lasting["id"], sse=sse) as events:
        assert (await anext(events))["sequence"] == 1, "a run that is not over keeps its history"


async def test_a_server_that_is_told_how_long_to_keep_history_removes_it_by_itself(tmp_path: Path) -> None:
    async with serving(tmp_path, event_retention="1s") as served:
        run = await ended(served.api)
        async with asyncio.timeout(PATIENCE):
            while (await served.api.run(run["id"], "events { nodes { id } }"))["events"]["nodes"]:
                await asyncio.sleep(0.05)
        assert (await served.api.run(run["id"]))["status"] == "COMPLETED"
