"""`mgx watch`, as a process and without a terminal: lines, exit codes, cuts."""

import signal
from pathlib import Path
from typing import IO, Any

from graph.cli import main
from tests.cli.support import SECONDS, create_run, find_run, mgx, run_waiting, running
from tests.cli.terminal import on_a_terminal
from tests.servers import Server, start_server


def sequences(lines: list[str]) -> list[int]:
    return [int(line.split(" ")[1]) for line in lines]


def read_until(stream: IO[str], type_: str) -> list[str]:
    lines = []
    for line in stream:
        lines.append(line)
        if f" {type_} " in line:
            return lines
    raise AssertionError(f"There was no {type_}: {lines}")


def test_each_event_is_a_line_with_time_sequence_type_and_message(server: Server, tmp_path: Path) -> None:
    run_id = create_run(server, auto_approve=True, steps=2, stepSeconds=0)
    watch = mgx("watch", run_id, "--url", server.url, cwd=tmp_path)
    assert watch.code == 0, watch.err
    assert watch.err == ""
    events = find_run(server, run_id)["events"]["nodes"]
    assert watch.out.splitlines() == [
        f"{event['timestamp']} {event['sequence']} {event['type']} {event['message']}" for event in events
    ]


def test_on_a_terminal_the_whole_run_is_drawn(server: Server, tmp_path: Path) -> None:
    run_id = run_waiting(server, steps=2, stepSeconds=0)
    with on_a_terminal("watch", run_id, "--url", server.url, cwd=tmp_path) as watch:
        watch.read_until("AWAITING_APPROVAL")
        assert main(["approve", run_id, "--url", server.url]) == 0
        shown = watch.read_until("COMPLETED")
        watch.read_rest()
        assert watch.process.wait(SECONDS) == 0
    for part in ("Rehearse, run 1", "Step 1", "Step 2", "Log"):
        assert part in watch.seen
    assert "━" in shown


def test_a_run_that_fails_ends_it_with_1(server: Server, tmp_path: Path) -> None:
    run_id = create_run(server, auto_approve=True, steps=2, stepSeconds=0, failAt=2)
    watch = mgx("watch", run_id, "--url", server.url, cwd=tmp_path)
    assert watch.code == 1
    assert " FAILURE " in watch.out.splitlines()[-1]


def test_ctrl_c_ends_it_with_130_and_nothing_said(server: Server, tmp_path: Path) -> None:
    run_id = run_waiting(server)
    with running("watch", run_id, "--url", server.url, cwd=tmp_path) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        read_until(watch.stdout, "APPROVAL_REQUIRED")
        watch.send_signal(signal.SIGINT)
        assert watch.wait(SECONDS) == 130
        assert watch.stderr.read() == ""


def test_it_goes_on_without_gap_or_repeat_when_the_server_is_killed_and_started_again(tmp_path: Path) -> None:
    first = start_server(tmp_path)
    second: Server | None = None
    try:
        run_id = run_waiting(first, steps=20, stepSeconds=0.2)
        with running("watch", run_id, "--url", first.url, cwd=tmp_path) as watch:
            assert watch.stdout is not None
            assert watch.stderr is not None
            lines = read_until(watch.stdout, "APPROVAL_REQUIRED")
            assert main(["approve", run_id, "--url", first.url]) == 0
            lines += read_until(watch.stdout, "PROGRESS")
            first.kill()
            assert "Trying again" in watch.stderr.readline()
            second = start_server(tmp_path, MGX_PORT=str(first.port))
            lines += watch.stdout
            assert watch.wait(SECONDS) == 0
        events: list[dict[str, Any]] = find_run(second, run_id)["events"]["nodes"]
        assert sequences(lines) == list(range(1, len(events) + 1))
        assert [line.split(" ")[2] for line in lines] == [event["type"] for event in events]
        assert any(event["type"] == "RESUMED" for event in events)
    finally:
        first.kill()
        if second is not None:
            assert second.stop() == 0


def test_it_waits_through_an_orderly_restart_as_well(tmp_path: Path) -> None:
    first = start_server(tmp_path)
    second: Server | None = None
    try:
        run_id = run_waiting(first)
        with running("watch", run_id, "--url", first.url, cwd=tmp_path) as watch:
            assert watch.stdout is not None
            lines = read_until(watch.stdout, "APPROVAL_REQUIRED")
            assert first.stop() == 0
            second = start_server(tmp_path, MGX_PORT=str(first.port))
            assert main(["reject", run_id, "--url", second.url]) == 0
            lines += watch.stdout
            assert watch.wait(SECONDS) == 1
        assert sequences(lines) == list(range(1, len(lines) + 1))
        assert " REJECTED " in lines[-1]
    finally:
        first.kill()
        if second is not None:
            assert second.stop() == 0
