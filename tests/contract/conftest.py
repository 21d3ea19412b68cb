"""Each test of a store runs on each kind of database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import make_url

from domain.events import Event
from storage.migrate import migrate
from storage.postgres import PostgresSettings
from storage.postgres_schema import migrate_postgres
from storage.store import SqliteSettings, open_store
from storage.tables import log, metadata, postgres_metadata
from tests.backing import PostgresServer
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
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("tmp_path") / "mgx.db"
        return f"sqlite+aiosqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), path)}"
    server: PostgresServer = request.getfixturevalue("postgres")
    url: str = request.getfixturevalue("migrated_database")
    tables = [*metadata.tables.values(), *postgres_metadata.tables.values()]
    emptied = ", ".join(table.name for table in tables if table is not log)
    server.sql(f"TRUNCATE {emptied} RESTART IDENTITY", "contract")
    return url


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """Yield an open, empty store."""
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
