"""Tests of the engine run on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from storage.postgres_schema import migrate_postgres
from tests.backing import PostgresServer
from tests.engine import support


@pytest.fixture(scope="session")
def migrated_template(_postgres_of_session: PostgresServer) -> str:
    """Return the name of a database with the newest schema, to be copied: quicker than to migrate one for each test."""
    name = "engine_template"
    _postgres_of_session.sql(f"CREATE DATABASE {name} TEMPLATE template0")
    migrate_postgres(make_url(_postgres_of_session.url(name, driver="psycopg")))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have `open_engine` open the file that it is given, or in its place a new database of PostgreSQL."""
    if request.param == "sqlite":
        yield
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database(request.getfixturevalue("migrated_template")) as name:
        monkeypatch.setattr(support, "database_url", lambda _path: server.url(name, driver="psycopg"))
        yield
