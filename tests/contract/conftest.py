"""Each test of a store runs on each kind of database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from domain.events import Event
from storage.migrate import migrate
from storage.store import SqliteSettings, open_store
from tests.contract.world import SetClock, World


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the newest schema, to be copied: that is quicker than to migrate one for each test."""
    path = tmp_path_factory.mktemp("migrated") / "mgx.db"
    migrate(path)
    return path


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> str:
    """Return the URL of an empty database; other kinds join the parameters."""
    assert request.param == "sqlite"
    return f"sqlite+aiosqlite:///{shutil.copy(migrated_file, tmp_path / 'mgx.db')}"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """Yield an open, empty store."""
    clock = SetClock()
    delivered: list[Sequence[Event]] = []
    settings = SqliteSettings(synchronous="NORMAL")
    async with open_store(database_url, clock=clock, on_commit=delivered.append, settings=settings) as store:
        yield World(store, clock, delivered)
