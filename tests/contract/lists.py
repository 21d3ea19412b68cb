"""Every list of the store in every order, filled at random, beside what Python makes of the same rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from domain.fold import RunState
from domain.model import LogLevel, Principal, Run, RunStatus
from domain.paging import Direction, Page, PageRequest, RunOrder, RunOrderField, TaskOrder, TaskOrderField
from domain.store import LogFilter, MetricFilter, ReadTx, RunFilter, TaskFilter
from tests.contract.world import NOON, World, log_line, metric, run, task, task_event

Fetch: TypeAlias = Callable[[ReadTx, PageRequest], Awaitable[Page[Any]]]
Add: TypeAlias = Callable[[int | None], Awaitable[Any]]
"""Adds a row whose sort key is a number, or null where the list allows it; returns what the list holds then."""

_tenants: Final = count(1)
KEYS: Final = st.lists(st.none() | st.integers(0, 3), max_size=9)
"""Sort keys of some rows, with ties and nulls."""


@dataclass(frozen=True)
class Filled:
    """A list with its rows.

    Attributes:
        add: Adds a row to the list.
        rank: Where an item stands: what Python sorts by.
    """

    principal: Principal
    fetch: Fetch
    add: Add
    rank: Callable[[Any], Any]

    async def fill(self, keys: Sequence[int | None]) -> list[Any]:
        """Add rows with these keys; return the list as it is then."""
        return self.sorted([await self.add(key) for key in keys])

    def sorted(self, items: Sequence[Any]) -> list[Any]:
        return sorted(items, key=self.rank)


class _Down:
    """Sorts the other way round."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Down) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Down) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]  # never looked up


def _rank(value: Any, id_: str, direction: Direction) -> Any:
    """Nulls last in both directions; the id breaks ties in the list's direction."""
    turn: Callable[[Any], Any] = _Down if direction is Direction.DESC else lambda it: it
    return (value is None, turn((0 if value is None else value, id_)))


Make: TypeAlias = Callable[[World], Awaitable[Filled]]


def _someone() -> Principal:
    """A tenant of its own, so that lists of everything begin empty."""
    return Principal(tenant=f"tenant-{next(_tenants)}")


def _tasks(order: TaskOrder) -> Make:
    column = {TaskOrderField.NAME: "name"}.get(order.field, order.field.value.lower())

    async def make(world: World) -> Filled:
        someone = _someone()

        async def add(key: int | None) -> Any:
            value = f"Name {'aB'[(key or 0) % 2]}{key}" if column == "name" else NOON + timedelta(microseconds=key or 0)
            return await world.add_task(tenant=someone.tenant, **{column: value})

        def rank(it: Any) -> Any:
            value = getattr(it, column)
            return _rank(value.casefold() if column == "name" else value, it.id, order.direction)

        return Filled(someone, lambda view, request: view.tasks.page(request, TaskFilter(), order), add, rank)

    return make


def _runs(order: RunOrder, *, of_task: bool) -> Make:
    column = order.field.value.lower()

    async def make(world: World) -> Filled:
        someone = _someone()
        parent, sibling = [await world.add_task(tenant=someone.tenant) for _ in range(2)]
        numbers = count(1)

        async def add(key: int | None) -> Run:
            number = next(numbers)
            value: Any = NOON + timedelta(microseconds=key or 0)
            if column == "duration":
                value = None if key is None else key / 3
            elif key is None and column != "created_at":
                value = None
            of = parent if of_task or number % 2 else sibling
            if of_task:
                await world.add_run(sibling, number)
            made = run(of, number, **{column: value})
            async with world.store.write(someone) as tx:
                await tx.runs.insert(RunState(run=made))
            return made

        async def fetch(view: ReadTx, request: PageRequest) -> Page[Any]:
            if not of_task:
                return await view.runs.page(request, RunFilter(), order)
            return (await view.runs.pages_of_tasks([parent.id], request, RunFilter(), order))[parent.id]

        return Filled(someone, fetch, add, lambda it: _rank(getattr(it, column), it.id, order.direction))

    return make


def _runs_of_some(order: RunOrder, by: str) -> Make:
    """Runs of two of three tasks, in two of three statuses, or with two of three labels: one of these, or both."""
    column, statuses = order.field.value.lower(), [RunStatus.RUNNING, RunStatus.FAILED, RunStatus.COMPLETED]
    labels = [("a",), ("b", "a"), ("c",)]

    async def make(world: World) -> Filled:
        someone = _someone()
        parents = [await world.add_task(tenant=someone.tenant) for _ in range(3)]
        filter_ = {
            "tasks": RunFilter(task_ids=[task.id for task in parents[:2]]),
            "statuses": RunFilter(status=statuses[:2]),
            "labels": RunFilter(labels=["b", "a"]),
        }[by]
        numbers = count(1)

        async def add(key: int | None) -> Run:
            number = next(numbers)
            value: Any = NOON + timedelta(microseconds=key or 0)
            if key is None and column != "created_at":
                value = None
            elif column == "duration":
                value = (key or 0) / 3
            wanted, hidden = number % 2, 2
            for choice in (hidden, wanted):
                of = parents[choice if by == "tasks" else 0]
                values = {
                    "status": statuses[choice if by == "statuses" else 0],
                    "labels": labels[choice],
                    column: value,
                }
                made = run(of, 2 * number + (choice is wanted), **values)
                async with world.store.write(someone) as tx:
                    await tx.runs.insert(RunState(run=made))
            return made

        async def fetch(view: ReadTx, request: PageRequest) -> Page[Any]:
            return await view.runs.page(request, filter_, order)

        return Filled(someone, fetch, add, lambda it: _rank(getattr(it, column), it.id, order.direction))

    return make


def _metrics(*, of_run: bool) -> Make:
    async def make(world: World) -> Filled:
        someone = _someone()
        of = await world.add_task(tenant=someone.tenant)
        state = await world.add_run(of)

        async def add(key: int | None) -> Any:
            made = metric(state.run, timestamp=NOON + timedelta(microseconds=key or 0))
            await world.keep(made, *([metric(of)] if of_run else []))
            return made

        async def fetch(view: ReadTx, request: PageRequest) -> Page[Any]:
            if not of_run:
                return await view.metrics.page(request, MetricFilter())
            return (await view.metrics.pages_of_runs([state.run.id], request, MetricFilter()))[state.run.id]

        return Filled(someone, fetch, add, lambda it: (it.timestamp, it.id))

    return make


async def _logs(world: World) -> Filled:
    someone = _someone()
    state = await world.add_run(await world.add_task(tenant=someone.tenant))
    numbers = count(1)

    async def add(_key: int | None) -> Any:
        hidden, made = log_line(next(numbers), LogLevel.DEBUG), log_line(next(numbers))
        await world.keep_lines(state.run, hidden, made)
        return made

    async def fetch(view: ReadTx, request: PageRequest) -> Page[Any]:
        return (await view.runs.logs([state.run.id], request, LogFilter()))[state.run.id]

    return Filled(someone, fetch, add, lambda it: it.number)


def _events(scope: str) -> Make:
    async def make(world: World) -> Filled:
        someone = _someone()
        of, other = [task(tenant=someone.tenant) for _ in range(2)]
        of_run = {"run_id": f"run-of-{of.id}"} if scope == "run" else {}
        sequences = count(1)

        async def add(_key: int | None) -> Any:
            await world.keep(task_event(task(tenant="default")))
            if scope != "all":
                await world.keep(task_event(other))
            await world.keep(task_event(of, **of_run, sequence=next(sequences) if of_run else None))
            return world.delivered[-1][0]

        async def fetch(view: ReadTx, request: PageRequest) -> Page[Any]:
            if scope == "all":
                return await view.events.page(request, None)
            if scope == "task":
                return (await view.events.pages_of_tasks([of.id], request, None))[of.id]
            return (await view.events.pages_of_runs([of_run["run_id"]], request, None))[of_run["run_id"]]

        return Filled(someone, fetch, add, lambda it: it.pos)

    return make


LISTS: Final[dict[str, Make]] = {
    **{f"tasks-{f}-{d}": _tasks(TaskOrder(f, d)) for f in TaskOrderField for d in Direction},
    **{f"runs-{f}-{d}": _runs(RunOrder(f, d), of_task=False) for f in RunOrderField for d in Direction},
    **{f"runs-of-task-{f}-{d}": _runs(RunOrder(f, d), of_task=True) for f in RunOrderField for d in Direction},
    "metrics": _metrics(of_run=False),
    "metrics-of-run": _metrics(of_run=True),
    "logs": _logs,
    **{f"events-of-{scope}": _events(scope) for scope in ("all", "task", "run")},
}
"""By name, what makes an empty list in a tenant of its own."""

MERGED: Final[dict[str, Make]] = {
    f"runs-of-some-{by}-{f}-{d}": _runs_of_some(RunOrder(f, d), by)
    for f in RunOrderField
    for d in Direction
    for by in ("tasks", "statuses", "labels")
}
"""Likewise, for parts of lists of everything, which have their cursors."""
