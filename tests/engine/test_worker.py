"""Many processes on one database: who has a run, who takes it over, and what the others may still say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from domain import commands as c
from domain.errors import StaleAttemptError, StoreBusyError
from domain.events import EventType
from domain.model import ANONYMOUS, RunFailure, RunStatus
from domain.ports import ExecutionContext
from domain.services.inputs import NewMetric, NewMetrics
from domain.services.work import WorkService
from domain.signals import Signal, StepFinished, StepStarted
from tests.backing import PostgresServer
from tests.engine import support
from tests.engine.support import Script, ScriptedTeams, do_all, open_engine, types

HERE = Path()
SHORT = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def database(postgres: PostgresServer, migrated_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have `open_engine` open one new database of PostgreSQL; return its name."""
    with postgres.database(migrated_template) as name:
        monkeypatch.setattr(support, "database_url", lambda _: postgres.url(name, driver="psycopg"))
        yield name


class Slow:
    """A team whose first step waits until it is let through; says when it begins and when it is stopped."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun = asyncio.Event()
        self.stopped = asyncio.Event()
        self.done: list[str] = []

    async def execute(self, context: ExecutionContext) -> AsyncIterator[Signal]:
        for step in context.plan.steps:
            if step.status.is_final:
                continue
            yield StepStarted(key=step.key)
            self.begun.set()
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.stopped.set()
                raise
            self.done.append(step.key)
            yield StepFinished(key=step.key)

    @property
    def teams(self) -> ScriptedTeams:
        return ScriptedTeams(script=Script(execute=self.execute))


async def test_the_run_of_a_worker_that_is_gone_is_taken_over_and_what_it_says_late_is_refused() -> None:
    async with open_engine(HERE, working=False) as gone:
        run = await gone.start(await gone.task(), auto_approve=True)
        assignment = await gone.work.claim(run.id, owner="gone", lease=SHORT)
        assert assignment is not None
        async with open_engine(HERE, owner="living", lease=SHORT) as living:
            events = await living.until(run.id)
            assert types(events)[-1] == "COMPLETION"
            (resumed,) = [event for event in events if event.type is EventType.RESUMED]
            assert resumed.data["reason"] == "WORKER_LOST"
            late = RunFailure(code="TEAM_ERROR", message="Too late.")
            with pytest.raises(StaleAttemptError):
                await gone.work.report(assignment, [c.Fail(failure=late)])
            assert await living.until(run.id) == events


async def test_a_worker_that_was_frozen_stops_its_team_once_it_finds_its_run_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow()
    renew = WorkService.renew
    frozen = True

    async def unless_frozen(work: WorkService, owner: str, run_ids: Collection[str], lease: timedelta) -> object:
        if frozen and owner == "frozen":
            raise StoreBusyError("nothing gets through")
        return await renew(work, owner, run_ids, lease)

    monkeypatch.setattr(WorkService, "renew", unless_frozen)
    async with open_engine(HERE, slow.teams, owner="frozen", lease=SHORT) as first:
        run = await first.start(await first.task(), auto_approve=True)
        await slow.begun.wait()
        async with open_engine(HERE, owner="living", lease=SHORT) as second:
            events = await second.until(run.id)
            assert types(events)[-1] == "COMPLETION"
            assert not slow.stopped.is_set()
            frozen = False
            async with asyncio.timeout(30):
                await slow.stopped.wait()
            assert await second.until(run.id) == events


async def test_a_lease_is_renewed_for_as_long_as_its_worker_lives() -> None:
    slow = Slow()
    async with open_engine(HERE, slow.teams, owner="slow", lease=SHORT) as first:
        run = await first.start(await first.task(), auto_approve=True)
        await slow.begun.wait()
        lease = (await first.run(run.id)).lease_until
        assert lease is not None
        async with open_engine(HERE, owner="idle", lease=SHORT) as second:
            async with asyncio.timeout(30):
                while (now := (await second.run(run.id)).lease_until) is None or now < lease + 3 * SHORT:
                    await asyncio.sleep(0.05)
            slow.open.set()
            assert "RESUMED" not in types(await second.until(run.id))


async def test_a_worker_that_is_told_to_end_finishes_the_step_and_leaves_the_next_to_others() -> None:
    slow = Slow()
    async with open_engine(HERE, working=False) as watching:
        async with open_engine(HERE, slow.teams, shutdown_grace=60.0) as first:
            run = await first.start(await first.task(), auto_approve=True)
            await slow.begun.wait()
            first.queue.crew.drain()
            slow.open.set()
        assert slow.done == ["one"]
        assert (await watching.run(run.id)).owner is None
        async with open_engine(HERE):
            events = await watching.until(run.id)
    assert [event.data["reason"] for event in events if event.type is EventType.RESUMED] == ["HANDED_OVER"]
    progress = [event.data for event in events if event.type is EventType.PROGRESS]
    assert [data["step"] for data in progress if data["stepStatus"] == "RUNNING"] == ["one", "two"]


async def test_a_step_that_outlasts_the_grace_is_stopped_and_done_again_elsewhere() -> None:
    slow = Slow()
    async with open_engine(HERE, working=False) as watching:
        async with open_engine(HERE, slow.teams, shutdown_grace=0.1) as first:
            run = await first.start(await first.task(), auto_approve=True)
            await slow.begun.wait()
        assert slow.stopped.is_set()
        async with open_engine(HERE):
            events = await watching.until(run.id)
    assert types(events)[-1] == "COMPLETION"
    assert [event.data["reason"] for event in events if event.type is EventType.RESUMED] == ["HANDED_OVER"]


async def test_a_run_whose_delivery_was_lost_is_found(postgres: PostgresServer, database: str) -> None:
    async with open_engine(HERE, working=False) as first:
        run = await first.start(await first.task(), auto_approve=True)
    assert postgres.sql("DELETE FROM procrastinate_jobs RETURNING task_name", database) == "mgx.advance"
    async with open_engine(HERE) as second:
        assert types(await second.until(run.id))[-1] == "COMPLETION"


async def test_a_worker_takes_the_runs_of_its_teams_only() -> None:
    teams = ScriptedTeams(script=Script(), other=Script(execute=do_all))
    async with open_engine(HERE, teams, queues=["other"]) as picky:
        mine = await picky.start(await picky.task(team="other"), auto_approve=True)
        others = await picky.start(await picky.task(), auto_approve=True)
        await picky.until(mine.id)
        assert (await picky.run(others.id)).status is RunStatus.PENDING
        async with open_engine(HERE, teams) as any_team:
            await any_team.until(others.id)


async def test_a_cancel_in_one_process_stops_the_team_in_another_at_once() -> None:
    slow = Slow()
    long = timedelta(hours=1)
    async with open_engine(HERE, working=False) as asking, open_engine(HERE, slow.teams, lease=long) as working:
        run = await asking.start(await asking.task(), auto_approve=True)
        await slow.begun.wait()
        await asking.runs.cancel(ANONYMOUS, run.id, reason=None)
        async with asyncio.timeout(30):
            await slow.stopped.wait()
        assert types(await working.until(run.id))[-1] == "CANCELLED"


async def test_a_deadline_that_was_set_in_another_process_is_kept() -> None:
    async with open_engine(HERE, working=False) as asking, open_engine(HERE):
        run = await asking.start(await asking.task(approval_timeout=1))
        assert types(await asking.until(run.id))[-1] == "TIMEOUT"


async def test_jobs_are_fetched_again_after_the_database_cut_all_connections(
    postgres: PostgresServer, database: str
) -> None:
    async with open_engine(HERE, lease=timedelta(hours=1)) as engine:
        task = await engine.task()
        await engine.until((await engine.start(task, auto_approve=True)).id)
        cut = f"SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = '{database}'"
        assert postgres.sql(cut) == "t"
        run = None
        while run is None:
            with suppress(StoreBusyError):
                run = await engine.start(task, auto_approve=True)
        assert types(await engine.until(run.id))[-1] == "COMPLETION"


async def test_a_connection_that_is_lost_while_a_job_is_written_is_told_as_a_busy_store(
    postgres: PostgresServer, database: str
) -> None:
    async with open_engine(HERE, working=False) as engine:
        run = await engine.start(await engine.task())
        cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"
        with pytest.raises(StoreBusyError):  # noqa: PT012  # what fails is the middle of a transaction
            async with engine.store.write(ANONYMOUS) as tx:
                assert await tx.runs.lock(run.id)
                postgres.sql(cut)
                await engine.queue.submit(tx, run)
        async with engine.store.read(ANONYMOUS) as view:
            assert await view.runs.many([run.id])


async def test_what_is_said_of_a_run_that_waits_makes_no_further_job(postgres: PostgresServer, database: str) -> None:
    async with open_engine(HERE, working=False) as engine:
        run = await engine.start(await engine.task())
        for value in range(3):
            sample = NewMetric(name="n", value=value)
            await engine.metrics.create(ANONYMOUS, NewMetrics(run_id=run.id, metrics=[sample]))
        assert postgres.sql("SELECT count(*) FROM procrastinate_jobs", database) == "1"
