"""An installed wheel has what the migrations need: they make the whole schema from it, on each database."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from storage.migrate import HEAD
from tests.backing import PostgresServer
from tests.servers import environment
from tests.wheel import build_wheel

MIGRATE = "import sys, storage; from graph.cli import main; print(storage.__file__); sys.exit(main(['migrate']))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with our packages as a wheel brings them."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build_wheel(folder)) as archive:
        archive.extractall(folder / "packages")
    return folder / "packages"


def _migrate(installed: Path, folder: Path, **env: str) -> str:
    said = subprocess.run(
        [sys.executable, "-c", MIGRATE],
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": str(installed), **env}),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert str(installed) in said
    return said


def test_a_file_is_migrated(installed: Path, tmp_path: Path) -> None:
    assert f"is at revision {HEAD}" in _migrate(installed, tmp_path)


def test_a_database_of_postgresql_is_migrated(
    installed: Path, tmp_path: Path, postgres: PostgresServer, postgres_database: str
) -> None:
    url = postgres.url(postgres_database, driver="psycopg")
    assert f"is at revision {HEAD}" in _migrate(installed, tmp_path, MGX_DATABASE_URL=url)
    assert postgres.sql("SELECT count(*) FROM procrastinate_jobs", postgres_database) == "0"
