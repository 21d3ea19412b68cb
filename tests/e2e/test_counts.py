"""What must not grow with the number of requests: documents read, selections compiled, bytes encoded, writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
import pytest_asyncio

from graph.execution import documents
from graph.execution.compiled import CompilingExecutor
from graph.transport.outlet import Outlet
from tests.e2e.client import Api
from tests.e2e.server import Served, serving
from tests.e2e.test_fanout import Room, Sink, log_of, reached
from tests.e2e.work import awaiting, new_run, new_task

LIST: Final = """
  query List($first: Int!) {
    runs(first: $first) { nodes { id number status createdAt task { id name } } pageInfo { hasNextPage } }
  }
"""
SOCKETS: Final = 5
BURST: Final = 10

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that nobody else asks anything."""
    settings = {"default_team": "rehearsal", "database_synchronous": "NORMAL"}
    async with serving(tmp_path_factory.mktemp("counts"), **settings) as running:
        task = await new_task(running.api)
        for _ in range(3):
            await new_run(running.api, task, config={"planSeconds": 3600})
        yield running


@pytest.fixture
def api(served: Served) -> Api:
    return served.api


@pytest.fixture
def room(served: Served) -> Room:
    return Room(served.application)


class Calls:
    """Counts calls of functions.

    Attributes:
        number: How many there were.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self._patch = patch

    def of(self, owner: Any, name: str) -> None:
        """Count calls of something's function."""
        function = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            return function(*args, **kwargs)

        self._patch.setattr(owner, name, counted)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


async def test_a_text_is_parsed_and_validated_once_however_it_comes(api: Api, calls: Calls) -> None:
    calls.of(documents, "parse")
    calls.of(documents, "validate")
    for first in range(1, 11):
        await api.ask(LIST, first=first)
    assert calls.number == 2
    query = "subscription ($run: ID!) { runEvents(runId: $run) { sequence } }"
    (run,) = (await api.ask(LIST, first=1))["runs"]["nodes"]
    for _ in range(3):
        async with api.subscribe(query, run=run["id"]) as events:
            await anext(events)
    async with api.stream(query, run=run["id"]) as events:
        await anext(events)
    assert calls.number == 4


async def test_selections_are_compiled_once_for_a_text(api: Api, calls: Calls) -> None:
    text = LIST.replace("List", "Compiled")
    calls.of(CompilingExecutor, "collect_subfields")
    await api.ask(text, first=2)
    compiled = calls.number
    assert compiled > 0
    for first in (1, 2, 3, 100):
        await api.ask(text, first=first)
    assert calls.number == compiled


@pytest.mark.parametrize(
    "query",
    [
        LIST.replace("List", "Page"),
        "query Run($run: ID!) { run(id: $run) { id status allowedActions task { name } } }",
        "query Task($task: ID!) { task(id: $task) { id name latestRun { id } } }",
        "mutation Create($input: CreateTaskInput!) { createTask(input: $input) { task { id name } } }",
    ],
)
async def test_an_operation_of_one_field_makes_an_executor_once_for_a_text(api: Api, calls: Calls, query: str) -> None:
    (run,) = (await api.ask(LIST, first=1))["runs"]["nodes"]
    variables = {"first": 2, "run": run["id"], "task": run["task"]["id"], "input": {"name": "Another"}}
    calls.of(CompilingExecutor, "__init__")
    for _ in range(3):
        await api.ask(query, **{name: value for name, value in variables.items() if f"${name}:" in query})
    assert calls.number == 1


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("members", [1, 25])
async def test_an_event_is_executed_and_encoded_once_for_each_group(
    room: Room, api: Api, groups: int, members: int
) -> None:
    run = str((await awaiting(api))["id"])
    there = len(await log_of(api, run))
    sinks = [[Sink() for _ in range(members)] for _ in range(groups)]
    async with AsyncExitStack() as followers:
        for number, group in enumerate(sinks):
            query = f"subscription G{number}($run: ID!) {{ runEvents(runId: $run) {{ sequence g: cursor }} }}"
            await followers.enter_async_context(room.following(*group, query=query, run=run))
        every = [sink for group in sinks for sink in group]
        await reached(every, there)
        before = room.executions
        for number in range(1, 4):
            await room.happen(run, 1)
            await reached(every, there + number)
        assert room.executions - before == 3 * groups
        assert room.fanout.streams == groups
        encoded = {id(body) for sink in every for body in sink.bodies[there:]}
        assert len(encoded) == 3 * groups


@pytest.mark.usefixtures("unhurried")
async def test_a_burst_is_executed_once_and_written_once_to_each_socket(room: Room, api: Api, calls: Calls) -> None:
    run = str((await awaiting(api))["id"])
    there = len(await log_of(api, run))
    query = "subscription ($run: ID!) { runEvents(runId: $run) { sequence } }"
    async with AsyncExitStack() as sockets:
        followers = [await sockets.enter_async_context(api.subscribe(query, run=run)) for _ in range(SOCKETS)]
        for events in followers:
            for _ in range(there):
                await anext(events)
        calls.of(Outlet, "write")
        before = room.executions
        await room.happen(run, BURST)
        for events in followers:
            for _ in range(BURST):
                await anext(events)
        assert calls.number == SOCKETS
        assert room.executions - before == BURST
        assert room.fanout.streams == 1
