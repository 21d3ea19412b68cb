"""Mutations: what use cases are given, and that answers show what was done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.model import ANONYMOUS, ApprovalTimeoutPolicy, ConcurrencyPolicy, MetricType, Task
from domain.paging import encode_event_cursor
from domain.services.inputs import UNSET, MetricChanges, NewMetric, NewMetrics, NewRun, NewTask, TaskChanges
from tests.schema.examples import TASK
from tests.schema.support import LOG_ID, Api
from tests.unit.lives import METRIC, blank

RUN = blank()


def given(api: Api) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the only call of a use case was given, after the principal."""
    ((_, (principal, *args), kwargs),) = api.script.calls
    assert principal is ANONYMOUS
    return tuple(args), kwargs


@pytest.mark.parametrize(
    ("input_", "expected"),
    [
        ('name: "Sales"', NewTask(name="Sales")),
        (
            'name: "Sales", approvalTimeout: null, config: null, team: null',
            NewTask(name="Sales", approval_timeout=None),
        ),
        (
            """name: "Sales", description: "Do it", team: "t", config: {a: 1}, labels: ["x"], maxRounds: 1,
            maxRevisionRounds: 3, memorySize: 4, approvalTimeout: 5, onApprovalTimeout: APPROVE, concurrency: QUEUE,
            idempotencyKey: "k" """,
            NewTask(
                name="Sales",
                description="Do it",
                team="t",
                config={"a": 1},
                labels=["x"],
                max_rounds=1,
                max_revision_rounds=3,
                memory_size=4,
                approval_timeout=5,
                on_approval_timeout=ApprovalTimeoutPolicy.APPROVE,
                concurrency=ConcurrencyPolicy.QUEUE,
                idempotency_key="k",
            ),
        ),
    ],
)
async def test_a_new_task_has_what_the_client_gave_and_else_the_defaults(
    api: Api, input_: str, expected: NewTask
) -> None:
    api.on(task_service__create=lambda *_: TASK)

    payload = await api.data(
        f"mutation {{ createTask(input: {{{input_}}}) {{ task {{ id }} userErrors {{ code }} }} }}"
    )

    ((new,), _) = given(api)
    assert replace(new, labels=list(new.labels)) == replace(expected, labels=list(expected.labels))
    assert payload == {"createTask": {"task": {"id": "task_1"}, "userErrors": []}}


@pytest.mark.parametrize(
    ("input_", "expected"),
    [
        ("", TaskChanges(task_id="t")),
        ("approvalTimeout: null", TaskChanges(task_id="t", approval_timeout=None)),
        ("name: null, labels: []", TaskChanges(task_id="t", name=None, labels=[])),
        ("maxRounds: 3, expectedVersion: 2", TaskChanges(task_id="t", max_rounds=3, expected_version=2)),
    ],
)
async def test_an_update_tells_null_from_left_out(api: Api, input_: str, expected: TaskChanges) -> None:
    api.on(task_service__update=lambda *_: TASK)

    await api.data(f'mutation {{ updateTask(input: {{taskId: "t", {input_}}}) {{ task {{ version }} }} }}')

    assert given(api) == ((expected,), {})


@pytest.mark.parametrize(("labels", "expected"), [("", UNSET), ("labels: null", None), ('labels: ["a"]', ["a"])])
async def test_labels_of_a_run_that_are_left_out_are_unchanged(api: Api, labels: str, expected: object) -> None:
    api.on(run_service__set_labels=lambda *_: RUN)

    await api.data(f'mutation {{ updateRun(input: {{runId: "r", {labels}}}) {{ run {{ labels }} }} }}')

    assert given(api) == (("r", expected), {})


@pytest.mark.parametrize(
    ("mutation", "service", "args", "kwargs"),
    [
        (
            'createRun(input: {taskId: "t", config: {a: [1]}, autoApprove: true, priority: -3}) { run { id } }',
            "run_service__create",
            (NewRun(task_id="t", config={"a": [1]}, labels=[], auto_approve=True, priority=-3),),
            {},
        ),
        (
            'approveRun(input: {runId: "r"}) { run { id } }',
            "run_service__review",
            ("r",),
            {"approved": True, "feedback": None, "plan_version": None, "idempotency_key": None},
        ),
        (
            """approveRun(input: {
                runId: "r", approved: false, feedback: "No", planVersion: 2, idempotencyKey: "k"
            }) { run { id } }""",
            "run_service__review",
            ("r",),
            {"approved": False, "feedback": "No", "plan_version": 2, "idempotency_key": "k"},
        ),
        (
            'requestPlanChanges(input: {runId: "r", feedback: "More", planVersion: 1}) { run { id } }',
            "run_service__request_changes",
            ("r",),
            {"feedback": "More", "plan_version": 1, "idempotency_key": None},
        ),
        (
            'cancelRun(input: {runId: "r", reason: "Why"}) { run { id } }',
            "run_service__cancel",
            ("r",),
            {"reason": "Why"},
        ),
        ('cancelRun(input: {runId: "r"}) { run { id } }', "run_service__cancel", ("r",), {"reason": None}),
        (
            'retryRun(input: {runId: "r", fromStep: "a"}) { run { id } }',
            "run_service__retry",
            ("r",),
            {"from_step": "a", "idempotency_key": None},
        ),
    ],
)
async def test_what_is_done_to_runs(
    api: Api, mutation: str, service: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    api.on(**{service: lambda *_, **__: RUN})

    (payload,) = (await api.data(f"mutation {{ {mutation} }}")).values()

    assert given(api) == (args, kwargs)
    assert payload == {"run": {"id": "run_1"}}


@pytest.mark.parametrize(
    ("mutation", "service", "args", "kwargs"),
    [
        ('deleteTask(taskId: "x")', "task_service__delete", ("x",), {"force": False}),
        ('deleteTask(taskId: "x", force: true)', "task_service__delete", ("x",), {"force": True}),
        ('deleteRun(runId: "x")', "run_service__delete", ("x",), {}),
        ('deleteMetric(metricId: "x")', "metric_service__delete", ("x",), {}),
    ],
)
async def test_what_is_deleted(
    api: Api, mutation: str, service: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    api.on(**{service: lambda *_, **__: "x"})

    (payload,) = (await api.data(f"mutation {{ {mutation} {{ deletedId userErrors {{ code }} }} }}")).values()

    assert given(api) == (args, kwargs)
    assert payload == {"deletedId": "x", "userErrors": []}


async def test_samples_are_recorded_in_the_order_given(api: Api) -> None:
    api.on(metric_service__create=lambda *_: [METRIC, replace(METRIC, id="metric_2")])

    payload = await api.data("""mutation { createMetrics(input: {taskId: "t", metrics: [
        {name: "rows", value: 3}
        {name: "took", value: 1.5, type: TIMER, unit: "s", labels: {a: "b"}, timestamp: "2026-11-23T13:00:00+01:00"}
    ]}) { metrics { id } } }""")

    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    took = NewMetric(name="took", value=1.5, type=MetricType.TIMER, unit="s", labels={"a": "b"}, timestamp=noon)
    assert given(api) == ((NewMetrics(task_id="t", metrics=[NewMetric(name="rows", value=3.0), took]),), {})
    assert payload["createMetrics"]["metrics"] == [{"id": "metric_1"}, {"id": "metric_2"}]


async def test_a_sample_is_changed(api: Api) -> None:
    api.on(metric_service__update=lambda *_: METRIC)

    mutation = 'mutation { updateMetric(input: {metricId: "m", value: 2, unit: null}) { metrics { id } } }'

    payload = await api.data(mutation)

    assert given(api) == ((MetricChanges(metric_id="m", value=2.0, unit=None),), {})
    assert payload["updateMetric"]["metrics"] == [{"id": "metric_1"}]


async def test_mutations_of_one_document_see_their_own_effects(api: Api) -> None:
    tasks = {"task_1": TASK}

    def update(_: object, changes: TaskChanges) -> Task:
        assert isinstance(changes.name, str)
        tasks["task_1"] = replace(tasks["task_1"], name=changes.name)
        return tasks["task_1"]

    def cancel(*_: object, **__: object) -> object:
        api.feed.position += 1
        return RUN

    api.on(task_service__update=update, run_service__cancel=cancel, tasks__many=lambda *_: dict(tasks))

    shown = await api.data("""mutation {
        before: cancelRun(input: {runId: "run_1"}) { run { eventCursor task { name } } }
        updateTask(input: {taskId: "task_1", name: "Renamed"}) { task { name } }
        after: cancelRun(input: {runId: "run_1"}) { run { eventCursor task { name } } }
    }""")

    assert shown == {
        "before": {"run": {"eventCursor": encode_event_cursor(LOG_ID, 42), "task": {"name": "Sales"}}},
        "updateTask": {"task": {"name": "Renamed"}},
        "after": {"run": {"eventCursor": encode_event_cursor(LOG_ID, 43), "task": {"name": "Renamed"}}},
    }
