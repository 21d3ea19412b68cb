"""A file that can't be used is refused in one sentence, and one that is used is ours alone."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from domain.model import ANONYMOUS
from storage.errors import StorageError
from storage.inspection import inspect
from storage.migrate import migrate
from storage.store import open_store
from tests.contract.world import SetClock, task
from tests.storage.files import opened


async def _refusal(path: Path) -> str:
    with pytest.raises(StorageError) as caught:
        async with opened(path):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes.\n" * 500)
    assert "is not a database" in await _refusal(path)
    assert path.read_text().startswith("These are my notes.")


async def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert f"directory of the database {tmp_path / 'nowhere' / 'mgx.db'}" in await _refusal(tmp_path / "nowhere/mgx.db")


async def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(4096) + whole[8192:])
    assert "is damaged" in await _refusal(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in await _refusal(path)


async def test_a_damaged_database_whose_schema_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"CREATE TABLE runs", b"CREATE TABL\xff runs"))
    assert "is damaged" in await _refusal(path)


def _large(path: Path) -> bytes:
    """Make a database too large to be read whole at each start; return its bytes."""
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO artifact_chunks (tenant, sha256, number, content) VALUES ('default', 'x', 1, zeroblob(?))",
            [65 * 1024 * 1024],
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


async def test_a_large_database_is_not_read_whole_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    whole = _large(path)
    (root,) = _one(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_metrics_tenant_timestamp_id'")
    path.write_bytes(whole[: (root - 1) * 4096] + b"\xff" * 4096 + whole[root * 4096 :])

    async with opened(path):
        pass
    checks = [check async for check in inspect(path, all_runs=False)]
    assert [check.name for check in checks if check.problems] == ["pages"]


async def test_a_large_database_that_was_cut_off_or_has_no_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    whole = _large(path)
    path.write_bytes(whole[: len(whole) - 4096 * 1024])
    assert "is damaged" in await _refusal(path)
    path.write_bytes(whole[:100] + bytes(3996) + whole[4096:])
    assert "is damaged" in await _refusal(path)


def _one(path: Path, query: str) -> tuple[int, ...]:
    with closing(sqlite3.connect(path)) as connection:
        row: tuple[int, ...] = connection.execute(query).fetchone()
        return row


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("nonsense", "is no database URL"),
        ("postgresql+nothing://user:secret@host/db", "is not supported"),
        ("sqlite+aiosqlite:///mgx.db?mode=ro", "is not supported"),
    ],
)
async def test_another_kind_of_url_is_refused_without_its_password(url: str, part: str) -> None:
    with pytest.raises(StorageError, match=part) as caught:
        async with open_store(url, clock=SetClock(), on_commit=lambda _: None):
            pass
    assert "secret" not in str(caught.value)


@contextmanager
def _without_rights() -> Iterator[None]:
    """Be nobody for a while: root may write whatever it likes."""
    with ExitStack() as stack:
        if os.geteuid() == 0:
            os.seteuid(65534)
            stack.callback(os.seteuid, 0)
        yield


@pytest.fixture
def reachable(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory that everyone can reach and write to."""
    modes = {path: path.stat().st_mode for path in tmp_path.parents}
    closed = {path: mode for path, mode in modes.items() if mode & 0o011 != 0o011}
    for path, mode in closed.items():
        path.chmod(mode | 0o011)
    tmp_path.chmod(0o777)
    yield tmp_path
    for path, mode in closed.items():
        path.chmod(mode)


def _migrated(directory: Path, *, file_mode: int, directory_mode: int) -> Path:
    path = directory / "mgx.db"
    migrate(path)
    path.chmod(file_mode)
    directory.chmod(directory_mode)
    return path


async def test_a_read_only_file_is_refused(reachable: Path) -> None:
    path = _migrated(reachable, file_mode=0o444, directory_mode=0o777)
    with _without_rights():
        assert "can't be written" in await _refusal(path)


async def test_a_file_in_a_read_only_directory_is_refused(reachable: Path) -> None:
    path = _migrated(reachable, file_mode=0o666, directory_mode=0o555)
    with _without_rights():
        assert "can't be written" in await _refusal(path)


async def test_a_file_that_anyone_may_write_is_not_refused(reachable: Path) -> None:
    path = _migrated(reachable, file_mode=0o666, directory_mode=0o777)
    with _without_rights():
        async with opened(path):
            pass


async def test_a_second_store_on_the_same_file_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    async with opened(path):
        assert "Another process serves from the database" in await _refusal(path)
    async with opened(path):
        pass


PROGRAM = """
import asyncio, sys
from storage.store import open_store
from tests.contract.world import SetClock

async def main():
    async with open_store(sys.argv[1], clock=SetClock(), on_commit=print):
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_process_that_is_killed_leaves_the_file_to_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "mgx.db"
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, f"sqlite+aiosqlite:///{path}", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert await other.stdout.readline() == b"open\n"
        assert "Another process serves from the database" in await _refusal(path)
    finally:
        other.kill()
        await other.wait()
    async with opened(path):
        pass


async def test_a_database_without_a_file_lasts_as_long_as_its_store() -> None:
    made = task()
    for _ in range(2):
        async with open_store("sqlite+aiosqlite://", clock=SetClock(), on_commit=lambda _: None) as store:
            async with store.read(ANONYMOUS) as view:
                assert await view.tasks.many([made.id]) == {}
            async with store.write(ANONYMOUS) as tx:
                await tx.tasks.insert(made)
            async with store.read(ANONYMOUS) as view:
                assert await view.tasks.many([made.id]) == {made.id: made}


async def test_the_file_is_in_wal_mode_so_that_reads_and_writes_go_side_by_side(tmp_path: Path) -> None:
    async with opened(tmp_path / "mgx.db"):
        with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
