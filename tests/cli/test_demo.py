"""`mgx demo` from its first line to its last, without a terminal and on one."""

import re
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from storage.database import owned
from tests.cli.support import assert_one_line, mgx
from tests.cli.terminal import on_a_terminal

ADDRESS = re.compile(r"GraphiQL\s+(http://127\.0\.0\.1:\d+)/graphiql")


def assert_ended(url: str) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")


def test_without_a_terminal_it_approves_shows_the_report_and_ends_with_0(tmp_path: Path) -> None:
    demo = mgx("demo", cwd=tmp_path)
    assert demo.code == 0, demo.err
    assert demo.err == ""
    for part in ("Analyze Sales Data", "RUN_CREATED", "APPROVAL_REQUIRED", "APPROVED", "COMPLETION", "COMPLETED"):
        assert part in demo.out
    assert "# Sales from 2025-01-02 to 2025-12-31" in demo.out
    assert "\x1b" not in demo.out
    address = ADDRESS.search(demo.out)
    assert address is not None
    assert_ended(address[1])


def test_on_a_terminal_a_plan_goes_back_is_approved_and_the_server_goes_on(tmp_path: Path) -> None:
    with on_a_terminal("demo", cwd=tmp_path) as demo:
        demo.read_until("Version 1: approve (a), reject (r), or send it back with feedback (f)")
        demo.type("f\n")
        demo.read_until("Feedback")
        demo.type("Only the north\n")
        assert "Answers: Only the north" in demo.read_until("Version 2: approve")
        demo.type("a\n")
        shown = demo.read_until("Ctrl-C ends it")
        assert "The run is COMPLETED" in shown
        assert "Sales from 2025-01-02 to 2025-12-31" in shown
        address = ADDRESS.search(shown)
        assert address is not None
        assert httpx.get(f"{address[1]}/readyz").status_code == 200
        assert httpx.get(f"{address[1]}/graphiql").status_code == 200
        assert demo.leave(signal.SIGINT) == 0
        assert_ended(address[1])


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_leaving_in_the_middle_ends_the_server_too(tmp_path: Path, how: signal.Signals, code: int) -> None:
    with on_a_terminal("demo", cwd=tmp_path) as demo:
        url = re.findall(r"http://127\.0\.0\.1:\d+", demo.read_until("Version 1: approve"))[0]
        assert demo.leave(how) == code
    assert "Traceback" not in demo.seen
    assert_ended(url)


def test_rejecting_ends_the_run_and_not_the_server(tmp_path: Path) -> None:
    with on_a_terminal("demo", cwd=tmp_path) as demo:
        demo.read_until("Version 1: approve")
        demo.type("r\n")
        assert "The run is REJECTED" in demo.read_until("Ctrl-C ends it")
        assert demo.leave(signal.SIGINT) == 0


def test_the_database_of_another_server_is_refused_in_one_line(tmp_path: Path) -> None:
    with owned(tmp_path / "mgx.db"):
        demo = mgx("demo", cwd=tmp_path)
    assert demo.code == 1
    assert_one_line(demo.err)
    assert "mgx.db" in demo.err


def test_a_port_that_was_asked_for_and_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        demo = mgx("demo", "--port", port, cwd=tmp_path)
    assert demo.code == 1
    assert_one_line(demo.err)
    assert port in demo.err


def test_it_takes_another_port_when_the_usual_one_is_taken(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with suppress(OSError):  # whoever has it, it is taken
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        with on_a_terminal("demo", cwd=tmp_path, MGX_PORT="") as demo:
            address = re.search(r"http://127\.0\.0\.1:(\d+)", demo.read_until("createTask"))
            assert demo.leave(signal.SIGTERM) == 143
    assert address is not None
    assert address[1] != "8000"
