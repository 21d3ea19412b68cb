"""Migrations: they lead to the tables that the code expects, once, from anywhere the package is installed."""

from __future__ import annotations

import ast
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

import storage
from storage.errors import StorageError
from storage.migrate import HEAD, migrate
from storage.tables import metadata

ROOT = Path(storage.__file__).parent.parent


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mgx.db"
    migrate(path)
    return path


def _content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def _set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def _same_type(_context: MigrationContext, _inspected: Any, _column: Any, found: Any, wanted: Any) -> bool:
    """Compare what SQLite was told; types of ours are compared by what they are to it."""
    return str(wanted.dialect_impl(_context.dialect).compile(_context.dialect)) != str(found)


def test_an_empty_file_gets_the_schema_that_the_code_expects(database: Path) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": _same_type, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            assert differences(connection) == []
    finally:
        engine.dispose()


def test_what_alembic_does_not_compare_is_as_the_tables_say_too(database: Path, tmp_path: Path) -> None:
    """Primary keys, the order of columns, tables without rowids, conditions of indexes."""
    fresh = tmp_path / "fresh.db"
    engine = create_engine(f"sqlite:///{fresh}")
    metadata.create_all(engine)
    engine.dispose()

    def schema(path: Path) -> dict[str, str]:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return {
            name: " ".join(sorted(sql.replace(",", " , ").split()))
            for name, sql in rows
            if not name.startswith(("sqlite_", "alembic_"))
        }

    assert schema(database) == schema(fresh)


def test_columns_are_in_the_order_of_the_tables(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        for table in metadata.sorted_tables:
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
            assert found == [column.name for column in table.columns]


def test_the_revision_that_the_code_knows_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_second_migration_changes_nothing(database: Path) -> None:
    before = _content(database)
    migrate(database)
    assert _content(database) == before


def test_each_database_has_a_log_id_of_its_own(database: Path, tmp_path: Path) -> None:
    migrate(tmp_path / "other.db")

    def log_id(path: Path) -> Any:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT log_id FROM log").fetchall()

    assert len(log_id(database)) == 1
    assert log_id(database) != log_id(tmp_path / "other.db")


def test_a_newer_schema_is_refused_and_left_alone(database: Path) -> None:
    _set_revision(database, "9999")
    before = _content(database)
    with pytest.raises(StorageError, match=r"newer version of mgx"):
        migrate(database)
    assert _content(database) == before


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE steps (theirs TEXT)")
    before = _content(path)
    with pytest.raises(StorageError, match="can't be upgraded"):
        migrate(path)
    assert _content(path) == before


def test_it_works_from_an_installed_wheel(tmp_path: Path) -> None:
    wheel = _build_wheel(tmp_path)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import storage, pathlib; from storage.migrate import migrate; "
        "migrate(pathlib.Path(sys.argv[2])); print(storage.__path__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, installed, tmp_path / "mgx.db"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == [str(installed / "storage")]
    assert sqlite3.connect(tmp_path / "mgx.db").execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)


def _build_wheel(folder: Path) -> Path:
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("graph", "domain", "storage", "teams"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"],
        check=True,
        capture_output=True,
        cwd=source,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel
