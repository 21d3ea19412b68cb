"""Samples: kept, listed, and what many of them come to."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ids import Kind
from domain.model import ANONYMOUS, ENGINE, Metric, MetricPoint, MetricSummary, MetricType, Run, Task
from domain.paging import PageRequest, TimeRange
from domain.store import MetricFilter
from tests.contract.world import NOON, SECOND, World, ids, metric
from tests.unit.strategies import record

MICROSECOND = timedelta(microseconds=1)
SAMPLES = st.lists(
    st.tuples(st.integers(0, 20), st.floats(-1e6, 1e6), st.sampled_from(["", "s", None])), min_size=1, max_size=12
)


@pytest.fixture
async def of(world: World) -> Task:
    return await world.add_task()


@pytest.fixture
async def run(world: World, of: Task) -> Run:
    return (await world.add_run(of)).run


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(written=record(Metric), changed=record(Metric))
async def test_a_sample_is_read_as_it_was_written_and_replaced_whole(
    world: World, of: Task, run: Run, written: Metric, changed: Metric
) -> None:
    run_id = None if written.run_id is None else run.id
    id_ = ids.new(Kind.METRIC)
    written = replace(written, id=id_, tenant=of.tenant, task_id=of.id, run_id=run_id)
    changed = replace(changed, id=id_, tenant=of.tenant, task_id=of.id, run_id=run_id)
    await world.keep(written)
    async with world.store.write(ANONYMOUS) as tx:
        assert await tx.metrics.get(written.id) == written
        await tx.metrics.save(changed)
        assert await tx.metrics.get(written.id) == changed

    async with world.store.read(ANONYMOUS) as view:
        assert await view.metrics.many([written.id, "metric_unknown"]) == {written.id: changed}


async def test_a_sample_that_was_deleted_is_gone_and_no_other(world: World, of: Task) -> None:
    gone, kept = metric(of), metric(of)
    await world.keep(gone, kept)
    async with world.store.write(ANONYMOUS) as tx:
        await tx.metrics.delete(gone.id)
        assert await tx.metrics.get(gone.id) is None
        await tx.metrics.add([])
    async with world.store.read(ANONYMOUS) as view:
        assert await view.metrics.many([gone.id, kept.id]) == {kept.id: kept}
        assert await view.metrics.many([]) == {}


@pytest.mark.parametrize(
    ("conditions", "values"),
    [
        ({}, {1, 2, 3, 4}),
        ({"names": ["rows"]}, {1, 2, 3}),
        ({"names": ["rows", "seconds"]}, {1, 2, 3, 4}),
        ({"names": []}, set()),
        ({"types": [MetricType.TIMER]}, {4}),
        ({"types": []}, set()),
        ({"run_ids": []}, set()),
        ({"task_ids": ["task_unknown"]}, set()),
        ({"range": TimeRange(NOON + SECOND, NOON + 2 * SECOND)}, {2}),
        ({"range": TimeRange(None, NOON + SECOND)}, {1, 4}),
        ({"range": TimeRange(NOON, NOON + SECOND), "types": [MetricType.GAUGE]}, {1}),
    ],
)
async def test_all_conditions_hold_together_and_a_list_means_any_of_it(
    world: World, of: Task, run: Run, conditions: dict[str, Any], values: set[float]
) -> None:
    await world.keep(
        metric(of, 1),
        metric(run, 2, timestamp=NOON + SECOND),
        metric(run, 3, timestamp=NOON + 2 * SECOND),
        metric(run, 4, name="seconds", type=MetricType.TIMER),
    )
    async with world.store.read(ANONYMOUS) as view:
        page = await view.metrics.page(PageRequest(count=True), MetricFilter(**conditions))
        of_run = (await view.metrics.pages_of_runs([run.id], PageRequest(), MetricFilter(**conditions)))[run.id]
    assert {item.value for item in page.items} == values
    assert page.total == len(values)
    assert {item.value for item in of_run.items} == values - {1}


async def test_samples_are_found_by_their_task_and_run(world: World, of: Task, run: Run) -> None:
    await world.keep(metric(of, 1), metric(run, 2), metric(await world.add_task(), 3))

    async def found(**conditions: Any) -> set[float]:
        async with world.store.read(ANONYMOUS) as view:
            return {item.value for item in (await view.metrics.page(PageRequest(), MetricFilter(**conditions))).items}

    assert await found(task_ids=[of.id]) == {1, 2}
    assert await found(run_ids=[run.id]) == {2}
    assert await found(run_ids=[run.id], task_ids=["task_unknown"]) == set()


# Summaries


async def _of_run(world: World, run: Run, names: Sequence[str] | None = None) -> Sequence[MetricSummary]:
    async with world.store.read(ANONYMOUS) as view:
        return (await view.metrics.summaries_of_runs([run.id], names))[run.id]


async def _of_task(
    world: World, of: Task, names: Sequence[str] | None = None, since: datetime | None = None
) -> Sequence[MetricSummary]:
    async with world.store.read(ANONYMOUS) as view:
        return (await view.metrics.summaries_of_tasks([of.id], names, since))[of.id]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(samples=SAMPLES)
async def test_a_summary_is_what_its_samples_come_to(
    world: World, samples: list[tuple[int, float, str | None]]
) -> None:
    run = (await world.add_run(await world.add_task())).run
    made = [metric(run, value, timestamp=NOON + at * SECOND, unit=unit) for at, value, unit in samples]
    await world.keep(*made)

    (found,) = await _of_run(world, run)

    last = max(made, key=lambda sample: (sample.timestamp, sample.id))
    values = [sample.value for sample in made]
    assert replace(found, avg=0) == MetricSummary(
        name="rows",
        unit=last.unit,
        count=len(values),
        min=min(values),
        max=max(values),
        avg=0,
        last=last.value,
        last_at=last.timestamp,
    )
    assert found.avg == pytest.approx(fmean(values), rel=1e-9, abs=1e-6)


async def test_there_is_a_summary_for_each_name_in_their_order(world: World, of: Task, run: Run) -> None:
    await world.keep(metric(of, 9, name="b"), *(metric(run, name=name) for name in ("b", "a", "B", "c")))
    assert [found.name for found in await _of_run(world, run)] == ["B", "a", "b", "c"]
    assert [found.name for found in await _of_run(world, run, ["c", "a", "unknown"])] == ["a", "c"]
    assert await _of_run(world, run, []) == []


async def test_a_task_is_summed_up_over_its_own_samples_and_those_of_all_its_runs(
    world: World, of: Task, run: Run
) -> None:
    other = (await world.add_run(of, 2)).run
    await world.keep(metric(of, 1), metric(run, 2, timestamp=NOON + SECOND), metric(other, 6))
    (found,) = await _of_task(world, of)
    assert (found.count, found.min, found.max, found.avg, found.last) == (3, 1, 6, 3, 2)
    (later,) = await _of_task(world, of, ["rows"], NOON + SECOND)
    assert (later.count, later.avg) == (1, 2)
    assert await _of_task(world, of, None, NOON + 2 * SECOND) == []


async def test_who_has_no_samples_has_no_summaries_and_no_points(world: World, of: Task, run: Run) -> None:
    async with world.store.read(ANONYMOUS) as view:
        assert await view.metrics.summaries_of_runs([run.id, "run_unknown"], None) == {run.id: [], "run_unknown": []}
        assert await view.metrics.summaries_of_tasks([of.id], None, None) == {of.id: []}
        assert await view.metrics.series_of_runs([run.id], "rows", 10, None) == {run.id: []}
        assert await view.metrics.series_of_tasks([], "rows", 10, None) == {}


@pytest.mark.parametrize("sign", [1, -1])
async def test_the_average_of_the_greatest_numbers_is_a_number(world: World, run: Run, sign: int) -> None:
    greatest = sign * sys.float_info.max
    await world.keep(*(metric(run, greatest) for _ in range(3)))
    (found,) = await _of_run(world, run)
    assert found.avg == greatest
    (point,) = await _series(world, run, 2)
    assert point.value == greatest


async def test_the_average_of_opposites_is_in_the_middle(world: World, run: Run) -> None:
    await world.keep(*(metric(run, sign * sys.float_info.max) for sign in (1, 1, -1, -1)))
    (found,) = await _of_run(world, run)
    assert found.avg == 0


# Series


async def _series(
    world: World, of: Run | Task, max_points: int, range_: TimeRange | None = None
) -> Sequence[MetricPoint]:
    async with world.store.read(ANONYMOUS) as view:
        if isinstance(of, Run):
            return (await view.metrics.series_of_runs([of.id], "rows", max_points, range_))[of.id]
        return (await view.metrics.series_of_tasks([of.id], "rows", max_points, range_))[of.id]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    samples=SAMPLES,
    max_points=st.integers(2, 6),
    sides=st.tuples(st.none() | st.integers(-3, 12), st.none() | st.integers(8, 25)),
    unit=st.sampled_from([MICROSECOND, SECOND]),
)
async def test_a_series_has_equal_buckets_over_the_range_with_the_averages_of_their_samples(
    world: World,
    samples: list[tuple[int, float, str | None]],
    max_points: int,
    sides: tuple[int | None, int | None],
    unit: timedelta,
) -> None:
    run = (await world.add_run(await world.add_task())).run
    made = [metric(run, value, timestamp=NOON + at * unit) for at, value, _ in samples]
    await world.keep(*made, metric(run, 1e9, name="other"))
    range_ = TimeRange(*(None if side is None else NOON + side * unit for side in sides))

    points = await _series(world, run, max_points, range_)

    inside = [
        sample
        for sample in made
        if (range_.start is None or sample.timestamp >= range_.start)
        and (range_.end is None or sample.timestamp < range_.end)
    ]
    if not inside:
        assert points == []
        return
    first = range_.start or min(sample.timestamp for sample in inside)
    last = range_.end or max(sample.timestamp for sample in inside) + MICROSECOND
    width = math.ceil((last - first) / MICROSECOND / max_points) * MICROSECOND
    assert 1 <= len(points) <= max_points
    assert all(point.timestamp >= first and (point.timestamp - first) % width == timedelta() for point in points)
    assert all(earlier.timestamp < later.timestamp for earlier, later in pairwise(points))
    buckets = [
        [s.value for s in inside if point.timestamp <= s.timestamp < point.timestamp + width] for point in points
    ]
    assert sum(map(len, buckets)) == len(inside)
    assert [point.value for point in points] == [pytest.approx(fmean(b), rel=1e-9, abs=1e-6) for b in buckets]


async def test_a_single_sample_is_a_single_point_at_its_time(world: World, run: Run) -> None:
    await world.keep(metric(run, 7))
    assert await _series(world, run, 2) == [MetricPoint(timestamp=NOON, value=7)]
    assert await _series(world, run, 5000) == [MetricPoint(timestamp=NOON, value=7)]


async def test_a_sample_on_an_edge_belongs_to_the_bucket_that_begins_there(world: World, run: Run) -> None:
    await world.keep(*(metric(run, at, timestamp=NOON + at * SECOND) for at in range(4)))
    assert await _series(world, run, 2, TimeRange(NOON, NOON + 4 * SECOND)) == [
        MetricPoint(timestamp=NOON, value=0.5),
        MetricPoint(timestamp=NOON + 2 * SECOND, value=2.5),
    ]


async def test_buckets_begin_where_the_range_does_though_no_sample_is_there(world: World, run: Run) -> None:
    await world.keep(metric(run, 1, timestamp=NOON + 5 * SECOND))
    range_ = TimeRange(NOON, NOON + 8 * SECOND)
    assert await _series(world, run, 4, range_) == [MetricPoint(timestamp=NOON + 4 * SECOND, value=1)]


@pytest.mark.parametrize(("start", "end"), [(1, 1), (5, 2), (9, None), (None, -1)])
async def test_a_range_without_samples_has_no_points(
    world: World, run: Run, start: int | None, end: int | None
) -> None:
    await world.keep(metric(run, timestamp=NOON + SECOND))
    range_ = TimeRange(*(None if side is None else NOON + side * SECOND for side in (start, end)))
    assert await _series(world, run, 2, range_) == []


async def test_each_parents_buckets_are_its_own_and_a_tasks_are_over_all_its_runs(
    world: World, of: Task, run: Run
) -> None:
    other = (await world.add_run(of, 2)).run
    late = NOON + 100 * SECOND
    await world.keep(metric(run, 1), metric(other, 3, timestamp=late), metric(of, 5, timestamp=late))
    async with world.store.read(ENGINE) as view:
        of_runs = await view.metrics.series_of_runs([run.id, other.id], "rows", 2, None)
    assert of_runs == {
        run.id: [MetricPoint(timestamp=NOON, value=1)],
        other.id: [MetricPoint(timestamp=late, value=3)],
    }
    assert [point.value for point in await _series(world, of, 2)] == [1, 4]


async def test_a_range_as_wide_as_time_has_its_points(world: World, run: Run) -> None:
    await world.keep(metric(run, 3))
    ages = TimeRange(datetime.min.replace(tzinfo=NOON.tzinfo), datetime.max.replace(tzinfo=NOON.tzinfo))
    (point,) = await _series(world, run, 5000, ages)
    assert (point.value, point.timestamp <= NOON) == (3, True)
