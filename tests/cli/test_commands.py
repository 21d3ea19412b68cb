"""What a person does about a run from the command line, and the commands that need no server."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from graph.cli import main
from graph.schema import sdl
from storage.migrate import HEAD
from tests.cli.support import assert_one_line, find_run, run_waiting
from tests.servers import Server

ROOT = Path(__file__).parent.parent.parent


def test_approving_lets_the_plan_be_executed(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = run_waiting(server, steps=1, stepSeconds=0)
    assert main(["approve", run_id, "--plan-version", "1", "--feedback", "Fine", "--url", server.url]) == 0
    assert run_id in capsys.readouterr().out
    assert main(["watch", run_id, "--url", server.url]) == 0
    assert find_run(server, run_id)["decisions"] == [{"kind": "APPROVED", "feedback": "Fine", "planVersion": 1}]


def test_rejecting_ends_the_run(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGX_URL", f"{server.url}/")
    run_id = run_waiting(server)
    assert main(["reject", run_id, "--feedback", "Too long"]) == 0
    assert "REJECTED" in capsys.readouterr().out
    run = find_run(server, run_id)
    assert run["status"] == "REJECTED"
    assert run["decisions"] == [{"kind": "REJECTED", "feedback": "Too long", "planVersion": 1}]


def test_a_plan_goes_back_with_feedback(server: Server) -> None:
    run_id = run_waiting(server)
    assert main(["request-changes", run_id, "--feedback", "Shorter", "--url", server.url]) == 0
    decisions = find_run(server, run_id)["decisions"]
    assert decisions == [{"kind": "CHANGES_REQUESTED", "feedback": "Shorter", "planVersion": 1}]


def test_cancelling_ends_the_run(server: Server) -> None:
    run_id = run_waiting(server)
    assert main(["cancel", run_id, "--reason", "Not today", "--url", server.url]) == 0
    assert find_run(server, run_id)["status"] == "CANCELLED"


def test_a_plan_that_is_not_the_one_that_was_seen_is_not_approved(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = run_waiting(server)
    assert main(["approve", run_id, "--plan-version", "2", "--url", server.url]) == 1
    assert_one_line(capsys.readouterr().err)
    assert find_run(server, run_id)["status"] == "AWAITING_APPROVAL"


@pytest.mark.parametrize("command", ["approve", "reject", "cancel", "watch"])
def test_an_unknown_run_is_said_to_be_unknown(server: Server, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "run_00000000000000000000000000", "--url", server.url]) == 1
    assert_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("command", ["approve", "watch"])
def test_nobody_listening_is_one_clear_line(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert main([command, "run_1", "--url", f"http://127.0.0.1:{port}"]) == 1
    complaint = capsys.readouterr().err
    assert_one_line(complaint)
    assert f"127.0.0.1:{port}" in complaint
    assert "mgx serve" in complaint


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://example.org", "http://"])
def test_what_is_no_address_is_refused(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["approve", "run_1", "--url", url]) == 2
    assert_one_line(capsys.readouterr().err)


def test_another_web_server_is_not_taken_for_ours(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["approve", "run_1", "--url", f"{server.url}/elsewhere"]) == 1
    assert_one_line(capsys.readouterr().err)


def test_the_schema_is_the_file_in_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == sdl()
    assert main(["schema", "--check", str(ROOT / "schema.graphql")]) == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_differs_from_the_schema_is_shown_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "schema.graphql"
    changed.write_text(sdl().replace("createRun(", "makeRun("))
    assert main(["schema", "--check", str(changed)]) == 1
    out = capsys.readouterr().out
    assert "-  makeRun(" in out
    assert "+  createRun(" in out


def test_a_missing_file_to_check_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--check", str(tmp_path / "none.graphql")]) == 1
    assert_one_line(capsys.readouterr().err)


def test_migrating_makes_the_schema_and_is_safe_to_repeat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mgx.db"
    for _ in range(2):
        assert main(["migrate", "--database-url", f"sqlite+aiosqlite:///{path}"]) == 0
        assert HEAD in capsys.readouterr().out
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)


def test_a_database_that_can_not_be_migrated_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mgx.db"
    path.write_text("This is no database, but it is long enough to be taken for one by its size. " * 10)
    assert main(["migrate", "--database-url", f"sqlite+aiosqlite:///{path}"]) == 1
    assert_one_line(capsys.readouterr().err)


def test_the_packaged_playbook_is_found_to_be_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "check", str(ROOT / "teams/playbooks/analyze-sales/playbook.yaml")]) == 0
    assert "can be run" in capsys.readouterr().out


def test_faults_of_a_playbook_are_listed_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("description: Mine\nsteps:\n  - key: one\n    title: One\n    command: rm -rf /\n")
    assert main(["playbook", "check", str(path)]) == 1
    assert f"{path}: line 5" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("mgx-graph 0.")


def test_without_a_command_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "usage: mgx" in capsys.readouterr().err
