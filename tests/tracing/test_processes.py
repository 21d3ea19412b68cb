"""`mgx serve` with and without a collector, as an operator starts it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.backing import PostgresServer
from tests.cli.support import api, assert_one_line
from tests.servers import Server, environment, running_server, start_process, start_server
from tests.tracing.collector import Collector, collecting

OFFLINE = """
import asyncio, sys
from graph.bootstrap import open_application
from graph.settings import Settings
from domain.model import ANONYMOUS
from domain.services.inputs import NewTask

async def main():
    async with open_application(Settings()) as application:
        await application.services.tasks.create(ANONYMOUS, NewTask(name="A task"))

asyncio.run(main())
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""

TASK = """mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } } }"""
RUN = """mutation ($input: CreateRunInput!) { createRun(input: $input) { run { id } } }"""


def new_task(server: Server) -> str:
    config = {"planSeconds": 0, "steps": 1, "stepSeconds": 3}
    fields = {"name": "A task", "team": "rehearsal", "config": config}
    return str(api(server, TASK, input=fields)["createTask"]["task"]["id"])


def exporting_to(collector: Collector) -> dict[str, str]:
    return {
        "MGX_TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }


def worker(span: Span) -> str:
    (name,) = (item.value.string_value for item in span.attributes if item.key == "mgx.worker")
    return str(name)


@pytest.fixture
def shared(postgres: PostgresServer, postgres_database: str) -> dict[str, str]:
    """Return the settings of processes that share a database, and take over soon."""
    return {"MGX_DATABASE_URL": postgres.url(postgres_database, driver="psycopg"), "MGX_LEASE": "3"}


def test_without_traces_nothing_of_opentelemetry_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OFFLINE]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_killed_servers_run_goes_on_in_its_trace(tmp_path: Path) -> None:
    with collecting() as collector:
        env = {**exporting_to(collector), "OTEL_SERVICE_NAME": "mgx-here"}
        server = start_server(tmp_path, **env)
        try:
            api(server, RUN, input={"taskId": new_task(server), "autoApprove": True})
            created = collector.wait_for("mutation createRun")
            collector.wait_for("run.plan")
        finally:
            server.kill()
        with running_server(tmp_path, **env):
            work = collector.wait_for("run.execute")
            resumed = collector.wait_for("run.resumed")
    assert work.trace_id == resumed.trace_id == created.trace_id
    assert work.parent_span_id == created.span_id
    assert collector.services == {"mgx-here"}


def test_a_request_and_the_work_of_several_processes_are_one_trace(tmp_path: Path, shared: dict[str, str]) -> None:
    with collecting() as collector, ExitStack() as stack:
        env = {**shared, **exporting_to(collector)}
        server = start_server(tmp_path, "--workers=0", **env)
        stack.callback(server.stop)
        lost = start_process(tmp_path, "worker", name="lost", **env)
        stack.callback(lost.kill)
        api(server, RUN, input={"taskId": new_task(server), "autoApprove": True})
        created, planned = collector.wait_for("mutation createRun"), collector.wait_for("run.plan")
        lost.kill()
        other = start_process(tmp_path, "worker", name="other", **env)
        stack.callback(other.stop)
        work = collector.wait_for("run.execute")
    assert created.trace_id == planned.trace_id == work.trace_id
    assert worker(planned) != worker(work)
    assert [event.name for event in work.events] == ["COMPLETION"]


def test_a_collector_that_is_not_there_costs_nobody_anything(tmp_path: Path) -> None:
    with collecting() as collector:
        nowhere = collector.url
    server = start_server(tmp_path, MGX_TRACES="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=nowhere)
    try:
        assert new_task(server)
    finally:
        code = server.stop()
    assert code == 0
    assert "Traceback" not in server.log.read_text()


def test_without_the_extra_the_start_ends_with_one_line(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['opentelemetry.exporter'] = None\nfrom graph.cli import main\nsys.exit(main())"
    command = [sys.executable, "-c", hide, "serve", "--traces", "otlp"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert_one_line(done.stderr)
    assert "--traces is 'otlp'" in done.stderr
    assert "mgx-graph[otel]" in done.stderr


@pytest.mark.parametrize("value", ["jaeger", "on"])
def test_a_destination_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    env = environment(tmp_path, {"MGX_TRACES": value})
    command = [sys.executable, "-m", "graph.cli", "serve"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "MGX_TRACES" in done.stderr
    assert done.returncode == 2
