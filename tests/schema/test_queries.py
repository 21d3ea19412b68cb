"""Queries: what reaches the store, in how many statements, and what is made of the answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from domain.codec import to_json
from domain.fold import RunState
from domain.ids import IdFactory, Kind
from domain.model import (
    LogLevel,
    LogLine,
    MetricPoint,
    MetricSummary,
    MetricType,
    PlanStep,
    Run,
    RunSettings,
    RunStatus,
    Task,
    TaskStatus,
    Usage,
)
from domain.paging import (
    Direction,
    Page,
    PageRequest,
    RunOrder,
    RunOrderField,
    TaskOrder,
    TaskOrderField,
    encode_event_cursor,
    log_cursor,
)
from domain.rows import Rows, layout_of
from domain.store import LogFilter, MetricFilter, RunFilter, TaskFilter
from tests.schema.examples import TASK
from tests.schema.support import LOG_ID, NOW, Api
from tests.unit.lives import ARTIFACT, METRIC, NOON, at, blank

AWAITING = at(RunStatus.AWAITING_APPROVAL)


def page_of(*items: Any, total: int | None = None) -> Page[Any]:
    return Page(items=items, cursors=[f"at {item.id}" for item in items], total=total)


def finds(api: Api, *, tasks: tuple[Task, ...] = (), runs: tuple[Run, ...] = ()) -> None:
    """Let the store know these tasks and runs."""
    api.on(
        tasks__many=lambda ids, *_: {task.id: task for task in tasks if task.id in ids},
        runs__many=lambda ids, *_: {run.id: run for run in runs if run.id in ids},
    )


# Things by id


async def test_nodes_come_in_the_order_of_their_ids_with_null_for_what_is_not_there(api: Api) -> None:
    make = IdFactory().new
    task, run = replace(TASK, id=make(Kind.TASK)), replace(blank(), id=make(Kind.RUN))
    metric, artifact = replace(METRIC, id=make(Kind.METRIC)), replace(ARTIFACT, id=make(Kind.ARTIFACT))
    finds(api, tasks=(task,), runs=(run,))
    api.on(metrics__many=lambda *_: {metric.id: metric}, runs__artifacts=lambda _: {artifact.id: artifact})
    ids = [artifact.id, "nonsense", run.id, make(Kind.RUN), metric.id, task.id, run.id]

    found = await api.data("query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)

    shown = [node and (node["__typename"], node["id"]) for node in found["nodes"]]
    assert shown == [
        ("Artifact", artifact.id),
        None,
        ("Run", run.id),
        None,
        ("Metric", metric.id),
        ("Task", task.id),
        ("Run", run.id),
    ]
    assert sorted(api.script.names) == ["metrics.many", "runs.artifacts", "runs.many", "tasks.many"]


async def test_nodes_takes_a_hundred_ids(api: Api) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    assert (await api.data(query, ids=["x"] * 100))["nodes"] == [None] * 100
    assert await api.code(query, ids=["x"] * 101) == "BAD_USER_INPUT"


@pytest.mark.parametrize("field", ["node", "task", "run", "metric"])
@pytest.mark.parametrize("id_", ["", "task_1", "task_01m85kf5862mednceqxyvzgds4", 'with "quotes"'])
async def test_an_unknown_id_is_null(api: Api, field: str, id_: str) -> None:
    finds(api)
    api.on(metrics__many=lambda *_: {})

    assert await api.data(f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}", id=id_) == {field: None}


async def test_a_task_shows_its_record(api: Api) -> None:
    task = replace(
        TASK,
        labels=("a", "b"),
        settings=RunSettings(max_rounds=7, max_revision_rounds=1, memory_size=9, approval_timeout=None),
        finished_runs=3,
        successful_runs=1,
        status=TaskStatus.RUNNING,
    )
    finds(api, tasks=(task,))
    fields = "name labels maxRounds maxRevisionRounds memorySize approvalTimeout successRate status latestRun { id }"

    shown = (await api.data(f'{{ task(id: "task_1") {{ {fields} eventCursor createdAt }} eventCursor }}'))["task"]

    assert shown == {
        "name": "Sales",
        "labels": ["a", "b"],
        "maxRounds": 7,
        "maxRevisionRounds": 1,
        "memorySize": 9,
        "approvalTimeout": None,
        "successRate": pytest.approx(100 / 3),
        "status": "RUNNING",
        "latestRun": None,
        "eventCursor": encode_event_cursor(LOG_ID, 41),
        "createdAt": "2026-11-23T12:00:00.000000Z",
    }


async def test_a_run_shows_its_record_and_what_may_be_done(api: Api) -> None:
    run = replace(AWAITING.run, deadline=None, usage=Usage(requests=2, cost_usd=0.5))
    finds(api, runs=(run,))

    shown = await api.data(
        '{ run(id: "run_1") { status allowedActions approvalExpiresAt progress '
        "usage { requests costUsd } failure { code } } }"
    )

    assert shown["run"] == {
        "status": "AWAITING_APPROVAL",
        "allowedActions": ["APPROVE", "REJECT", "REQUEST_CHANGES", "CANCEL"],
        "approvalExpiresAt": None,
        "progress": None,
        "usage": {"requests": 2, "costUsd": 0.5},
        "failure": None,
    }


async def test_after_the_deadline_a_run_can_only_be_cancelled(api: Api) -> None:
    finds(api, runs=(AWAITING.run,))

    shown = await api.data('{ run(id: "run_1") { allowedActions approvalExpiresAt } }')

    assert shown["run"] == {"allowedActions": ["CANCEL"], "approvalExpiresAt": "2026-11-23T12:05:02.000000Z"}


async def test_a_run_whose_task_is_deleted_meanwhile_asks_to_try_again(api: Api) -> None:
    finds(api, runs=(blank(),))

    assert await api.code('{ run(id: "run_1") { task { id } } }') == "BUSY"


# Statements


async def test_each_field_of_a_level_is_one_statement(api: Api) -> None:
    runs = [replace(blank(), id=f"run_{number}", task_id=f"task_{number % 2}") for number in range(3)]
    plan = AWAITING.state.plan
    api.on(
        runs__page=lambda *_: page_of(*runs),
        tasks__many=lambda ids, *_: {id_: replace(TASK, id=id_) for id_ in ids},
        runs__current_plans=lambda ids: dict.fromkeys(ids, plan),
        runs__plans=lambda ids: dict.fromkeys(ids, (plan,)),
        runs__decisions=lambda ids: dict.fromkeys(ids, at(RunStatus.RUNNING).state.decisions),
        runs__artifacts_of=lambda ids: dict.fromkeys(ids, (ARTIFACT,)),
        runs__logs=lambda ids, *_: {},
        metrics__pages_of_runs=lambda ids, *_: dict.fromkeys(ids, page_of(METRIC)),
        metrics__summaries_of_runs=lambda *_: {},
        metrics__series_of_runs=lambda *_: {},
        events__pages_of_runs=lambda *_: {},
        metrics__summaries_of_tasks=lambda *_: {},
        metrics__series_of_tasks=lambda *_: {},
        events__pages_of_tasks=lambda *_: {},
        runs__pages_of_tasks=lambda ids, *_: {id_: page_of(*runs[:2]) for id_ in ids},
    )

    await api.data("""{
        runs(first: 3) { nodes {
            plan { version } plans { digest } planVersion(version: 1) { version } decisions { actor }
            artifacts { name } logs { nodes { message } } metrics(first: 1) { nodes { value } }
            metricSummaries { avg } metricSeries(name: "rows") { value } events(first: 1) { nodes { id } }
            task {
                name metricSummaries { avg } metricSeries(name: "rows") { value } events(first: 1) { nodes { id } }
                runs(first: 2) { nodes { number task { name } } }
            }
        } }
    }""")

    assert len(api.script.names) == len(set(api.script.names))
    assert set(api.script.names) == set(api.script.answers)


async def test_pages_with_other_arguments_are_other_statements(api: Api) -> None:
    finds(api, runs=(blank(),))
    api.on(runs__logs=lambda *_: {})

    await api.data('{ run(id: "run_1") { a: logs { nodes { step } } b: logs(step: "x") { nodes { step } } } }')

    assert api.script.names == ["runs.many", "runs.logs", "runs.logs"]


# Pages


@pytest.mark.parametrize(
    ("selection", "counted"),
    [
        ("nodes { id }", False),
        ("totalCount", True),
        ("edges { cursor } n: totalCount", True),
        ("... on TaskConnection { totalCount }", True),
        ("... { ... { totalCount } }", True),
        ("...Outer", True),
        ("nodes { runs { totalCount } }", False),
    ],
)
async def test_a_list_is_counted_only_when_its_total_is_selected(api: Api, selection: str, counted: bool) -> None:
    fragments = "fragment Outer on TaskConnection { ...Inner } fragment Inner on TaskConnection { totalCount }"
    api.on(tasks__page=lambda request, *_: Page(total=12 if request.count else None))

    answer = await api.data(f"{{ tasks {{ {selection} }} }} {fragments if 'Outer' in selection else ''}")

    ((_, (request, *_), _),) = api.script.calls
    assert request.count is counted
    assert (12 in answer["tasks"].values()) is counted


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ("", PageRequest(limit=10)),
        ("(first: null, after: null)", PageRequest(limit=10)),
        ('(first: 100, after: "x")', PageRequest(limit=100, after="x")),
        ('(last: 1, before: "y")', PageRequest(limit=1, backward=True, before="y")),
        ('(after: "")', PageRequest(limit=10, after="")),
    ],
)
async def test_a_pages_arguments_reach_the_store(api: Api, arguments: str, request_: PageRequest) -> None:
    api.on(runs__page=lambda *_: Page())

    await api.data(f"{{ runs{arguments} {{ nodes {{ id }} }} }}")

    assert api.script.calls == [
        ("runs.page", (replace(request_, fields=frozenset({"id"})), RunFilter(), RunOrder()), {})
    ]


@pytest.mark.parametrize(
    "arguments", ["first: 0", "first: -1", "first: 101", "last: 0", "last: 101", "first: 1, last: 1"]
)
@pytest.mark.parametrize("field", ["tasks", "runs", "metrics", "events"])
async def test_a_size_out_of_range_is_bad_user_input(api: Api, field: str, arguments: str) -> None:
    assert await api.code(f"{{ {field}({arguments}) {{ nodes {{ id }} }} }}") == "BAD_USER_INPUT"
    assert api.script.calls == []


async def test_logs_come_in_larger_pages_with_cursors_of_their_own(api: Api) -> None:
    finds(api, runs=(blank(),))
    line = LogLine(number=3, level=LogLevel.WARNING, message="Careful.", timestamp=NOON)
    cursor = log_cursor("run_1", 3)
    api.on(runs__logs=lambda *_: {"run_1": Page(items=[line], cursors=[cursor])})

    shown = await api.data("""{
        run(id: "run_1") {
            logs { edges { cursor node { cursor level message } } }
            debug: logs(first: 1000, minLevel: DEBUG, step: "a") { nodes { cursor } }
            null: logs(minLevel: null, step: null) { nodes { step } }
        }
    }""")

    assert shown["run"]["logs"]["edges"] == [
        {"cursor": cursor, "node": {"cursor": cursor, "level": "WARNING", "message": "Careful."}}
    ]
    asked = [args[1:] for name, args, _ in api.script.calls if name == "runs.logs"]
    assert asked == [
        (PageRequest(limit=200), LogFilter()),
        (PageRequest(limit=1000), LogFilter(min_level=LogLevel.DEBUG, step="a")),
    ]
    assert await api.code('{ run(id: "run_1") { logs(last: 1001) { nodes { step } } } }') == "BAD_USER_INPUT"


async def test_edges_have_the_cursors_of_their_nodes(api: Api) -> None:
    api.on(tasks__page=lambda *_: page_of(TASK, replace(TASK, id="task_2")))

    shown = await api.data("{ tasks { edges { cursor node { id } } pageInfo { startCursor endCursor } } }")

    assert shown["tasks"] == {
        "edges": [{"cursor": f"at task_{n}", "node": {"id": f"task_{n}"}} for n in (1, 2)],
        "pageInfo": {"startCursor": "at task_1", "endCursor": "at task_2"},
    }


# Filters and orders


async def test_filters_and_orders_reach_the_store(api: Api) -> None:
    api.on(tasks__page=lambda *_: Page(), runs__page=lambda *_: Page(), metrics__page=lambda *_: Page())

    await api.data("""{
        tasks(filter: {ids: ["a"], status: [FAILED], labels: [], teams: ["t"], query: "Q"},
              orderBy: {field: NAME, direction: ASC}) { nodes { id } }
        runs(filter: {taskIds: [], status: [RUNNING, PENDING], needsApproval: false},
             orderBy: {field: DURATION}) { nodes { id } }
        metrics(filter: {runIds: ["r"], names: null, types: [TIMER]}) { nodes { id } }
    }""")

    asked = {name: args[1:] for name, args, _ in api.script.calls}
    assert asked == {
        "tasks.page": (
            TaskFilter(ids=("a",), status=(TaskStatus.FAILED,), labels=(), teams=("t",), query="Q"),
            TaskOrder(TaskOrderField.NAME, Direction.ASC),
        ),
        "runs.page": (
            RunFilter(task_ids=(), status=(RunStatus.RUNNING, RunStatus.PENDING), needs_approval=False),
            RunOrder(RunOrderField.DURATION, Direction.DESC),
        ),
        "metrics.page": (MetricFilter(run_ids=("r",), types=(MetricType.TIMER,)),),
    }


@pytest.mark.parametrize("points", [1, 0, -5, 5001])
@pytest.mark.parametrize("subject", ["run", "task"])
async def test_a_series_has_2_to_5000_points(api: Api, subject: str, points: int) -> None:
    finds(api, tasks=(TASK,), runs=(blank(),))

    query = f'{{ {subject}(id: "{subject}_1") {{ metricSeries(name: "rows", maxPoints: {points}) {{ value }} }} }}'

    assert await api.code(query) == "BAD_USER_INPUT"


async def test_summaries_and_series_show_their_rows(api: Api) -> None:
    summary = MetricSummary(name="rows", unit=None, count=2, min=1, max=3, avg=2, last=3, last_at=NOON)
    finds(api, tasks=(TASK,), runs=(blank(),))
    api.on(
        metrics__summaries_of_runs=lambda *_: {"run_1": [summary]},
        metrics__series_of_tasks=lambda *_: {"task_1": [MetricPoint(timestamp=NOON, value=2.5)]},
    )

    shown = await api.data("""{
        run(id: "run_1") { metricSummaries(names: ["rows"]) { name unit count min max avg last lastAt } }
        task(id: "task_1") { metricSeries(name: "rows") { timestamp value } }
    }""")

    assert shown["run"]["metricSummaries"] == [to_json(summary)]
    assert shown["task"]["metricSeries"] == [{"timestamp": "2026-11-23T12:00:00.000000Z", "value": 2.5}]
    asked = {name: args[1:] for name, args, _ in api.script.calls}
    assert asked["metrics.summaries_of_runs"] == (("rows",),)
    assert asked["metrics.series_of_tasks"] == ("rows", 500, None)


# Plans


async def test_a_plan_is_null_before_its_first_version_is_ready(api: Api) -> None:
    finds(api, runs=(blank(),))
    api.on(runs__current_plans=lambda _: {}, runs__plans=lambda _: {})

    shown = await api.data(
        '{ run(id: "run_1") { plan { version } plans { version } planVersion(version: 1) { digest } } }'
    )

    assert shown["run"] == {"plan": None, "plans": [], "planVersion": None}


async def test_a_version_of_a_plan_is_found_by_its_number(api: Api) -> None:
    state: RunState = AWAITING.state
    assert state.plan is not None
    second = replace(state.plan, version=2, steps=(PlanStep(key="z", title="Last", output={"x": 1}),))
    finds(api, runs=(blank(),))
    api.on(runs__plans=lambda _: {"run_1": (state.plan, second)})

    shown = await api.data(
        '{ run(id: "run_1") { second: planVersion(version: 2) { steps { key output } } '
        "none: planVersion(version: 3) { digest } } }"
    )

    assert shown["run"] == {"second": {"steps": [{"key": "z", "output": {"x": 1}}]}, "none": None}


# The server


async def test_the_server_tells_its_teams_and_its_feed(api: Api) -> None:
    shown = await api.data(
        "{ teams { name description configSchema } "
        "feed { instance connections subscribers delivered catchingUp lagMs bell } }"
    )

    assert shown == {
        "teams": [{"name": "rehearsal", "description": "Acts.", "configSchema": {"type": "object"}}],
        "feed": {
            "instance": "test-instance",
            "connections": 7,
            "subscribers": 2,
            "delivered": 3e9,
            "catchingUp": 1,
            "lagMs": 0.5,
            "bell": "DEGRADED",
        },
    }


# What comes along with a page

NAMED: Final = "{ runs { nodes { number task { id name } retryOf { id status } } } }"
RETRIED: Final = layout_of(Run, ("id", "status"), (None, RunStatus), 5)
OF_TASK: Final = layout_of(Task, ("id", "name"), (None, None), 3)


def come_along(api: Api, *rows: tuple[Any, ...]) -> None:
    """Let the store read tasks and retried runs along with a page's: number, keys of both, and what they name."""
    related = (("task_id", OF_TASK), ("retry_of", RETRIED))
    layout = layout_of(Run, ("number", "task_id", "retry_of"), (None, None, None), 0, related)
    api.on(runs__page=lambda *_: Page(items=Rows(layout, rows), cursors=["at"] * len(rows)))


@pytest.mark.parametrize(
    ("selection", "related"),
    [
        ("number task { id name }", {"task_id": {"id", "name"}}),
        ("task { maxRounds __typename } again: task { ...Named }", {"task_id": {"settings", "name"}}),
        ("... { retryOf { status } } task { __typename }", {"retry_of": {"status"}, "task_id": set()}),
        ("task { name latestRun { id } }", {}),
        ("plan { version } taskId", {}),
    ],
)
async def test_plain_fields_of_what_is_looked_up_by_its_id_are_wanted_with_the_page(
    api: Api, selection: str, related: dict[str, set[str]]
) -> None:
    api.on(runs__page=lambda *_: Page())

    fragment = "fragment Named on Task { name }" if "Named" in selection else ""
    await api.data(f"{{ runs {{ edges {{ node {{ {selection} }} }} }} }} {fragment}")

    ((_, (request, *_), _),) = api.script.calls
    assert dict(request.related) == related
    assert request.fields is not None
    assert request.fields >= related.keys()


async def test_what_came_along_with_a_page_is_not_looked_up(api: Api) -> None:
    come_along(
        api,
        (1, "task_1", None, "task_1", "Sales", None, None),
        (2, "task_2", "run_9", "task_2", "Costs", "run_9", "FAILED"),
        (3, "task_1", "run_gone", "task_1", "Sales", None, None),
    )

    shown = await api.data(NAMED)

    sales, costs = {"id": "task_1", "name": "Sales"}, {"id": "task_2", "name": "Costs"}
    assert shown["runs"]["nodes"] == [
        {"number": 1, "task": sales, "retryOf": None},
        {"number": 2, "task": costs, "retryOf": {"id": "run_9", "status": "FAILED"}},
        {"number": 3, "task": sales, "retryOf": None},
    ]
    assert api.script.names == ["runs.page"]


async def test_what_did_not_come_along_but_must_be_there_is_looked_up_where_it_is_missing(api: Api) -> None:
    come_along(api, (1, "task_1", None, None, None, None, None), (2, "task_2", None, "task_2", "Costs", None, None))
    finds(api, tasks=(TASK, replace(TASK, id="task_2", name="Costs")))

    shown = await api.data(NAMED)

    assert [node["task"]["name"] for node in shown["runs"]["nodes"]] == ["Sales", "Costs"]
    assert api.script.names == ["runs.page", "tasks.many"]


async def test_what_neither_came_along_nor_is_found_is_an_error_where_it_must_be_there(api: Api) -> None:
    come_along(api, (1, "task_1", None, None, None, None, None))
    finds(api)

    assert await api.code(NAMED) == "BUSY"


async def test_one_record_comes_with_what_it_names_as_well(api: Api) -> None:
    layout = layout_of(Run, ("number", "task_id", "retry_of"), (None, None, None), 0, (("task_id", OF_TASK),))
    record = layout.record((1, "task_1", None, "task_1", "Sales"))
    api.on(runs__many=lambda *_: {"run_1": record})

    shown = await api.data('{ run(id: "run_1") { number task { id name } } }')

    assert shown["run"] == {"number": 1, "task": {"id": "task_1", "name": "Sales"}}
    wanted = (("task_id", frozenset({"id", "name"})),)
    assert api.script.calls == [("runs.many", (["run_1"], frozenset({"number", "task_id"}), wanted), {})]


async def test_what_one_record_names_is_looked_up_where_it_did_not_come_along(api: Api) -> None:
    layout = layout_of(Run, ("number", "task_id"), (None, None), 0, (("task_id", OF_TASK),))
    record = layout.record((1, "task_1", None, None, None))
    finds(api, tasks=(TASK,))
    api.on(runs__many=lambda *_: {"run_1": record})

    shown = await api.data('{ run(id: "run_1") { number task { id version } again: task { name } } }')

    assert shown["run"] == {"number": 1, "task": {"id": "task_1", "version": 1}, "again": {"name": "Sales"}}


async def test_fields_that_did_not_come_along_are_looked_up(api: Api) -> None:
    come_along(api, (1, "task_1", None, "task_1", "Sales", None, None))
    finds(api, tasks=(TASK,))

    shown = await api.data("{ runs { nodes { task { id version } } } }")

    assert shown["runs"]["nodes"] == [{"task": {"id": "task_1", "version": TASK.version}}]
    assert api.script.names == ["runs.page", "tasks.many"]


async def test_what_depends_on_the_context_is_made_of_the_rows_of_a_page(api: Api) -> None:
    fields = ("status", "deadline", "revisions", "settings")
    layout = layout_of(Run, fields, (RunStatus, None, None, None))
    late, open_ = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
    waiting = [("AWAITING_APPROVAL", deadline, 0, RunSettings()) for deadline in (late, open_)]
    api.on(runs__page=lambda *_: Page(items=Rows(layout, [*waiting, ("FAILED", None, 0, None)])))

    shown = await api.data("{ runs { nodes { allowedActions eventCursor __typename } } }")

    cursor = encode_event_cursor(LOG_ID, 41)
    assert shown["runs"]["nodes"] == [
        {"allowedActions": actions, "eventCursor": cursor, "__typename": "Run"}
        for actions in (["CANCEL"], ["APPROVE", "REJECT", "REQUEST_CHANGES", "CANCEL"], ["RETRY", "DELETE"])
    ]
    ((_, (request, *_), _),) = api.script.calls
    assert request.fields == set(fields)
