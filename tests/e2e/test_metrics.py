"""Samples: recording, changing, summing up and drawing them."""

from typing import Any

import pytest

from tests.e2e.client import Api
from tests.e2e.work import awaiting, ended, new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIST = "query ($f: MetricFilter) { metrics(first: 100, filter: $f) { nodes { id name value } totalCount } }"
SUMMARIES = "metricSummaries { name unit count min max avg last lastAt }"


def at(second: int) -> str:
    return f"2026-03-01T10:00:{second:02}.000000Z"


async def record(api: Api, task: Any, *samples: dict[str, Any], **more: Any) -> list[Any]:
    metrics = [{"name": "rows", "value": 1.0, **sample} for sample in samples]
    recorded: list[Any] = await api.do("createMetrics", {"taskId": task["id"], "metrics": metrics, **more})
    return recorded


async def test_a_sample_keeps_what_it_is_given(api: Api) -> None:
    task = await new_task(api)
    given = {"name": "rows", "type": "COUNTER", "value": 2.5, "unit": "rows", "labels": {"region": "north"}}
    (metric,) = await record(api, task, {**given, "timestamp": "2026-03-01T11:00:00+01:00"})
    assert metric == {**given, "id": metric["id"], "taskId": task["id"], "runId": None, "timestamp": at(0)}
    found = await api.ask(
        "query ($id: ID!) { metric(id: $id) { value } node(id: $id) { id __typename } }", id=metric["id"]
    )
    assert found == {"metric": {"value": 2.5}, "node": {"id": metric["id"], "__typename": "Metric"}}


async def test_a_sample_needs_a_name_and_a_value_alone(api: Api) -> None:
    (metric,) = await record(api, await new_task(api), {"unit": None, "labels": None, "timestamp": None})
    assert (metric["type"], metric["unit"], metric["labels"]) == ("GAUGE", None, {})
    assert metric["timestamp"]


async def test_a_sample_of_an_active_run_is_an_event_of_it(api: Api) -> None:
    run = await awaiting(api)
    (metric,) = await api.do("createMetrics", runId=run["id"], metrics=[{"name": "x", "value": 1}])
    assert (metric["runId"], metric["taskId"]) == (run["id"], run["taskId"])
    await api.do("cancelRun", runId=run["id"])
    select = "type ... on MetricEvent { metrics { id name value } }"
    events = await api.life(run["id"], select=select)
    assert events[-2] == {"type": "METRIC", "metrics": [{"id": metric["id"], "name": "x", "value": 1.0}]}


async def test_samples_after_the_end_are_kept_without_an_event(api: Api) -> None:
    run = await ended(api)
    before = await api.life(run["id"])
    (metric,) = await api.do("createMetrics", runId=run["id"], metrics=[{"name": "late", "value": 1}])
    await api.do("updateMetric", metricId=metric["id"], value=2)
    await api.do("deleteMetric", metricId=metric["id"])
    assert await api.life(run["id"]) == before


@pytest.mark.parametrize(
    ("sample", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"unit": "x" * 51}, "unit"),
        ({"labels": [1]}, "labels"),
        ({"labels": {"x": 1}}, "labels"),
        ({"labels": {str(number): "" for number in range(21)}}, "labels"),
    ],
)
async def test_a_field_out_of_range_is_refused_by_its_place(api: Api, sample: Any, field: str) -> None:
    task = await new_task(api)
    metrics = [{"name": "fine", "value": 1}, {"name": "rows", "value": 1, **sample}]
    path = await api.invalid("createMetrics", taskId=task["id"], metrics=metrics)
    assert path == ["input", "metrics", "1", field]
    assert (await api.ask(LIST, f={"taskIds": [task["id"]]}))["metrics"]["totalCount"] == 0, "all or nothing"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_call_takes_1_to_1000_samples(api: Api, count: int) -> None:
    task = await new_task(api)
    metrics = [{"name": "x", "value": 1}] * count
    assert await api.invalid("createMetrics", taskId=task["id"], metrics=metrics) == ["input", "metrics"]


async def test_a_thousand_samples_of_an_active_run_are_ten_events(api: Api) -> None:
    run = await awaiting(api)
    metrics = [{"name": "x", "value": number} for number in range(1000)]
    assert len(await api.do("createMetrics", runId=run["id"], metrics=metrics)) == 1000
    await api.do("cancelRun", runId=run["id"])
    events = await api.life(run["id"], types=["METRIC"])
    assert [len(event["data"]["metrics"]) for event in events] == [100] * 10


async def test_a_sample_belongs_to_a_task_or_a_run_of_it(api: Api) -> None:
    task, run = await new_task(api), await ended(api)
    metrics = [{"name": "x", "value": 1}]
    assert await api.invalid("createMetrics", metrics=metrics) == ["input", "taskId"]
    assert await api.invalid("createMetrics", taskId=task["id"], runId=run["id"], metrics=metrics) == ["input", "runId"]
    for field in ("taskId", "runId"):
        error = await api.refusal("createMetrics", {field: "nothing", "metrics": metrics})
        assert (error["code"], error["id"], error["path"]) == ("NOT_FOUND", "nothing", ["input", field])


async def test_a_sample_can_be_corrected_and_removed(api: Api) -> None:
    task = await new_task(api)
    (metric,) = await record(api, task, {"unit": "rows"})
    (changed,) = await api.do("updateMetric", metricId=metric["id"], value=9, unit="lines", labels={"by": "hand"})
    assert changed == {**metric, "value": 9.0, "unit": "lines", "labels": {"by": "hand"}}
    assert await api.do("updateMetric", metricId=metric["id"]) == [changed]
    assert await api.do("deleteMetric", metricId=metric["id"]) == metric["id"]
    assert (await api.ask(LIST, f={"taskIds": [task["id"]]}))["metrics"]["totalCount"] == 0


@pytest.mark.parametrize("field", ["value", "unit", "labels"])
async def test_null_is_refused_in_an_update(api: Api, field: str) -> None:
    (metric,) = await record(api, await new_task(api), {})
    assert await api.invalid("updateMetric", {"metricId": metric["id"], field: None}) == ["input", field]


@pytest.mark.parametrize("name", ["updateMetric", "deleteMetric"])
async def test_an_unknown_sample_is_not_found(api: Api, name: str) -> None:
    task = await new_task(api)
    for unknown in ("nothing", "metric_00000000000000000000000000", task["id"]):
        error = await api.refusal(name, {"metricId": unknown})
        assert (error["code"], error["id"]) == ("NOT_FOUND", unknown)
        assert error["path"] == (["input", "metricId"] if name == "updateMetric" else ["metricId"])


async def test_samples_are_filtered_by_everything_together(api: Api) -> None:
    task, run = await new_task(api), await ended(api, config={"metricsPerStep": 0})
    await record(
        api,
        task,
        {"name": "a", "timestamp": at(1), "type": "TIMER"},
        {"name": "b", "timestamp": at(2)},
        {"name": "a", "timestamp": at(3)},
    )
    await api.do("createMetrics", runId=run["id"], metrics=[{"name": "a", "value": 1}])

    async def names(**which: Any) -> list[str]:
        found = (await api.ask(LIST, f=which))["metrics"]
        assert found["totalCount"] == len(found["nodes"])
        return sorted(node["name"] for node in found["nodes"])

    ours = {"taskIds": [task["id"]]}
    assert await names(**ours) == ["a", "a", "b"]
    assert await names(**ours, names=["a"]) == ["a", "a"]
    assert await names(**ours, types=["TIMER"]) == ["a"]
    assert await names(**ours, range={"from": at(1), "to": at(3)}) == ["a", "b"], "half-open"
    assert await names(runIds=[run["id"]]) == ["a"]
    assert await names(**ours, runIds=[run["id"]]) == []
    for field in ("taskIds", "runIds", "names", "types"):
        assert await names(**{**ours, field: []}) == []


async def test_a_summary_tells_least_most_mean_and_last(api: Api) -> None:
    task = await new_task(api)
    await record(
        api,
        task,
        {"value": 4, "timestamp": at(9), "unit": "rows"},
        {"value": 1, "timestamp": at(1), "unit": "rows"},
        {"value": 7, "timestamp": at(5), "unit": "rows"},
        {"name": "other", "value": -1, "timestamp": at(3)},
    )
    other, rows = (await api.task(task["id"], SUMMARIES))["metricSummaries"]
    assert rows == {
        "name": "rows",
        "unit": "rows",
        "count": 3,
        "min": 1,
        "max": 7,
        "avg": 4,
        "last": 4,
        "lastAt": at(9),
    }
    assert (other["name"], other["count"], other["last"]) == ("other", 1, -1)
    since = await api.task(task["id"], f'metricSummaries(since: "{at(5)}") {{ name count min }}')
    assert since["metricSummaries"] == [{"name": "rows", "count": 2, "min": 4}]
    named = await api.task(
        task["id"], 'metricSummaries(names: ["other"]) { name } none: metricSummaries(names: []) { name }'
    )
    assert named == {"metricSummaries": [{"name": "other"}], "none": []}


async def test_a_task_sums_up_all_its_runs_and_a_run_itself(api: Api) -> None:
    task = await new_task(api)
    first, _ = await ended(api, task), await ended(api, task)
    (over_all,) = (await api.task(task["id"], SUMMARIES))["metricSummaries"]
    (of_one,) = (await api.run(first["id"], SUMMARIES))["metricSummaries"]
    assert (over_all["name"], over_all["count"], of_one["count"]) == ("rehearsal_1", 4, 2)
    assert (of_one["min"], of_one["max"], of_one["unit"]) == (1, 2, "points")


async def test_a_series_is_averaged_in_buckets_that_begin_at_their_time(api: Api) -> None:
    task = await new_task(api)
    await record(api, task, *({"value": second, "timestamp": at(second)} for second in range(10)))
    query = """metricSeries(name: "rows", maxPoints: %d, range: {from: "%s", to: "%s"}) { timestamp value }"""
    shown = await api.task(task["id"], query % (2, at(0), at(10)))
    assert shown["metricSeries"] == [{"timestamp": at(0), "value": 2}, {"timestamp": at(5), "value": 7}]
    shown = await api.task(task["id"], 'metricSeries(name: "rows") { value } none: metricSeries(name: "no") { value }')
    assert [point["value"] for point in shown["metricSeries"]] == list(range(10))
    assert shown["none"] == []


@pytest.mark.parametrize("points", [1, 0, -1, 5001])
async def test_a_series_has_2_to_5000_points(api: Api, points: int) -> None:
    task = await new_task(api)
    query = 'query ($id: ID!, $n: Int) { task(id: $id) { metricSeries(name: "x", maxPoints: $n) { value } } }'
    error = await api.error(query, id=task["id"], n=points)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "maxPoints" in error["message"]
