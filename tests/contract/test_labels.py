"""Lists by labels: exactly the rows that have one, whatever else is asked for, and however they are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.fold import RunState
from domain.model import Principal, Run, RunStatus, Task, TaskStatus
from domain.paging import Direction, Page, PageRequest, RunOrder, RunOrderField, TaskOrder, TaskOrderField, TimeRange
from domain.store import RunFilter, TaskFilter
from storage import labels
from tests.contract.world import NOON, World, run, task

pytestmark = pytest.mark.asyncio(loop_scope="module")
many = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

_tenants: Final = count(1)
_STATUSES: Final = (RunStatus.AWAITING_APPROVAL, RunStatus.RUNNING, RunStatus.FAILED)
_NAMES: Final = st.lists(st.sampled_from("abc"), max_size=3).map(tuple)
_WANTED: Final = st.lists(st.sampled_from("abcd"), max_size=3)
_TIMES: Final = st.integers(0, 5).map(lambda number: NOON + timedelta(microseconds=number))
_RANGES: Final = st.none() | st.builds(TimeRange, st.none() | _TIMES, st.none() | _TIMES)
_FEW: Final = st.sampled_from([1, 3, labels.FEW])
"""How many rows are few: where there are more, the lists are read in another way."""


@dataclass(frozen=True)
class Part:
    """A part of a list: what it comes after and ends before, as places from 0 on, and how much of it is wanted."""

    after: int | None
    before: int | None
    limit: int
    backward: bool

    def request(self, cursors: Sequence[str]) -> PageRequest:
        after, before = (None if at is None or at >= len(cursors) else cursors[at] for at in (self.after, self.before))
        return PageRequest(limit=self.limit, after=after, before=before, backward=self.backward, count=True)

    def check(self, page: Page[Any], expected: Sequence[Any], cursors: Sequence[str]) -> None:
        """See that a page is the part of a list that is given with its cursors."""
        places = range(len(expected))
        start = self.after + 1 if self.after in places and self.after is not None else 0
        end = self.before if self.before in places and self.before is not None else len(expected)
        if self.backward:
            start = max(start, end - self.limit)
        else:
            end = min(end, start + self.limit)
        assert page.items == expected[start:end]
        assert list(page.cursors) == list(cursors[start:end])
        assert page.total == len(expected)
        if page.items:
            assert (page.has_previous, page.has_next) == (start > 0, end < len(expected))


_PARTS: Final = st.builds(
    Part, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9), st.integers(1, 4), st.booleans()
)


@dataclass(frozen=True)
class WantedRuns:
    """What is asked for of runs; `of` says by their places which of two tasks."""

    labels: Sequence[str]
    of: Sequence[int] | None
    status: Sequence[RunStatus] | None
    created_at: TimeRange | None
    needs_approval: bool | None
    order: RunOrder

    def filter_of(self, of: Sequence[Task]) -> RunFilter:
        return RunFilter(
            task_ids=None if self.of is None else [of[place].id for place in self.of],
            status=self.status,
            labels=self.labels,
            created_at=self.created_at,
            needs_approval=self.needs_approval,
        )

    def among(self, of: Sequence[Task], made: Sequence[Run]) -> list[Run]:
        found = [
            it
            for it in made
            if {*self.labels} & {*it.labels}
            and (self.of is None or it.task_id in [of[place].id for place in self.of])
            and (self.status is None or it.status in self.status)
            and _is_in(self.created_at, it.created_at)
            and self.needs_approval in {None, it.status is RunStatus.AWAITING_APPROVAL}
        ]
        return sorted(found, key=lambda it: (it.created_at, it.id), reverse=self.order.direction is Direction.DESC)


@dataclass(frozen=True)
class WantedTasks:
    """What is asked for of tasks; `ids` are places."""

    labels: Sequence[str]
    ids: Sequence[int] | None
    status: Sequence[TaskStatus] | None
    created_at: TimeRange | None
    query: str | None
    order: TaskOrder

    def filter_of(self, made: Sequence[Task]) -> TaskFilter:
        ids = None if self.ids is None else [made[place].id for place in self.ids if place < len(made)]
        return TaskFilter(ids=ids, status=self.status, labels=self.labels, created_at=self.created_at, query=self.query)

    def among(self, made: Sequence[Task]) -> list[Task]:
        column = self.order.field.value.lower()
        found = [
            it
            for place, it in enumerate(made)
            if {*self.labels} & {*it.labels}
            and (self.ids is None or place in self.ids)
            and (self.status is None or it.status in self.status)
            and _is_in(self.created_at, it.created_at)
            and (self.query or "") in it.name
        ]
        reverse = self.order.direction is Direction.DESC
        return sorted(found, key=lambda it: (getattr(it, column), it.id), reverse=reverse)


def _is_in(range_: TimeRange | None, time: datetime) -> bool:
    return range_ is None or (
        (range_.start is None or range_.start <= time) and (range_.end is None or time < range_.end)
    )


async def _keep(world: World, someone: Principal, tasks: Sequence[Task], runs: Sequence[Run] = ()) -> None:
    """Keep rows, and the like of another tenant's."""
    stranger = task(tenant=f"{someone.tenant}-other", labels=("a", "b", "c"))
    async with world.store.write(someone) as tx:
        for of in (*tasks, stranger):
            await tx.tasks.insert(of)
        for made in (*runs, run(stranger, labels=("a", "b", "c"))):
            await tx.runs.insert(RunState(run=made))


@many
@given(
    given_runs=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(_STATUSES), _NAMES, _TIMES), max_size=12),
    wanted=st.builds(
        WantedRuns,
        labels=_WANTED,
        of=st.none() | st.lists(st.integers(0, 1), max_size=2),
        status=st.none() | st.lists(st.sampled_from(_STATUSES), max_size=2),
        created_at=_RANGES,
        needs_approval=st.none() | st.booleans(),
        order=st.builds(
            RunOrder, st.sampled_from([RunOrderField.CREATED_AT, RunOrderField.STARTED_AT]), st.sampled_from(Direction)
        ),
    ),
    part=_PARTS,
    few=_FEW,
)
async def test_runs_are_those_that_a_look_at_each_finds(
    shared_world: World, given_runs: Any, wanted: WantedRuns, part: Part, few: int
) -> None:
    someone = Principal(tenant=f"labels-{next(_tenants)}")
    of = [task(tenant=someone.tenant) for _ in range(2)]
    made = [
        run(of[place], number, status=status, labels=names, created_at=time, started_at=time)
        for number, (place, status, names, time) in enumerate(given_runs, 1)
    ]
    await _keep(shared_world, someone, of, made)
    expected, filter_ = wanted.among(of, made), wanted.filter_of(of)
    below = {each.id: [it for it in expected if it.task_id == each.id] for each in of}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "FEW", few)
        async with shared_world.store.read(someone) as view:
            whole = await view.runs.page(PageRequest(), filter_, wanted.order)
            page = await view.runs.page(part.request(whole.cursors), filter_, wanted.order)
            backward = await view.runs.page(PageRequest(backward=True), filter_, wanted.order)
            pages = await view.runs.pages_of_tasks(below, PageRequest(count=True), filter_, wanted.order)

    assert whole.items == backward.items == expected
    part.check(page, expected, whole.cursors)
    assert {id_: list(each.items) for id_, each in pages.items()} == below
    assert {id_: each.total for id_, each in pages.items()} == {id_: len(rows) for id_, rows in below.items()}


@many
@given(
    given_tasks=st.lists(st.tuples(st.sampled_from(TaskStatus), _NAMES, _TIMES, st.sampled_from("xy")), max_size=12),
    wanted=st.builds(
        WantedTasks,
        labels=_WANTED,
        ids=st.none() | st.lists(st.integers(0, 11), max_size=4),
        status=st.none() | st.lists(st.sampled_from(TaskStatus), max_size=2),
        created_at=_RANGES,
        query=st.none() | st.sampled_from("xy"),
        order=st.builds(TaskOrder, st.sampled_from(TaskOrderField), st.sampled_from(Direction)),
    ),
    part=_PARTS,
    few=_FEW,
)
async def test_tasks_are_those_that_a_look_at_each_finds(
    shared_world: World, given_tasks: Any, wanted: WantedTasks, part: Part, few: int
) -> None:
    someone = Principal(tenant=f"labels-{next(_tenants)}")
    made = [
        task(tenant=someone.tenant, status=status, labels=names, created_at=time, updated_at=time, name=name)
        for status, names, time, name in given_tasks
    ]
    await _keep(shared_world, someone, made)
    expected, filter_ = wanted.among(made), wanted.filter_of(made)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "FEW", few)
        async with shared_world.store.read(someone) as view:
            whole = await view.tasks.page(PageRequest(), filter_, wanted.order)
            page = await view.tasks.page(part.request(whole.cursors), filter_, wanted.order)

    assert whole.items == expected
    part.check(page, expected, whole.cursors)


async def test_labels_that_are_given_later_are_in_the_order_of_the_rows(shared_world: World) -> None:
    someone = Principal(tenant=f"labels-{next(_tenants)}")
    of = [task(tenant=someone.tenant, created_at=NOON + timedelta(seconds=number)) for number in range(3)]
    made = [run(it, created_at=it.created_at) for it in of]
    await _keep(shared_world, someone, of, made)
    for place in (1, 0, 2):
        async with shared_world.store.write(someone) as tx:
            await tx.runs.set_labels(made[place].id, ("late",))
            found = await tx.tasks.lock(of[place].id)
            assert found is not None
            await tx.tasks.save(replace(found, labels=("late",)))

    async with shared_world.store.read(someone) as view:
        runs = await view.runs.page(PageRequest(), RunFilter(labels=["late"]), RunOrder())
        tasks = await view.tasks.page(PageRequest(), TaskFilter(labels=["late"]), TaskOrder())
    assert [it.id for it in runs.items] == [it.id for it in reversed(made)]
    assert [it.id for it in tasks.items] == [it.id for it in reversed(of)]
