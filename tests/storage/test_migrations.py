"""The schema comes from the migrations, whole or not at all, and is that of the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from storage.errors import StorageError
from storage.migrate import HEAD, migrate
from storage.tables import metadata
from tests.storage.files import opened


def _tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    migrate(tmp_path / "mgx.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'mgx.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_the_start_looks_for() -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    migrate(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before


def test_the_statistics_name_indexes_that_there_are(tmp_path: Path) -> None:
    migrate(tmp_path / "mgx.db")
    with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection:
        named = set(connection.execute("SELECT tbl, idx FROM sqlite_stat1"))
        there = set(connection.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'index'"))
    keys = {(name, name) for name in ("task_labels", "run_labels", "logs")}  # a table that is its key has its name
    assert named
    assert named - keys <= there


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (something_else)")
    with pytest.raises(StorageError, match="can't be upgraded"):
        migrate(path)
    assert _tables(path) == {"events"}


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="newer version of mgx"):
        async with opened(path):
            pass
