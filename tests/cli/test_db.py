"""`mgx db`: backups made under load, put back elsewhere, and what a check finds."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.cli.support import Finished, api, assert_one_line, create_run, find_run, mgx, mgx_inside, run_waiting, until
from tests.servers import Server, running_server, start_server

QUICK: Final[dict[str, Any]] = {"steps": 2, "stepSeconds": 0, "planSeconds": 0, "artifactsPerStep": 1}
Events = dict[str, list[tuple[int, str]]]


def rows(path: Path, statement: str, *values: Any) -> list[Any]:
    """Execute a statement as nobody else does."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def events(path: Path) -> Events:
    """Return the sequence and id of each run's events."""
    found: Events = {}
    ordered = "SELECT run_id, sequence, id FROM events WHERE sequence IS NOT NULL ORDER BY run_id, sequence"
    for run_id, sequence, event_id in rows(path, ordered):
        found.setdefault(run_id, []).append((sequence, event_id))
    return found


@contextmanager
def working(server: Server) -> Iterator[None]:
    """Have runs created all the while."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            create_run(server, auto_approve=True, **QUICK)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def refused(done: Finished) -> str:
    assert done.code == 1, done
    assert_one_line(done.err)
    return done.err


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_a_backup_under_load_is_a_prefix_of_the_log_and_its_runs_go_on(tmp_path: Path, elsewhere: Path) -> None:
    backup = tmp_path / "backup.db"
    with running_server(tmp_path) as server:
        waiting = run_waiting(server, **QUICK)
        busy = create_run(server, auto_approve=True, **(QUICK | {"stepSeconds": 0.5}))
        until(server, busy, "PROGRESS")
        with working(server):
            for _ in range(5):
                create_run(server, auto_approve=True, **QUICK)
            assert mgx_inside("db", "backup", str(backup), cwd=tmp_path).code == 0
        cursor = api(server, "{ eventCursor }")["eventCursor"]
        server.kill()

    whole, kept = events(tmp_path / "mgx.db"), events(backup)
    assert len(kept) >= 7
    for run_id, log in kept.items():
        assert [sequence for sequence, _ in log] == list(range(1, len(log) + 1))
        assert log == whole[run_id][: len(log)]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("backup.db")] == ["backup.db"]

    assert mgx("db", "restore", str(backup), cwd=elsewhere).code == 0
    checked = mgx_inside("db", "check", "--all", cwd=elsewhere)
    assert (checked.code, "states: no problems in" in checked.out) == (0, True), checked
    with running_server(elsewhere) as server:
        until(server, busy, "COMPLETION")
        approve = "mutation($id: ID!) { approveRun(input: {runId: $id, approved: true}) { userErrors { message } } }"
        assert api(server, approve, id=waiting)["approveRun"]["userErrors"] == []
        until(server, waiting, "COMPLETION")
        sequences = [event["sequence"] for event in find_run(server, busy)["events"]["nodes"]]
        assert sequences == list(range(1, len(sequences) + 1))
        query = {"query": f'{{ events(after: "{cursor}") {{ nodes {{ id }} }} }}'}
        answer = httpx.post(f"{server.url}/graphql", json=query).json()
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert mgx_inside("db", "check", "--all", cwd=elsewhere).code == 0


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    assert mgx_inside("migrate", cwd=tmp_path).code == 0
    (tmp_path / "notes.txt").write_text("mine")
    assert "notes.txt exists" in refused(mgx_inside("db", "backup", "notes.txt", cwd=tmp_path))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    for command in ("backup", "restore"):
        assert "no database" in refused(mgx_inside("db", command, "file.db", cwd=tmp_path))
    assert "no database" in refused(mgx_inside("db", "check", cwd=tmp_path))
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_a_restore_is_refused_while_a_server_has_the_database(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    assert mgx_inside("db", "backup", "backup.db", cwd=tmp_path).code == 0
    assert "stop it first" in refused(mgx_inside("db", "restore", "backup.db", cwd=tmp_path))
    assert server.stop() == 0
    assert mgx_inside("db", "restore", "backup.db", cwd=tmp_path).code == 0


def test_what_a_restore_replaces_is_kept(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        first = create_run(server, auto_approve=True, **QUICK)
        until(server, first, "COMPLETION")
        assert mgx_inside("db", "backup", "backup.db", cwd=tmp_path).code == 0
        second = create_run(server, auto_approve=True, **QUICK)
        until(server, second, "COMPLETION")
        server.kill()  # its last commits are in the -wal
    done = mgx_inside("db", "restore", "backup.db", cwd=tmp_path)
    assert done.code == 0, done
    (replaced,) = [path for path in tmp_path.glob("mgx.db.replaced-*") if path.suffix.endswith("Z")]
    assert str(replaced) in done.out
    assert set(events(tmp_path / "mgx.db")) == {first}
    assert set(events(replaced)) == {first, second}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"No database at all. " * 500, "can't be copied"),
        (b"", "no database of mgx"),
    ],
)
def test_only_a_backup_of_ours_is_restored(tmp_path: Path, content: bytes, said: str) -> None:
    assert mgx_inside("migrate", cwd=tmp_path).code == 0
    before = (tmp_path / "mgx.db").read_bytes()
    (tmp_path / "backup.db").write_bytes(content)
    assert said in refused(mgx_inside("db", "restore", "backup.db", cwd=tmp_path))
    assert (tmp_path / "mgx.db").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_of_a_newer_version_is_not_restored(tmp_path: Path) -> None:
    assert mgx_inside("migrate", cwd=tmp_path).code == 0
    assert mgx_inside("db", "backup", "backup.db", cwd=tmp_path).code == 0
    rows(tmp_path / "backup.db", "UPDATE alembic_version SET version_num = '9999'")
    assert "newer version" in refused(mgx_inside("db", "restore", "backup.db", cwd=tmp_path))


def lose_an_event(path: Path) -> None:
    rows(path, "DELETE FROM events WHERE sequence = 2")


def end_twice(path: Path) -> None:
    rows(path, "UPDATE events SET type = 'FAILURE' WHERE type = 'PLAN_READY'")


def reopen(path: Path) -> None:
    rows(path, "UPDATE runs SET status = 'RUNNING'")


def forget_progress(path: Path) -> None:
    rows(path, "UPDATE runs SET progress = 0.25")


def forget_an_output(path: Path) -> None:
    rows(path, "UPDATE steps SET status = 'PENDING' WHERE position = 1")


def lose_a_task(path: Path) -> None:
    rows(path, "DELETE FROM tasks")


def age(path: Path) -> None:
    rows(path, "UPDATE alembic_version SET version_num = '0000'")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_an_event, "should have the events 1 to"),
        (end_twice, "terminal events"),
        (reopen, "terminal events"),
        (forget_progress, "not what its events tell: progress"),
        (forget_an_output, "not what its events tell: plan"),
        (lose_a_task, "refers to a row of tasks"),
        (age, "mgx migrate"),
    ],
)
def test_a_check_finds_what_is_wrong(
    finished_database: Path, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    with closing(sqlite3.connect(finished_database)) as source, closing(sqlite3.connect(tmp_path / "mgx.db")) as copy:
        source.backup(copy)
    assert mgx_inside("db", "check", cwd=tmp_path).code == 0
    harm(tmp_path / "mgx.db")
    done = mgx_inside("db", "check", cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    assert said in done.out


@pytest.fixture(scope="module")
def finished_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with a run that has completed."""
    folder = tmp_path_factory.mktemp("finished")
    with running_server(folder) as server:
        until(server, create_run(server, auto_approve=True, **QUICK), "COMPLETION")
    return folder / "mgx.db"


def test_postgresql_is_referred_to_its_own_tools(tmp_path: Path) -> None:
    url = "postgresql+psycopg://mgx@localhost/mgx"
    assert "pg_dump" in refused(mgx_inside("db", "backup", "backup.db", cwd=tmp_path, MGX_DATABASE_URL=url))
