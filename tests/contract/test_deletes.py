"""What is deleted is gone from every table, and nothing else is."""

from __future__ import annotations

import pytest

from domain import commands as c
from domain.model import ANONYMOUS, Run, Task
from storage.tables import metadata
from tests.contract.raw import counts
from tests.contract.world import World, artifact_of, log_line, metric, run_deleted, task_deleted, task_event
from tests.unit.lives import APPROVE, CHANGE, CLAIM, deliver

EVERYTHING = (CLAIM, deliver(), CHANGE, CLAIM, deliver("ab"), APPROVE, CLAIM, c.StartStep(key="a"))
OF_NO_RUN = {"log", "horizons", "idempotency_keys"}


async def _add_run_with_everything(world: World, of: Task, number: int) -> Run:
    content = f"Of {of.id}, {number}".encode()
    run = (await world.add_run(of, number, labels=("red", "blue"))).run
    run = (await world.do(run.id, *EVERYTHING)).run
    await world.keep_lines(run, log_line(1), log_line(2))
    await world.keep(metric(run), metric(run, name="seconds"))
    await world.keep_artifact(artifact_of(run, content), content)
    await world.keep_artifact(artifact_of(run, b"shared"), b"shared")
    return run


async def _add_task_with_everything(world: World) -> Task:
    of = await world.add_task(labels=("red",))
    await world.keep(task_event(of), metric(of))
    return of


@pytest.fixture
async def before(world: World, database_url: str) -> dict[str, int]:
    """Return the rows of what must stay: a task with a run that has everything."""
    await _add_run_with_everything(world, await _add_task_with_everything(world), 1)
    found = counts(database_url)
    assert set(found) == set(metadata.tables) - OF_NO_RUN | {"log"}
    return found


async def test_a_task_takes_everything_of_its_runs_with_it(
    world: World, database_url: str, before: dict[str, int]
) -> None:
    of = await _add_task_with_everything(world)
    for number in (1, 2):
        await _add_run_with_everything(world, of, number)
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.delete(of.id)
    assert counts(database_url) == before


async def test_a_run_takes_everything_with_it_and_leaves_its_task(
    world: World, database_url: str, before: dict[str, int]
) -> None:
    of = await _add_task_with_everything(world)
    with_task = counts(database_url)
    run = await _add_run_with_everything(world, of, 1)
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(run.id)
    assert counts(database_url) == with_task != before


async def test_the_news_of_a_deletion_outlive_it(world: World, database_url: str) -> None:
    of = await world.add_task()
    run = (await world.add_run(of)).run
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(run.id)
        await tx.events.append([run_deleted(run)])
    assert counts(database_url) == {"log": 1, "tasks": 1, "events": 1}
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.delete(of.id)
        await tx.events.append([task_deleted(of)])
    assert counts(database_url) == {"log": 1, "events": 1}


async def test_what_is_deleted_can_not_be_found(world: World) -> None:
    of = await _add_task_with_everything(world)
    run = await _add_run_with_everything(world, of, 1)
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(run.id)
        assert await tx.runs.lock(run.id) is None
    assert await world.state(run.id) is None
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.delete(of.id)
        assert await tx.tasks.lock(of.id) is None
        await tx.tasks.delete(of.id)
        await tx.runs.delete(run.id)
