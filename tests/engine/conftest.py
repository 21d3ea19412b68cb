"""Tests of the engine run on each kind of database."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from storage.postgres_schema import migrate_postgres
from tests.backing import KEPT, PostgresServer
from tests.engine import support


@pytest.fixture(scope="session")
def migrated_template(_postgres_of_session: PostgresServer) -> str:
    """Return the name of a database with the newest schema, to be copied: quicker than to migrate one for each test."""
    name = "engine_template"
    _postgres_of_session.sql(f"CREATE DATABASE {name} TEMPLATE template0")
    migrate_postgres(make_url(_postgres_of_session.url(name, driver="psycopg")))
    return name


@pytest.fixture(scope="session")
def database_to_empty(_postgres_of_session: PostgresServer, migrated_template: str) -> str:
    """Return the name of a database of the session, to be emptied: much quicker than a copy for each test."""
    name = "engine"
    _postgres_of_session.sql(f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `open_engine` open the file that it is given, or in its place an empty database of PostgreSQL."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        name = request.getfixturevalue("database_to_empty")
        server.empty(name, but=KEPT)
        monkeypatch.setattr(support, "database_url", lambda _path: server.url(name, driver="psycopg"))
