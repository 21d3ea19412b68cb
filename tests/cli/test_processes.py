"""`mgx serve --processes N`: one port, several processes that are watched."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.backing import PostgresServer
from tests.cli.support import SECONDS, create_run, find_run, mgx, mgx_inside
from tests.servers import Server, start_server

PROCESSES = 2
_BEGUN = re.compile(r"process (\d) of the server begins, pid (\d+)")


@pytest.fixture
def metrics_port() -> int:
    """Return the first of free ports that follow one another."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first, suppress(OSError):
            port = int(first.getsockname()[1])
            socket.create_server(("127.0.0.1", port + 1)).close()
            return port


@pytest.fixture
def served(tmp_path: Path, postgres: PostgresServer, postgres_database: str, metrics_port: int) -> Iterator[Server]:
    server = start_server(
        tmp_path,
        MGX_DATABASE_URL=postgres.url(postgres_database, driver="psycopg"),
        MGX_PROCESSES=str(PROCESSES),
        MGX_METRICS_PORT=str(metrics_port),
        MGX_LOG_FORMAT="console",
    )
    try:
        yield server
    finally:
        server.kill()


def pids(server: Server) -> list[int]:
    """Return which process began at each place last."""
    return list({int(place): int(pid) for place, pid in _BEGUN.findall(server.log.read_text())}.values())


def started(metrics_port: int) -> list[str]:
    """Return when each process says that it was started, once it answers."""
    ports = range(metrics_port, metrics_port + PROCESSES)
    texts = [httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS).text for port in ports]
    return [line for text in texts for line in text.splitlines() if line.startswith("process_start_time_seconds ")]


def watched(processes: Sequence[int]) -> list[int]:
    """Return files that can be read once the processes have ended."""
    return [os.pidfd_open(pid) for pid in processes]


def await_ends(files: Sequence[int]) -> None:
    for file in files:
        assert select.select([file], [], [], SECONDS)[0], "a process lives on"
        os.close(file)


def test_every_process_works_at_the_port_and_has_metrics_at_one_of_its_own(served: Server, metrics_port: int) -> None:
    assert len(set(started(metrics_port))) == PROCESSES
    assert httpx.get(f"{served.url}/metrics").status_code == 404
    assert httpx.get(f"http://127.0.0.1:{metrics_port}/graphql").status_code == 404
    run = create_run(served, auto_approve=True, steps=1, stepSeconds=0, planSeconds=0)
    assert mgx("watch", run, "--url", served.url, cwd=served.log.parent).code == 0
    assert find_run(served, run)["status"] == "COMPLETED"


def test_a_process_that_ends_is_replaced(served: Server, metrics_port: int) -> None:
    before, (victim, other) = started(metrics_port), pids(served)
    ends = watched([victim])
    os.kill(victim, signal.SIGKILL)
    await_ends(ends)
    after = started(metrics_port)  # its port is open all the time, so that this waits for the next one
    assert after[0] != before[0]
    assert after[1:] == before[1:]
    assert pids(served)[1] == other
    assert "ended with code -9" in served.log.read_text()


def test_sigterm_ends_them_all(served: Server) -> None:
    ends = watched(pids(served))
    assert served.stop() == 0
    await_ends(ends)
    assert "Traceback" not in served.log.read_text()


def test_none_outlives_the_one_that_started_them(served: Server) -> None:
    ends = watched(pids(served))
    served.kill()
    await_ends(ends)


def test_what_is_wrong_is_said_once(tmp_path: Path, postgres: PostgresServer) -> None:
    done = mgx("serve", "--processes=2", cwd=tmp_path, MGX_DATABASE_URL=postgres.url("nowhere", driver="psycopg"))
    assert done.code == 1
    assert done.err.count("mgx: ") == 1


def test_on_sqlite_one_process_does_all(tmp_path: Path) -> None:
    done = mgx_inside("serve", "--processes=2", cwd=tmp_path)
    assert done.code == 2
    assert "PostgreSQL" in done.err
