"""Labels that an earlier version wrote, before or after the upgrade, are found in the order of their rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from domain.model import ANONYMOUS
from domain.paging import PageRequest, RunOrder, TaskOrder
from domain.store import RunFilter, Store, TaskFilter
from storage.store import open_store
from tests.backing import PostgresServer
from tests.contract.world import NOON, SetClock, World
from tests.long.old_data import fill
from tests.storage.files import opened

LABEL: Final = "nightly"
BEFORE: Final = "0005"
"""The revision whose labels have no time."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'old.db'}"
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.url(request.getfixturevalue("postgres_database"), driver="psycopg")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Store]:
    async with open_store(url, clock=SetClock(), on_commit=lambda _: None) as store:
        yield store


async def _labelled(store: Store) -> tuple[Sequence[str], Sequence[str]]:
    """Return the runs and the tasks that have the label, newest first."""
    async with store.read(ANONYMOUS) as view:
        runs = await view.runs.page(PageRequest(), RunFilter(labels=[LABEL]), RunOrder())
        tasks = await view.tasks.page(PageRequest(), TaskFilter(labels=[LABEL]), TaskOrder())
    return [it.id for it in runs.items], [it.id for it in tasks.items]


async def test_labels_get_the_time_of_their_rows(tmp_path: Path, url: str) -> None:
    source = tmp_path / "source.db"
    runs, tasks = [], []
    async with opened(source) as store:
        world = World(store, SetClock())
        for number in (3, 1, 2):
            time = NOON + timedelta(microseconds=number)
            of = await world.add_task(labels=(LABEL, f"label-{number}"), created_at=time)
            run = (await world.add_run(of, labels=(f"label-{number}", LABEL), created_at=time)).run
            runs.append((time, run.id))
            tasks.append((time, of.id))
        await world.add_run(await world.add_task(), labels=("other",))
        kept = await _labelled(store)
    assert kept == tuple([id_ for _, id_ in sorted(rows, reverse=True)] for rows in (runs, tasks))

    fill(source, url, at=BEFORE)
    async with _opened(url) as store:
        assert await _labelled(store) == kept


async def test_a_server_of_the_revision_before_goes_on_adding_labels(
    postgres: PostgresServer, postgres_database: str
) -> None:
    async with _opened(postgres.url(postgres_database, driver="psycopg")) as store:
        world = World(store, SetClock())
        of = [await world.add_task(created_at=NOON + timedelta(seconds=number)) for number in (2, 1, 3)]
        made = [(await world.add_run(it, created_at=it.created_at)).run for it in of]
        for run in made:
            for owner, id_ in (("run", run.id), ("task", run.task_id)):
                columns = f"(tenant, label, {owner}_id)"  # all that it knows of
                values = f"('default', '{LABEL}', '{id_}')"
                postgres.sql(f"INSERT INTO {owner}_labels {columns} VALUES {values}", postgres_database)
        newest_first = [made[2], made[0], made[1]]
        assert await _labelled(store) == ([it.id for it in newest_first], [it.task_id for it in newest_first])
