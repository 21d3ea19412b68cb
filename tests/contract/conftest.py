"""Each test of a store runs on each kind of database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import make_url

from domain.events import Event
from storage.migrate import migrate
from storage.postgres import PostgresSettings
from storage.postgres_schema import migrate_postgres
from storage.store import SqliteSettings, open_store
from tests.backing import KEPT, PostgresServer
from tests.contract.world import SetClock, World


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the newest schema, to be copied: that is quicker than to migrate one for each test."""
    path = tmp_path_factory.mktemp("migrated") / "mgx.db"
    migrate(path)
    return path


@pytest.fixture(scope="session")
def migrated_database(_postgres_of_session: PostgresServer) -> str:
    """Return the URL of a database with the newest schema, to be emptied; some tests extend its name."""
    for name in ("contract", "contract-other", "contract-heard"):
        _postgres_of_session.sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
    url = _postgres_of_session.url("contract", driver="psycopg")
    migrate_postgres(make_url(url))
    _postgres_of_session.sql('CREATE DATABASE "contract-shared" TEMPLATE contract')
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    return _empty_database(request, tmp_path, "contract")


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def database_url_of_module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a database that is empty when the module's tests begin."""
    return _empty_database(request, tmp_path_factory.mktemp("module"), "contract-shared")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """Yield an open, empty store."""
    async with _open(database_url) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world(database_url_of_module: str) -> AsyncIterator[World]:
    """Yield an open store for tests that keep to tenants of their own."""
    async with _open(database_url_of_module) as world:
        yield world


def _empty_database(request: pytest.FixtureRequest, folder: Path, name: str) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), folder / 'mgx.db')}"
    server: PostgresServer = request.getfixturevalue("_postgres_of_session")
    request.getfixturevalue("migrated_database")
    server.start()
    server.empty(name, but=KEPT)
    return server.url(name, driver="psycopg")


@asynccontextmanager
async def _open(database_url: str) -> AsyncIterator[World]:
    clock = SetClock()
    delivered: list[Sequence[Event]] = []
    async with open_store(
        database_url,
        clock=clock,
        on_commit=delivered.append,
        settings=SqliteSettings(synchronous="NORMAL"),
        postgres=PostgresSettings(own_clock=False),
    ) as store:
        yield World(store, clock, delivered)
