"""How many SQL statements a query costs: one for each field of a level, however many objects the level has."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from domain import feed, runner
from storage import connections, driver, writing
from storage.driver import PipelinedConnection, ReadingConnection
from storage.writing import WritingConnection
from tests.e2e.client import Api
from tests.e2e.server import serving
from tests.e2e.work import QUICK, new_run, new_task
from tests.storage.files import recorded

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIZE = 10
LEAVES = {
    "plan": "{ version steps { key } }",
    "plans": "{ version }",
    "planVersion(version: 1)": "{ version }",
    "decisions": "{ kind }",
    "metrics(first: 2)": "{ nodes { value } }",
    "metricSummaries": "{ name avg }",
    'metricSeries(name: "rehearsal_1", maxPoints: 2)': "{ value }",
    "logs(first: 2)": "{ nodes { message } }",
    "artifacts": "{ name }",
    "events(first: 2)": "{ nodes { type task { id } ... on RunEvent { run { id } } } }",
}
FREE = {
    "task": "{ name }",
    "retryOf": "{ id }",
    "usage": "{ requests }",
    "allowedActions": "",
    "eventCursor": "",
    "duration": "",
    "failure": "{ code }",
}


@dataclass(frozen=True)
class Filled:
    """A server with ten tasks of ten runs, and nothing that looks at its database by itself.

    Attributes:
        opened: The connections of its database.
    """

    api: Api
    opened: set[PipelinedConnection]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Collect what is executed in the block; what changes many rows at once is one statement."""
        seen: list[str] = []
        with recorded(self.opened) as statements:
            yield seen
        seen += [text for text, _ in statements]

    async def cost(self, query: str) -> int:
        """Return how many statements a query takes; the least of three, as the engine may look for work meanwhile."""
        counts = []
        for _ in range(3):
            with self.statements() as seen:
                await self.api.ask(query)
            counts.append(len([one for one in seen if one.lstrip("( ").upper().startswith(("SELECT", "WITH"))]))
        return min(counts)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    opened: set[PipelinedConnection] = set()

    connect_to_write = writing.connect

    async def connect(path: Path, *, busy_timeout: float) -> WritingConnection:
        connection = await connect_to_write(path, busy_timeout=busy_timeout)
        opened.add(connection)
        return connection

    async def connect_to_read(path: Path, *, busy_timeout: float) -> ReadingConnection:
        connection = await driver.connect_to_read(path, busy_timeout=busy_timeout)
        opened.add(connection)
        return connection

    folder = tmp_path_factory.mktemp("statements")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "POLL_SECONDS", 3600.0)
        patch.setattr(runner, "LONGEST_SLEEP", 3600.0)
        patch.setattr(writing, "connect", connect)
        patch.setattr(connections, "connect_to_read", connect_to_read)
        async with serving(folder, database_synchronous="NORMAL", max_concurrent_runs=20) as served:
            start = (await served.api.ask("{ eventCursor }"))["eventCursor"]
            config = {**QUICK, "steps": 1, "artifactsPerStep": 1}
            for task in [await new_task(served.api, config=config) for _ in range(SIZE)]:
                for _ in range(SIZE):
                    await new_run(served.api, task, autoApprove=True)
            async with served.api.following("allEvents", after=start, types=["COMPLETION"]) as events:
                for _ in range(SIZE * SIZE):
                    await anext(events)
            yield Filled(served.api, opened)


def tree(size: int, below: str) -> str:
    return f"{{ tasks(first: {size}) {{ nodes {{ name runs(first: {size}) {{ nodes {{ number {below} }} }} }} }} }}"


@pytest.mark.parametrize("field", LEAVES)
async def test_a_field_of_a_hundred_runs_is_one_statement(filled: Filled, field: str) -> None:
    base = await filled.cost(tree(SIZE, ""))
    assert base == 2, "tasks, and their runs"
    levels = 2 if field.startswith("plan") else 3 if field.startswith("events") else 1  # steps; tasks and runs
    assert await filled.cost(tree(SIZE, f"{field} {LEAVES[field]}")) - base == levels


@pytest.mark.parametrize("field", FREE)
async def test_what_a_run_knows_itself_or_names_costs_nothing(filled: Filled, field: str) -> None:
    assert await filled.cost(tree(SIZE, f"{field} {FREE[field]}")) == 2


async def test_a_deep_query_costs_the_same_for_four_runs_and_for_a_hundred(filled: Filled) -> None:
    below = " ".join(f"{field} {selection}" for field, selection in {**LEAVES, **FREE}.items())
    of_task = "latestRun { id } metricSummaries { name } events(first: 1) { nodes { type } }"
    query = tree(SIZE, below).replace("name runs", f"name {of_task} runs", 1)
    smaller = tree(2, below).replace("name runs", f"name {of_task} runs", 1)
    assert await filled.cost(query) == await filled.cost(smaller) <= 20


@pytest.mark.parametrize(
    ("query", "counted"),
    [
        ("{ tasks(first: 1) { nodes { id } %s } }", "totalCount"),
        ("{ runs(first: 1) { nodes { id } %s } }", "totalCount"),
        ("{ metrics(first: 1) { nodes { id } %s } }", "totalCount"),
        ("{ tasks(first: 1) { nodes { runs(first: 1) { nodes { id } %s } } } }", "totalCount"),
    ],
)
async def test_a_list_is_counted_only_when_that_is_selected(filled: Filled, query: str, counted: str) -> None:
    with filled.statements() as without:
        await filled.api.ask(query % "")
    assert not any("count(" in statement for statement in without)
    with filled.statements() as with_count:
        await filled.api.ask(query % counted)
    assert any("count(" in statement for statement in with_count)


async def test_ids_of_one_kind_are_looked_up_together(filled: Filled) -> None:
    ids = [node["id"] for node in (await filled.api.ask("{ runs(first: 50) { nodes { id } } }"))["runs"]["nodes"]]
    quoted = ", ".join(f'"{id_}"' for id_ in ids)
    assert await filled.cost(f"{{ nodes(ids: [{quoted}]) {{ id ... on Run {{ task {{ name }} }} }} }}") == 2


async def test_a_page_of_fifty_runs_with_their_tasks_is_one_statement(filled: Filled) -> None:
    fields = "id number status progress createdAt duration"
    assert await filled.cost(f"{{ runs(first: 50) {{ nodes {{ {fields} task {{ id name }} }} }} }}") == 1
    assert await filled.cost(f"{{ runs(first: 50) {{ totalCount nodes {{ {fields} task {{ id name }} }} }} }}") == 2
    assert await filled.cost("{ tasks(first: 50) { nodes { name latestRun { number status } } } }") == 1
    # What is a level below comes by a statement of its own, and so does a document, which would come again and again.
    assert await filled.cost("{ tasks(first: 50) { nodes { name latestRun { plan { version } } } } }") == 4
    assert await filled.cost("{ runs(first: 50) { nodes { id task { id config } } } }") == 2


@pytest.mark.parametrize(
    ("selected", "read", "unread"),
    [
        ("id", {"events.id", "events.type"}, {"events.data", "events.message", "events.sequence"}),
        ("cursor ... on RunEvent { status }", {"events.pos", "events.status"}, {"events.data", "events.message"}),
        ("id ... on LogEvent { lines { message } }", {"events.data"}, set()),
    ],
)
async def test_of_events_what_is_selected_is_read(
    filled: Filled, selected: str, read: set[str], unread: set[str]
) -> None:
    query = f"{{ events(first: 5) {{ nodes {{ {selected} }} }} }}"
    assert await filled.cost(query) == 1
    with filled.statements() as seen:
        await filled.api.ask(query)
    (columns,) = {one.partition("FROM")[0] for one in seen if "FROM events" in one}
    assert {name for name in read | unread if f"{name}," in f"{columns},".replace(" ", ",")} == read


async def test_one_thing_with_what_it_names_is_one_statement(filled: Filled) -> None:
    (run,) = (await filled.api.ask("{ runs(first: 1) { nodes { id task { id } } } }"))["runs"]["nodes"]
    for query, statements in (
        (f'{{ run(id: "{run["id"]}") {{ id status labels }} }}', 1),
        (f'{{ run(id: "{run["id"]}") {{ id task {{ name }} }} }}', 1),
        (f'{{ task(id: "{run["task"]["id"]}") {{ id name totalRuns }} }}', 1),
        (f'{{ node(id: "{run["id"]}") {{ id ... on Run {{ number }} }} }}', 1),
        ('{ run(id: "nothing") { id } }', 1),
        ("{ eventCursor teams { name } feed { subscribers } }", 0),
    ):
        assert await filled.cost(query) == statements, query


@pytest.mark.parametrize(
    ("name", "most"), [("createTask", 2), ("updateTask", 3), ("updateRun", 9), ("createMetrics", 2)]
)
async def test_a_mutation_costs_no_more_than_it_did(filled: Filled, name: str, most: int) -> None:
    task = await new_task(filled.api)
    (run,) = (await filled.api.ask("{ runs(last: 1) { nodes { id } } }"))["runs"]["nodes"]
    inputs: dict[str, dict[str, Any]] = {
        "createTask": {"name": "Another"},
        "updateRun": {"runId": run["id"], "labels": ["kept"]},
        "updateTask": {"taskId": task["id"], "name": "Renamed"},
        "createMetrics": {"taskId": task["id"], "metrics": [{"name": "rows", "value": n} for n in range(100)]},
    }
    with filled.statements() as seen:
        await filled.api.mutate(name, inputs[name], "id")
    assert len(seen) <= most, "\n".join(seen)
