"""The schema in every detail, and from an installed package."""

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
from sqlalchemy import create_engine

import storage
from storage.migrate import HEAD, migrate
from storage.tables import metadata

ROOT = Path(storage.__file__).parent.parent


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mgx.db"
    migrate(path)
    return path


def test_the_migrations_say_what_the_tables_say_word_for_word(database: Path, tmp_path: Path) -> None:
    """Alembic compares neither types nor keys, tables without rowids nor the conditions of indexes."""
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


def test_each_database_has_a_log_id_of_its_own(database: Path, tmp_path: Path) -> None:
    migrate(tmp_path / "other.db")

    def log_id(path: Path) -> Any:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT log_id FROM log").fetchall()

    assert len(log_id(database)) == 1
    assert log_id(database) != log_id(tmp_path / "other.db")


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
    with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)


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
