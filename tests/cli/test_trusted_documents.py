"""Our own commands, and a start, where only trusted documents are answered."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.cli import main
from graph.client import Client
from graph.commands.operations import mutate
from tests.cli.support import assert_one_line, mgx, until
from tests.servers import Server, running_server

TEAMS = "query Teams { teams { name } }"


def trusting(folder: Path, *texts: str) -> dict[str, str]:
    """Write a manifest, and return the settings of a server that answers its documents alone."""
    manifest = folder / "persisted-documents.json"
    manifest.write_text(json.dumps({hashlib.sha256(text.encode()).hexdigest(): text for text in texts}))
    return {"MGX_TRUSTED_DOCUMENTS": str(manifest), "MGX_TRUSTED_DOCUMENTS_ONLY": "true"}


def new_run(server: Server) -> str:
    """Create a run as our commands do, and return its id when its plan waits for a decision."""

    async def create() -> Any:
        client = Client(server.url)
        config = {"steps": 1, "stepSeconds": 0, "planSeconds": 0}
        task = await mutate(client, "createTask", {"name": "T", "team": "rehearsal", "config": config})
        return (await mutate(client, "createRun", {"taskId": task["task"]["id"]}))["run"]["id"]

    run_id = str(asyncio.run(create()))
    until(server, run_id, "APPROVAL_REQUIRED")
    return run_id


def test_decisions_and_watch_need_no_manifest_of_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_server(tmp_path, **trusting(tmp_path, TEAMS)) as server:
        refused = httpx.post(f"{server.url}/graphql", json={"query": "{ teams { name } }"})
        assert refused.status_code == 403
        trusted = httpx.post(f"{server.url}/graphql", json={"query": TEAMS})
        assert trusted.json()["data"]["teams"]
        assert httpx.get(f"{server.url}/graphiql", follow_redirects=True).status_code == 404
        assert "GraphiQL" not in server.said

        run_id = new_run(server)
        assert main(["request-changes", run_id, "--feedback", "More", "--url", server.url]) == 0
        assert main(["cancel", run_id, "--url", server.url]) == 0
        assert main(["watch", run_id, "--url", server.url]) == 1
        assert " CHANGES_REQUESTED " in capsys.readouterr().out


def test_the_demo_needs_none_either(tmp_path: Path) -> None:
    demo = mgx("demo", cwd=tmp_path, **trusting(tmp_path))
    assert demo.code == 0, demo.err
    assert "# Sales from 2025-01-02 to 2025-12-31" in demo.out
    assert "GraphiQL" not in demo.out


@pytest.mark.parametrize("flags", [(), ("--processes=2", "--database-url=postgresql://127.0.0.1:9/nowhere")])
def test_a_bad_manifest_ends_the_start_with_one_line_before_anything_is_done(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    settings = {**trusting(tmp_path, "query Typo { teems { name } }"), "MGX_LOG_LEVEL": "error"}
    serve = mgx("serve", *flags, cwd=tmp_path, **settings)
    assert (serve.code, serve.out) == (2, "")
    assert_one_line(serve.err)
    assert "(Typo)" in serve.err
    assert "teems" in serve.err
    assert not (tmp_path / "mgx.db").exists()
