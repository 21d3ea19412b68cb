"""What a server logs: lines for programs, with the ids of what was being done."""

import json
import logging
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.log_context import doing
from graph.logs import ConsoleFormatter, JsonFormatter
from tests.cli.support import create_run, mgx_inside, run_waiting, until
from tests.servers import Server, running_server, start_server

TEAM = '''
import logging


class Loud:
    """Logs, and fails."""

    def __init__(self, config):
        pass

    async def plan(self, context):
        logging.getLogger("loud").warning("two\\nlines")
        raise RuntimeError("on purpose")
        yield

    async def execute(self, context):
        yield None
'''


def records(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def test_a_mistake_of_ours_is_one_record_with_the_request_s_id(tmp_path: Path) -> None:
    assert mgx_inside("migrate", cwd=tmp_path).code == 0
    with closing(sqlite3.connect(tmp_path / "mgx.db")) as connection, connection:
        connection.execute("DROP TABLE metrics")
    with running_server(tmp_path) as server:
        query = {"query": "{ metrics { totalCount } }"}
        answer = httpx.post(f"{server.url}/graphql", json=query, headers={"x-request-id": "mine-1"}).json()
        assert answer["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "mine-1"}
        server.stop()
        (record,) = records(server)
    assert (record["level"], record["logger"], record["request_id"]) == ("error", "graph.errors", "mine-1")
    assert "no such table: metrics" in record["exception"]
    assert record["time"].endswith("Z")


def test_what_a_client_can_expect_is_not_logged(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    for query in ("{", "{ nobody }", "{ tasks(first: 1000) { totalCount } }"):
        assert "errors" in httpx.post(f"{server.url}/graphql", json={"query": query}).json()
    server.stop()
    assert server.log.read_text() == ""


def test_what_a_team_logs_names_its_run_and_no_request(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "loud.py").write_text(TEAM)
    with running_server(tmp_path, MGX_TEAMS="loud=loud:Loud", MGX_TEAM_PATH=str(folder)) as server:
        run_id = create_run(server, auto_approve=True, team="loud")
        until(server, run_id, "FAILURE")
        server.stop()
        said, failed = records(server)
    assert (said["message"], said["run_id"]) == ("two\nlines", run_id)
    assert (failed["run_id"], failed["task_id"]) == (run_id, said["task_id"])
    assert "RuntimeError: on purpose" in failed["exception"]
    assert "request_id" not in said


def test_on_the_console_the_ids_stand_behind_the_message(tmp_path: Path) -> None:
    record = logging.LogRecord("team", logging.INFO, __file__, 1, "It %s", ("works",), None)
    with doing(run_id="run_1"), doing(task_id="task_1"):
        line = ConsoleFormatter().format(record)
    assert line.endswith("Z INFO team: It works [run_id=run_1 task_id=task_1]")
    assert ConsoleFormatter().format(record).endswith("Z INFO team: It works")


def test_a_traceback_and_any_message_are_one_line_of_json() -> None:
    try:
        int("a\nb \u2028 \ud800")
    except ValueError:
        record = logging.LogRecord("team", logging.ERROR, __file__, 1, "It\nfailed \u2028", None, sys.exc_info())
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.count("\n") == 0
    said = json.loads(line)
    assert said["message"] == "It\nfailed \u2028"
    assert "Traceback" in said["exception"]


@pytest.mark.parametrize("format_", ["console", "json"])
def test_the_format_can_be_chosen(tmp_path: Path, format_: str) -> None:
    with running_server(tmp_path, MGX_LOG_FORMAT=format_, MGX_LOG_LEVEL="debug") as server:
        run_waiting(server)
        server.stop()
        lines = server.log.read_text().splitlines()
    assert lines
    assert all(line.startswith("{") for line in lines) is (format_ == "json")
