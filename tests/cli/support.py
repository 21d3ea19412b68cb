"""Runs commands as a user does, and asks the API what they did."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import aclosing, chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from graph.cli import main
from graph.client import Client
from graph.commands.operations import run_events
from tests.servers import MGX, Server, environment

SECONDS = 60


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


def mgx(*arguments: str, cwd: Path, **env: str) -> Finished:
    """Run a command to its end, without a terminal."""
    done = subprocess.run(
        [MGX, *arguments],
        cwd=cwd,
        env=environment(cwd, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def mgx_inside(*arguments: str, cwd: Path, **env: str) -> Finished:
    """Run a command like `mgx`, in this process: quicker, for all that leave a process as they found it."""
    out, err = StringIO(), StringIO()
    there = patch.dict(os.environ, environment(cwd, env), clear=True)
    with chdir(cwd), there, redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    return Finished(code, out.getvalue(), err.getvalue())


@contextmanager
def running(*arguments: str, cwd: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Have a command run while the block does; its lines can be read as they come."""
    with subprocess.Popen(
        [MGX, *arguments],
        cwd=cwd,
        env=environment(cwd, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_one_line(text: str) -> None:
    """Check that a complaint is one line of ours, and no traceback."""
    assert text.startswith("mgx: ")
    assert text.count("\n") == 1, text


def api(server: Server, query: str, **variables: Any) -> Any:
    """Run a query or mutation and return its data."""
    answer = httpx.post(f"{server.url}/graphql", json={"query": query, "variables": variables}, timeout=SECONDS).json()
    assert "errors" not in answer, answer
    return answer["data"]


def create_run(server: Server, *, auto_approve: bool, team: str = "rehearsal", **config: Any) -> str:
    """Create a task and a run of it, and return the run's id."""
    task = api(
        server,
        "mutation($input: CreateTaskInput!) { createTask(input: $input) { task { id } userErrors { message } } }",
        input={"name": "Rehearse", "team": team, "config": config},
    )["createTask"]
    assert task["userErrors"] == []
    run = api(
        server,
        "mutation($input: CreateRunInput!) { createRun(input: $input) { run { id } userErrors { message } } }",
        input={"taskId": task["task"]["id"], "autoApprove": auto_approve},
    )["createRun"]
    assert run["userErrors"] == []
    return str(run["run"]["id"])


def run_waiting(server: Server, **config: Any) -> str:
    """Create a run and return its id when its plan waits for a decision."""
    run_id = create_run(server, auto_approve=False, **config)
    until(server, run_id, "APPROVAL_REQUIRED")
    return run_id


def until(server: Server, run_id: str, type_: str) -> None:
    """Wait until a run has an event of a type."""
    asyncio.run(_until(Client(server.url), run_id, type_))


async def _until(client: Client, run_id: str, type_: str) -> None:
    async with aclosing(run_events(client, run_id)) as events:
        async for event in events:
            if event["type"] == type_:
                return
    raise AssertionError(f"The run ended without {type_}.")


def find_run(server: Server, run_id: str) -> Mapping[str, Any]:
    """Return a run with its decisions and the sequence of its events."""
    run: Mapping[str, Any] = api(
        server,
        """query($id: ID!) { run(id: $id) {
          status decisions { kind feedback planVersion }
          events(first: 100) { nodes { timestamp type message ... on RunEvent { sequence } } }
        } }""",
        id=run_id,
    )["run"]
    return run
