"""Where databases are upgraded, and how an upgrade is killed in the middle there."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final, Protocol

import psycopg

from tests.backing import PostgresServer
from tests.servers import MGX, environment

PATIENCE: Final = 60.0
"""Seconds that an upgrade may take to come to where it is killed."""

_LONGEST_WAIT: Final = 0.5
"""Seconds that an upgrade of SQLite may go on at first once it has begun; half of that after each that was over."""

_SHORTEST_HOLD: Final = 0.005
"""Seconds for which the lock is held longer than by whoever only looks whether the file can be written."""

_BLOCKED: Final = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'alembic_version'::regclass"


class UpgradePlace(Protocol):
    """A database of the previous revision."""

    @property
    def url(self) -> str:
        """The database."""
        ...

    def copy(self) -> AbstractContextManager[str]:
        """Have a copy of it while the block runs; yields its URL."""
        ...

    def kill(self, url: str, rng: Random, /) -> bool:
        """Upgrade a copy and kill that in the middle; return whether it was not over before."""
        ...


class SqlitePlace:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "old.db"
        self._longest_wait = _LONGEST_WAIT

    @property
    def url(self) -> str:
        """The database."""
        return _sqlite_url(self._path)

    @contextmanager
    def copy(self) -> Iterator[str]:
        """Have a copy of it while the block runs; yields its URL."""
        path = self._path.with_name("upgraded.db")
        shutil.copyfile(self._path, path)
        try:
            yield _sqlite_url(path)
        finally:
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()

    def kill(self, url: str, rng: Random, /) -> bool:
        """Kill it while it holds the write lock of the database, a while after it was found to have it."""
        path = Path(url.partition("///")[2])
        process = start_upgrade(self._folder, url)
        try:
            with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as probe:
                while process.poll() is None:
                    if _is_locked(probe):
                        time.sleep(_SHORTEST_HOLD)
                        if _is_locked(probe):
                            break
                time.sleep(rng.uniform(0.0, self._longest_wait))
                process.send_signal(signal.SIGSTOP)
                in_the_middle = process.poll() is None and _is_locked(probe)
                if not in_the_middle:
                    self._longest_wait /= 2
                return in_the_middle
        finally:
            process.kill()
            process.communicate()


class PostgresPlace:
    """A database of a server of its own."""

    def __init__(self, postgres: PostgresServer) -> None:
        self._postgres = postgres
        postgres.sql("CREATE DATABASE old")

    @property
    def url(self) -> str:
        """The database."""
        return self._postgres.url("old", driver="psycopg")

    @contextmanager
    def copy(self) -> Iterator[str]:
        """Have a copy of it while the block runs; yields its URL."""
        with self._postgres.database("old") as name:
            yield self._postgres.url(name, driver="psycopg")

    def kill(self, url: str, _: Random, /) -> bool:
        """Kill it when it has done everything but to say so: another session reads, for ever, which revision it is."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self._postgres.url(name)) as other:
            other.execute("LOCK TABLE alembic_version IN SHARE MODE")
            process = start_upgrade(self._postgres.folder.parent, url)
            try:
                deadline = time.monotonic() + PATIENCE
                while self._postgres.sql(_BLOCKED, name) == "0":
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < deadline, "the upgrade changes nothing"
                return True
            finally:
                process.kill()
                process.communicate()


def start_upgrade(folder: Path, url: str) -> subprocess.Popen[str]:
    """Start `mgx migrate`."""
    return subprocess.Popen(
        [MGX, "migrate"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder, {"MGX_DATABASE_URL": url}),
    )


def _sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def _is_locked(probe: sqlite3.Connection) -> bool:
    """Whether somebody else writes."""
    try:
        probe.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    probe.execute("ROLLBACK")
    return False
