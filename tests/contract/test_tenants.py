"""A tenant sees and changes what is its own; the engine, of no tenant, all there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import pytest

from domain.model import ANONYMOUS, ENGINE, Artifact, Principal, Run, Task
from domain.paging import PageRequest, RunOrder, TaskOrder
from domain.store import (
    AllScope,
    EventReads,
    LogFilter,
    MetricFilter,
    MetricReads,
    ReadTx,
    RunFilter,
    RunReads,
    RunScope,
    RunWrites,
    TaskFilter,
    TaskReads,
    TaskScope,
)
from tests.contract.raw import counts
from tests.contract.world import NOON, SECOND, World, artifact_of, log_line, metric, task_event
from tests.unit.lives import CLAIM, REJECT, deliver

STRANGER = Principal(tenant="other")
CONTENT = b"content"


@dataclass(frozen=True)
class Owned:
    """Everything that there is of a tenant."""

    task: Task
    run: Run
    metric_id: str
    artifact: Artifact


@pytest.fixture
async def mine(world: World) -> Owned:
    """Return what belongs to the tenant `default`: one of everything."""
    of = await world.add_task(labels=("red",))
    await world.add_run(of, 2, held=True)
    run = (await world.add_run(of, labels=("red",))).run
    run = (await world.do(run.id, CLAIM, deliver(), REJECT)).run
    sample = metric(run)
    await world.keep(sample, task_event(of))
    await world.keep_lines(run, log_line(1))
    return Owned(of, run, sample.id, await world.keep_artifact(artifact_of(run, CONTENT), CONTENT))


Look: TypeAlias = Callable[[ReadTx, Owned], Awaitable[Any]]
ALL = PageRequest(count=True)
LOOKS: dict[str, Look] = {
    "tasks.many": lambda view, it: view.tasks.many([it.task.id]),
    "tasks.page": lambda view, it: view.tasks.page(ALL, TaskFilter(ids=[it.task.id]), TaskOrder()),
    "tasks.page by label": lambda view, _: view.tasks.page(ALL, TaskFilter(labels=["red"]), TaskOrder()),
    "runs.many": lambda view, it: view.runs.many([it.run.id]),
    "runs.page": lambda view, it: view.runs.page(ALL, RunFilter(task_ids=[it.task.id]), RunOrder()),
    "runs.page by label": lambda view, _: view.runs.page(ALL, RunFilter(labels=["red"]), RunOrder()),
    "runs.pages_of_tasks": lambda view, it: view.runs.pages_of_tasks([it.task.id], ALL, RunFilter(), RunOrder()),
    "runs.plans": lambda view, it: view.runs.plans([it.run.id]),
    "runs.current_plans": lambda view, it: view.runs.current_plans([it.run.id]),
    "runs.decisions": lambda view, it: view.runs.decisions([it.run.id]),
    "runs.logs": lambda view, it: view.runs.logs([it.run.id], ALL, LogFilter()),
    "runs.artifacts_of": lambda view, it: view.runs.artifacts_of([it.run.id]),
    "runs.artifacts": lambda view, it: view.runs.artifacts([it.artifact.id]),
    "metrics.many": lambda view, it: view.metrics.many([it.metric_id]),
    "metrics.page": lambda view, it: view.metrics.page(ALL, MetricFilter(run_ids=[it.run.id])),
    "metrics.pages_of_runs": lambda view, it: view.metrics.pages_of_runs([it.run.id], ALL, MetricFilter()),
    "metrics.summaries_of_runs": lambda view, it: view.metrics.summaries_of_runs([it.run.id], None),
    "metrics.summaries_of_tasks": lambda view, it: view.metrics.summaries_of_tasks([it.task.id], None, None),
    "metrics.series_of_runs": lambda view, it: view.metrics.series_of_runs([it.run.id], "rows", 2, None),
    "metrics.series_of_tasks": lambda view, it: view.metrics.series_of_tasks([it.task.id], "rows", 2, None),
    "events.after": lambda view, _: view.events.after(AllScope(), 0, limit=10),
    "events.after of a run": lambda view, it: view.events.after(RunScope(it.run.id), 0, limit=10),
    "events.after of a task": lambda view, it: view.events.after(TaskScope(it.task.id), 0, limit=10),
    "events.page": lambda view, _: view.events.page(ALL, None),
    "events.pages_of_runs": lambda view, it: view.events.pages_of_runs([it.run.id], ALL, None),
    "events.pages_of_tasks": lambda view, it: view.events.pages_of_tasks([it.task.id], ALL, None),
}
NOT_OF_A_TENANT = {"events.head", "events.extent", "runs.content", "runs.census"}
"""The head is a place in the log that all share, a horizon is nothing but a place; content is asked for by an artifact
that was found before, and the census is the engine's own: it is shown to operators only."""


def test_every_way_to_look_is_tried() -> None:
    def ways(name: str, protocol: type) -> set[str]:
        return {f"{name}.{method}" for method in vars(protocol) if not method.startswith("_")}

    parts = {"tasks": TaskReads, "runs": RunReads, "metrics": MetricReads, "events": EventReads}
    looks = {name.split(" ")[0] for name in LOOKS} | NOT_OF_A_TENANT
    assert looks == {way for name, protocol in parts.items() for way in ways(name, protocol)}


def _is_nothing(answer: Any) -> bool:
    if isinstance(answer, Mapping):
        return all(map(_is_nothing, answer.values()))
    if hasattr(answer, "items"):
        return not answer.items and answer.total == 0
    return not answer


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
async def test_others_see_nothing_of_it(world: World, mine: Owned, look: Look) -> None:
    async with world.store.read(STRANGER) as view:
        assert _is_nothing(await look(view, mine))
    async with world.store.read(ANONYMOUS) as view:
        answer = await look(view, mine)
    assert not _is_nothing(answer)
    async with world.store.read(ENGINE) as view:
        assert await look(view, mine) == answer


async def test_others_can_not_read_the_bytes_of_an_artifact_by_calling_it_theirs(world: World, mine: Owned) -> None:
    stolen = replace(mine.artifact, tenant="other")
    async with world.store.read(STRANGER) as view:
        with pytest.raises(LookupError):
            await anext(aiter(view.runs.content(stolen)))


async def test_others_can_lock_and_change_nothing_of_it(world: World, mine: Owned, database_url: str) -> None:
    before = counts(database_url)
    async with world.store.write(STRANGER) as tx:
        assert await tx.tasks.lock(mine.task.id) is None
        assert await tx.runs.lock(mine.run.id) is None
        assert await tx.runs.active(mine.task.id) == []
        assert await tx.runs.latest(mine.task.id) is None
        assert await tx.runs.release_next(mine.task.id) is None
        assert await tx.metrics.get(mine.metric_id) is None
        await tx.runs.set_labels(mine.run.id, ("stolen",))

    assert counts(database_url) == before
    async with world.store.read(ANONYMOUS) as view:
        assert await view.runs.many([mine.run.id]) == {mine.run.id: mine.run}
        assert await view.tasks.many([mine.task.id]) == {mine.task.id: mine.task}


async def test_the_engine_finds_the_work_of_all_tenants(world: World) -> None:
    made = []
    for tenant in ("one", "two"):
        made.append((await world.add_run(await world.add_task(tenant=tenant))).run.id)
        await world.add_run(await world.add_task(tenant=tenant), status="AWAITING_APPROVAL", deadline=NOON + SECOND)

    async def work(runs: RunWrites) -> tuple[int, int, Any]:
        due = await runs.due(NOON + SECOND, 10)
        return len(await runs.claimable(NOON, 10)), len(due), await runs.next_deadline()

    async with world.store.write(ENGINE) as tx:
        assert await work(tx.runs) == (2, 2, NOON + SECOND)


async def test_others_can_delete_nothing_of_it(world: World, mine: Owned, database_url: str) -> None:
    before = counts(database_url)
    async with world.store.write(STRANGER) as tx:
        await tx.metrics.delete(mine.metric_id)
        await tx.runs.delete(mine.run.id)
        await tx.tasks.delete(mine.task.id)
    assert counts(database_url) == before
