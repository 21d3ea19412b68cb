"""Pages of every list: sizes, places, orders, filters, and cursors that are refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import awaiting, cancelled, ended, new_run, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


@dataclass(frozen=True)
class Listing:
    """One list of seven things, and how to ask for it.

    Attributes:
        asked: The field and those around it; `%s` stands for the page's arguments.
        below: Names on the way to the connection.
        variables: What the fields around it need.
    """

    asked: str
    below: tuple[str, ...]
    variables: dict[str, Any]
    counted: bool = True

    async def page(self, api: Api, arguments: str) -> Any:
        count = "totalCount" if self.counted else ""
        fields = f"{{ edges {{ cursor node {{ id }} }} nodes {{ id }} {INFO} {count} }}"
        found = await api.ask(self.asked % arguments + fields + "}" * len(self.below), **self.variables)
        for name in self.below:
            found = found[name]
        return found

    async def refusal(self, api: Api, arguments: str) -> Any:
        error = await api.error(self.asked % arguments + "{ nodes { id } }" + "}" * len(self.below), **self.variables)
        assert error["extensions"]["code"] == "BAD_USER_INPUT", error
        assert error["message"].endswith(".")
        return error


async def of_tasks(api: Api) -> Listing:
    ids = [(await new_task(api))["id"] for _ in range(7)]
    return Listing("query ($f: TaskFilter) { tasks(filter: $f, %s)", ("tasks",), {"f": {"ids": ids}})


async def of_runs(api: Api) -> Listing:
    task = await new_task(api, concurrency="QUEUE")
    for _ in range(7):
        await new_run(api, task)
    return Listing("query ($f: RunFilter) { runs(filter: $f, %s)", ("runs",), {"f": {"taskIds": [task["id"]]}})


async def of_a_tasks_runs(api: Api) -> Listing:
    task = await new_task(api, concurrency="QUEUE")
    for _ in range(7):
        await new_run(api, task)
    return Listing("query ($id: ID!) { task(id: $id) { runs(%s)", ("task", "runs"), {"id": task["id"]})


async def of_metrics(api: Api) -> Listing:
    task = await new_task(api)
    metrics = [{"name": "x", "value": number} for number in range(7)]
    await api.do("createMetrics", taskId=task["id"], metrics=metrics)
    return Listing("query ($f: MetricFilter) { metrics(filter: $f, %s)", ("metrics",), {"f": {"taskIds": [task["id"]]}})


async def of_a_runs_metrics(api: Api) -> Listing:
    run = await ended(api, config={"steps": 1, "metricsPerStep": 7})
    return Listing("query ($id: ID!) { run(id: $id) { metrics(%s)", ("run", "metrics"), {"id": run["id"]})


async def of_a_runs_events(api: Api) -> Listing:
    run = await ended(api, config={"steps": 1, "logsPerStep": 0, "metricsPerStep": 0})
    assert len(await api.life(run["id"])) == 8
    asked = "query ($id: ID!, $t: [EventType!]) { run(id: $id) { events(types: $t, %s)"
    types = ["RUN_CREATED", "ANALYSIS_START", "PLAN_READY", "APPROVED", "PROGRESS", "COMPLETION"]
    return Listing(asked, ("run", "events"), {"id": run["id"], "t": types}, counted=False)


async def of_a_tasks_events(api: Api) -> Listing:
    task = await new_task(api)
    for number in range(6):
        await api.do("updateTask", taskId=task["id"], name=f"Name {number}")
    return Listing(
        "query ($id: ID!) { task(id: $id) { events(%s)", ("task", "events"), {"id": task["id"]}, counted=False
    )


LISTINGS = [
    of_tasks,
    of_runs,
    of_a_tasks_runs,
    of_metrics,
    of_a_runs_metrics,
    of_a_runs_events,
    of_a_tasks_events,
]


def ids(page: Any) -> list[str]:
    assert [edge["node"] for edge in page["edges"]] == page["nodes"]
    cursors = [edge["cursor"] for edge in page["edges"]]
    info = page["pageInfo"]
    assert (info["startCursor"], info["endCursor"]) == ((cursors[0], cursors[-1]) if cursors else (None, None))
    return [node["id"] for node in page["nodes"]]


def around(page: Any) -> tuple[bool, bool]:
    return page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"]


@pytest.mark.parametrize("make", LISTINGS)
async def test_pages_forward_and_backward_join_without_gap_or_repeat(api: Api, make: Any) -> None:
    listing = await make(api)
    whole = await listing.page(api, "first: 100")
    everything = ids(whole)
    assert (len(set(everything)), around(whole)) == (7, (False, False))
    if listing.counted:
        assert whole["totalCount"] == 7

    one = await listing.page(api, "first: 3")
    two = await listing.page(api, f'first: 3, after: "{one["pageInfo"]["endCursor"]}"')
    three = await listing.page(api, f'first: 3, after: "{two["pageInfo"]["endCursor"]}"')
    assert ids(one) + ids(two) + ids(three) == everything
    assert [around(page) for page in (one, two, three)] == [(False, True), (True, True), (True, False)]

    last = await listing.page(api, "last: 3")
    middle = await listing.page(api, f'last: 3, before: "{last["pageInfo"]["startCursor"]}"')
    rest = await listing.page(api, f'last: 3, before: "{middle["pageInfo"]["startCursor"]}"')
    assert ids(rest) + ids(middle) + ids(last) == everything
    assert [around(page) for page in (last, middle, rest)] == [(True, False), (True, True), (False, True)]


@pytest.mark.parametrize("make", LISTINGS)
async def test_a_full_last_page_says_that_nothing_follows(api: Api, make: Any) -> None:
    listing = await make(api)
    assert around(await listing.page(api, "first: 7")) == (False, False)
    assert around(await listing.page(api, "last: 7")) == (False, False)
    beyond = await listing.page(api, f'after: "{(await listing.page(api, "last: 1"))["pageInfo"]["endCursor"]}"')
    assert (ids(beyond), around(beyond)) == ([], (True, False))


@pytest.mark.parametrize("make", LISTINGS)
async def test_a_page_between_two_cursors(api: Api, make: Any) -> None:
    listing = await make(api)
    edges = (await listing.page(api, "first: 7"))["edges"]
    between = await listing.page(api, f'first: 2, after: "{edges[0]["cursor"]}", before: "{edges[5]["cursor"]}"')
    assert (ids(between), around(between)) == ([edge["node"]["id"] for edge in edges[1:3]], (True, True))
    between = await listing.page(api, f'last: 2, after: "{edges[0]["cursor"]}", before: "{edges[5]["cursor"]}"')
    assert ids(between) == [edge["node"]["id"] for edge in edges[3:5]]


@pytest.mark.parametrize("make", LISTINGS)
@pytest.mark.parametrize(
    "arguments", ["first: 0", "first: -1", "first: 101", "last: 0", "last: 101", "first: 1, last: 1"]
)
async def test_a_size_that_makes_no_page_is_refused(api: Api, make: Any, arguments: str) -> None:
    listing = await make(api)
    await listing.refusal(api, arguments)


def cut(cursor: str) -> str:
    return cursor[:-1]


def edited(cursor: str) -> str:
    return cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]


def longer(cursor: str) -> str:
    return cursor + "="


def nothing(_: str) -> str:
    return ""


def foreign(_: str) -> str:
    return "YXJyYXljb25uZWN0aW9uOjA="


@pytest.mark.parametrize("make", LISTINGS)
@pytest.mark.parametrize("change", [cut, edited, longer, nothing, foreign])
async def test_a_cursor_that_was_not_given_out_is_refused(api: Api, make: Any, change: Callable[[str], str]) -> None:
    listing = await make(api)
    cursor = (await listing.page(api, "first: 1"))["pageInfo"]["endCursor"]
    for argument in ("after", "before"):
        await listing.refusal(api, f'{argument}: "{change(cursor)}"')


async def test_a_cursor_is_good_in_its_own_list_and_order_only(api: Api) -> None:
    tasks, runs, events = await of_tasks(api), await of_runs(api), await of_a_tasks_events(api)
    listings = {"tasks": tasks, "runs": runs, "events": events}
    of = {name: (await listing.page(api, "first: 1"))["pageInfo"]["endCursor"] for name, listing in listings.items()}
    await runs.refusal(api, f'after: "{of["tasks"]}"')
    await events.refusal(api, f'after: "{of["runs"]}"')
    await tasks.refusal(api, f'after: "{of["events"]}"')
    await tasks.refusal(api, f'after: "{of["tasks"]}", orderBy: {{field: NAME}}')
    await tasks.refusal(api, f'after: "{of["tasks"]}", orderBy: {{field: CREATED_AT, direction: ASC}}')


async def test_cursors_stay_good_while_the_list_grows(api: Api) -> None:
    task = await new_task(api, concurrency="QUEUE")
    first, second = await new_run(api, task), await new_run(api, task)
    listing = Listing("query ($id: ID!) { task(id: $id) { runs(%s)", ("task", "runs"), {"id": task["id"]})
    page = await listing.page(api, "first: 1")
    assert ids(page) == [second["id"]]
    await new_run(api, task)
    assert ids(await listing.page(api, f'after: "{page["pageInfo"]["endCursor"]}"')) == [first["id"]]


class TestOrders:
    """What lists are sorted by."""

    @pytest.mark.parametrize("direction", ["ASC", "DESC"])
    @pytest.mark.parametrize("field", ["CREATED_AT", "UPDATED_AT", "NAME"])
    async def test_tasks_are_sorted_as_asked(self, api: Api, field: str, direction: str) -> None:
        names = ["Zebra", "apple", "Äpfel", "apple", "Banana"]
        made = [await new_task(api, name=name) for name in names]
        made[1] = await api.do("updateTask", taskId=made[1]["id"], description="Changed.")

        def key(task: Any) -> Any:
            sorts = {"CREATED_AT": task["createdAt"], "UPDATED_AT": task["updatedAt"], "NAME": task["name"].casefold()}
            return sorts[field], task["id"]

        expected = [task["id"] for task in sorted(made, key=key, reverse=direction == "DESC")]
        query = """query ($f: TaskFilter, $o: TaskOrder, $n: Int, $after: String) {
          tasks(filter: $f, orderBy: $o, first: $n, after: $after) { nodes { id } pageInfo { endCursor } }
        }"""
        which = {"f": {"ids": [task["id"] for task in made]}, "o": {"field": field, "direction": direction}}
        assert [node["id"] for node in (await api.ask(query, **which))["tasks"]["nodes"]] == expected
        paged: list[str] = []
        after = None
        for _ in made:
            page = (await api.ask(query, **which, n=1, after=after))["tasks"]
            after = page["pageInfo"]["endCursor"]
            paged += [node["id"] for node in page["nodes"]]
        assert paged == expected

    @pytest.mark.parametrize("direction", ["ASC", "DESC"])
    @pytest.mark.parametrize("field", ["CREATED_AT", "STARTED_AT", "COMPLETED_AT", "DURATION"])
    async def test_runs_are_sorted_with_nulls_last_both_ways(self, api: Api, field: str, direction: str) -> None:
        task = await new_task(api)
        for _ in range(3):
            await ended(api, task)
        await awaiting(api, task)
        await awaiting(api, task)
        unstarted = await api.do("updateTask", taskId=task["id"], concurrency="QUEUE")
        await new_run(api, unstarted)
        await new_run(api, unstarted)
        select = "nodes { id createdAt startedAt completedAt duration } pageInfo { endCursor hasNextPage }"
        query = f"""query ($id: ID!, $o: RunOrder, $n: Int, $after: String) {{
          task(id: $id) {{ runs(orderBy: $o, first: $n, after: $after) {{ {select} }} }}
        }}"""
        order = {"field": field, "direction": direction}
        runs = (await api.ask(query, id=task["id"], o=order))["task"]["runs"]["nodes"]
        assert len(runs) == 7
        name = {
            "CREATED_AT": "createdAt",
            "STARTED_AT": "startedAt",
            "COMPLETED_AT": "completedAt",
            "DURATION": "duration",
        }[field]
        down = direction == "DESC"
        some = sorted(
            (run for run in runs if run[name] is not None), key=lambda run: (run[name], run["id"]), reverse=down
        )
        none = sorted((run for run in runs if run[name] is None), key=lambda run: str(run["id"]), reverse=down)
        assert runs == some + none
        assert none or field == "CREATED_AT"
        paged, after = [], None
        while True:
            page = (await api.ask(query, id=task["id"], o=order, n=2, after=after))["task"]["runs"]
            paged += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert paged == runs

    async def test_the_newest_come_first_unless_asked_otherwise(self, api: Api) -> None:
        made = [(await new_task(api))["id"] for _ in range(3)]
        query = """query ($f: TaskFilter) {
          tasks(filter: $f) { nodes { id } }
          named: tasks(filter: $f, orderBy: {field: CREATED_AT}) { nodes { id } }
        }"""
        found = await api.ask(query, f={"ids": made})
        assert [node["id"] for node in found["tasks"]["nodes"]] == made[::-1]
        assert found["named"] == found["tasks"]


class TestFilters:
    """What lists are narrowed by; what is given is ANDed, and a list means any of it."""

    async def tasks(self, api: Api, **which: Any) -> set[str]:
        query = "query ($f: TaskFilter) { tasks(first: 100, filter: $f) { nodes { id } totalCount } }"
        page = (await api.ask(query, f=which))["tasks"]
        assert page["totalCount"] == len(page["nodes"])
        return {node["id"] for node in page["nodes"]}

    async def runs(self, api: Api, **which: Any) -> set[str]:
        query = "query ($f: RunFilter) { runs(first: 100, filter: $f) { nodes { id } totalCount } }"
        page = (await api.ask(query, f=which))["runs"]
        assert page["totalCount"] == len(page["nodes"])
        return {node["id"] for node in page["nodes"]}

    async def test_tasks(self, api: Api) -> None:
        one = await new_task(api, name="Umsatz in Straßburg 50%", labels=["filter-a", "b"])
        two = await new_task(api, name="Sales_in_STRASSBURG", labels=["filter-a"])
        three = await new_task(api, name="Other", team="playbook", config={})
        await ended(api, two)
        both, all_of = {one["id"], two["id"]}, {one["id"], two["id"], three["id"]}
        ours = {"ids": [*all_of]}
        assert await self.tasks(api, **ours) == all_of
        assert await self.tasks(api, labels=["filter-a"]) == both
        assert await self.tasks(api, labels=["b", "nothing"], **ours) == {one["id"]}
        assert await self.tasks(api, labels=["filter-a"], status=["COMPLETED"]) == {two["id"]}
        assert await self.tasks(api, **ours, status=["PENDING", "COMPLETED"]) == all_of
        assert await self.tasks(api, **ours, teams=["playbook"]) == {three["id"]}
        assert await self.tasks(api, **ours, query="strassburg") == both, "case is folded, not only lowered"
        assert await self.tasks(api, **ours, query="50%") == {one["id"]}, "no wildcard"
        assert await self.tasks(api, **ours, query="s_in") == {two["id"]}, "no wildcard"
        assert await self.tasks(api, **ours, query="") == all_of
        later = {"createdAt": {"from": two["createdAt"]}}
        assert await self.tasks(api, **ours, **later) == {two["id"], three["id"]}
        assert await self.tasks(api, **ours, createdAt={"from": one["createdAt"], "to": two["createdAt"]}) == {
            one["id"]
        }

    @pytest.mark.parametrize("field", ["ids", "status", "labels", "teams"])
    async def test_an_empty_list_matches_no_task(self, api: Api, field: str) -> None:
        assert await self.tasks(api, **{field: []}) == set()

    @pytest.mark.parametrize("field", ["taskIds", "status", "labels"])
    async def test_an_empty_list_matches_no_run(self, api: Api, field: str) -> None:
        assert await self.runs(api, **{field: []}) == set()

    @pytest.mark.parametrize("field", ["ids", "status", "labels", "teams", "query", "createdAt"])
    async def test_null_is_no_filter(self, api: Api, field: str) -> None:
        task = await new_task(api, labels=["null-filter"])
        which = {"ids": [task["id"]], "labels": ["null-filter"], field: None}
        assert task["id"] in await self.tasks(api, **which)

    async def test_runs(self, api: Api) -> None:
        task, other = await new_task(api), await new_task(api)
        waits = await awaiting(api, task, labels=["x"])
        gone = await cancelled(api, task, labels=["x", "y"])
        done = await ended(api, other)
        ours = {"taskIds": [task["id"], other["id"]]}
        assert await self.runs(api, **ours) == {waits["id"], gone["id"], done["id"]}
        assert await self.runs(api, taskIds=[other["id"]]) == {done["id"]}
        assert await self.runs(api, **ours, status=["CANCELLED", "COMPLETED"]) == {gone["id"], done["id"]}
        assert await self.runs(api, **ours, labels=["x"]) == {waits["id"], gone["id"]}
        assert await self.runs(api, **ours, labels=["y", "z"]) == {gone["id"]}
        assert await self.runs(api, **ours, needsApproval=True) == {waits["id"]}
        assert await self.runs(api, **ours, needsApproval=False) == {gone["id"], done["id"]}
        assert await self.runs(api, **ours, createdAt={"to": gone["createdAt"]}) == {waits["id"]}
        below = await api.task(task["id"], 'runs(filter: {labels: ["y"]}) { nodes { id } totalCount }')
        assert below["runs"] == {"nodes": [{"id": gone["id"]}], "totalCount": 1}
        foreign = await api.task(task["id"], f'runs(filter: {{taskIds: ["{other["id"]}"]}}) {{ totalCount }}')
        assert foreign["runs"] == {"totalCount": 0}, "a task lists its own runs only"

    async def test_ids_of_nothing_match_nothing(self, api: Api) -> None:
        assert await self.tasks(api, ids=["nothing"]) == set()
        assert await self.runs(api, taskIds=["nothing"]) == set()
