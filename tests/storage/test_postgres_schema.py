"""The schema on PostgreSQL: that of the tables, made by one process while others wait, and changed under servers."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from procrastinate.schema import SchemaManager
from sqlalchemy import create_engine, make_url
from sqlalchemy.engine import URL

from storage.errors import StorageError
from storage.migrate import HEAD
from storage.postgres_schema import migrate_postgres, postgres_url
from storage.store import open_store
from storage.tables import metadata, postgres_metadata
from tests.backing import PostgresServer
from tests.contract.world import SetClock


@pytest.fixture
def url(postgres: PostgresServer, postgres_database: str) -> URL:
    """Return the URL of an empty database."""
    return make_url(postgres.url(postgres_database, driver="psycopg"))


def test_the_migrations_make_the_tables_that_the_code_knows(url: URL) -> None:
    migrate_postgres(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        tables: Any = [metadata, postgres_metadata]  # which it takes, though its types don't say so
        context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
        assert compare_metadata(context, tables) == []
    engine.dispose()


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or not (name or "").startswith("procrastinate_")


def test_the_queue_has_the_schema_of_the_procrastinate_that_is_installed() -> None:
    """Whoever raises the version finds here that a migration is due."""
    frozen = files("storage.migrations").joinpath("queue", "procrastinate_3_10.sql").read_text("utf-8")
    assert frozen.endswith(SchemaManager.get_schema())


async def test_processes_that_start_together_make_the_schema_once(url: URL, postgres: PostgresServer) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate_postgres, url) for _ in range(3)))
    assert postgres.sql("SELECT version_num FROM alembic_version", url.database or "") == HEAD
    assert postgres.sql("SELECT count(*) FROM log", url.database or "") == "1"


async def test_a_schema_one_revision_ahead_is_served_and_left_alone(url: URL, postgres: PostgresServer) -> None:
    migrate_postgres(url)
    ahead = f"{int(HEAD) + 1:04d}"
    postgres.sql(f"UPDATE alembic_version SET version_num = '{ahead}'", url.database or "")
    async with open_store(url.render_as_string(), clock=SetClock(), on_commit=lambda _: None):
        pass
    assert postgres.sql("SELECT version_num FROM alembic_version", url.database or "") == ahead


def test_a_schema_that_is_newer_still_is_refused(url: URL, postgres: PostgresServer) -> None:
    migrate_postgres(url)
    postgres.sql("UPDATE alembic_version SET version_num = '9999'", url.database or "")
    with pytest.raises(StorageError, match="written by a newer version of mgx"):
        migrate_postgres(url)


def test_a_migration_that_fails_leaves_the_database_as_it_was(url: URL, postgres: PostgresServer) -> None:
    postgres.sql("CREATE TABLE events (something_else text)", url.database or "")
    with pytest.raises(StorageError, match="can't be used"):
        migrate_postgres(url)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.sql(tables, url.database or "") == "events"


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"port": 1}, "can't be used: .*refused"), ({"database": "nothing"}, 'database "nothing" does not exist')],
)
async def test_a_database_that_can_not_be_reached_is_one_line_without_the_password(
    url: URL, change: dict[str, object], reason: str
) -> None:
    wrong = url.set(password="secret").set(**change)  # type: ignore[arg-type]  # as the parameters say
    with pytest.raises(StorageError, match=reason) as failure:
        async with open_store(wrong.render_as_string(hide_password=False), clock=SetClock(), on_commit=lambda _: None):
            pass
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_a_url_may_leave_the_driver_out(scheme: str) -> None:
    found = postgres_url(f"{scheme}://mgx@localhost/mgx")
    assert found is not None
    assert found.render_as_string() == "postgresql+psycopg://mgx@localhost/mgx"


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///mgx.db", "nonsense", "postgresql+nothing://localhost/mgx"])
def test_other_urls_are_not_of_postgresql(url: str) -> None:
    assert postgres_url(url) is None
