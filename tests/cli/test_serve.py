"""`mgx serve`: how it starts, how it refuses to, and how it ends."""

import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.support import SECONDS, api, assert_one_line, create_run, mgx, mgx_inside, running, until
from tests.servers import Server, running_server, start_server

TEAM = '''
class Mine:
    """A team from outside."""

    def __init__(self, config):
        pass

    async def plan(self, context):
        yield None

    async def execute(self, context):
        yield None
'''


STUBBORN = '''
import asyncio
import time

from domain.model import PlanStep
from domain.plan import PlanDraft
from domain.signals import StepStarted


class Stubborn:
    """A team that takes no notice of the end."""

    def __init__(self, config):
        pass

    async def plan(self, context):
        yield PlanDraft(summary="Go on", steps=(PlanStep(key="one", title="One"),))

    async def execute(self, context):
        yield StepStarted(key="one")
        sleeping = asyncio.to_thread(time.sleep, 3600)
        while True:
            try:
                await sleeping
            except asyncio.CancelledError:
                sleeping = asyncio.sleep(3600)
'''


def refusal(cwd: Path, *flags: str, **env: str) -> str:
    done = mgx("serve", *flags, cwd=cwd, **env)
    assert done.code == 1, done
    assert done.out == ""
    assert_one_line(done.err)
    return done.err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, how: signal.Signals) -> None:
    server = start_server(tmp_path)
    server.process.send_signal(how)
    assert server.stop() == 0
    assert server.log.read_text() == ""


def test_a_team_that_does_not_stop_can_not_keep_it_from_ending(tmp_path: Path) -> None:
    (tmp_path / "stubborn_team.py").write_text(STUBBORN)
    env = {
        "MGX_TEAM_PATH": str(tmp_path),
        "MGX_TEAMS": "stubborn=stubborn_team:Stubborn",
        "MGX_CANCEL_GRACE": "0.2",
    }
    with running_server(tmp_path, **env) as server:
        run_id = create_run(server, auto_approve=True, team="stubborn")
        until(server, run_id, "PROGRESS")
        assert server.stop() == 0
    with running_server(tmp_path, **env) as server:
        until(server, run_id, "RESUMED")


def test_it_prints_one_line_when_it_is_ready(tmp_path: Path) -> None:
    with running("serve", cwd=tmp_path) as serve:
        assert serve.stdout is not None
        line = serve.stdout.readline()
        serve.terminate()
        assert serve.wait(SECONDS) == 0
        assert serve.stdout.read() == ""
    assert line.startswith("mgx serves at http://127.0.0.1:")
    assert line.rstrip().endswith("/graphiql")


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        complaint = refusal(tmp_path, f"--port={port}")
    assert str(port) in complaint
    assert not (tmp_path / "mgx.db").exists()


def test_a_second_server_on_the_same_database_is_refused(tmp_path: Path) -> None:
    with running_server(tmp_path):
        complaint = refusal(tmp_path)
    assert str(tmp_path / "mgx.db") in complaint


def test_a_corrupt_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mgx.db").write_bytes(b"No database at all. " * 500)
    assert str(tmp_path / "mgx.db") in refusal(tmp_path)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    assert mgx_inside("migrate", cwd=tmp_path).code == 0
    with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "newer" in refusal(tmp_path)


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'mgx.db'}"
    assert "nowhere" in refusal(tmp_path, MGX_DATABASE_URL=url)


@pytest.mark.parametrize(
    ("teams", "said"),
    [
        ("mine=no_such_package.teams:make", "no_such_package"),
        ("mine=json:no_such_factory", "no_such_factory"),
        ("mine", "mine"),
        ("rehearsal=json:loads", "rehearsal"),
    ],
)
def test_a_team_that_can_not_be_had_stops_the_start(tmp_path: Path, teams: str, said: str) -> None:
    assert said in refusal(tmp_path, MGX_TEAMS=teams)


def test_teams_of_ones_own_are_found_in_the_team_path(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "my_team.py").write_text(TEAM)
    with running_server(tmp_path, MGX_TEAMS="mine=my_team:Mine", MGX_TEAM_PATH=str(folder)) as server:
        assert {"name": "mine", "description": "A team from outside."} in teams(server)


def test_a_package_of_ours_in_the_team_path_stays_ours(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "teams"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('taken for ours')")
    with running_server(tmp_path, MGX_TEAM_PATH=str(folder.parent)) as server:
        assert {team["name"] for team in teams(server)} == {"playbook", "rehearsal"}


@pytest.mark.parametrize("name", ["domain", "storage", "teams"])
def test_a_package_that_hides_one_of_ours_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "theirs" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    complaint = refusal(tmp_path, PYTHONPATH=str(folder.parent))
    assert repr(name) in complaint
    assert str(folder) in complaint


def teams(server: Server) -> list[dict[str, str]]:
    found: list[dict[str, str]] = api(server, "{ teams { name description } }")["teams"]
    return found
