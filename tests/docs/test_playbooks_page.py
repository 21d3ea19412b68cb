"""docs/playbooks.md: its example is checked and run as a reader would, and no key is left out."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.cli import main
from teams.playbook.format import format_schema
from tests.docs.blocks import DOCS, console, write_files
from tests.e2e.server import serving

PAGE = DOCS / "playbooks.md"
PLAYBOOK = "playbooks/guests/playbook.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a reader works in, with the files of the page."""
    assert write_files("playbooks.md", tmp_path) == [
        PLAYBOOK,
        "playbooks/guests/report.py",
        "playbooks/guests/lists/spring.txt",
    ]
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_is_checked_as_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (right, fine), _, (wrong, mistakes) = console("playbooks.md")
    assert main(shlex.split(right)[1:]) == 0
    assert capsys.readouterr().out == fine
    path = folder / PLAYBOOK
    path.write_text(path.read_text().replace('"{list}"', '"{lists}"').replace("REPORT_AUTHOR", "MGX_DATABASE_URL"))
    assert main(shlex.split(wrong)[1:]) == 1
    assert capsys.readouterr().out == mistakes


async def test_the_example_runs_as_the_page_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (command, _), _ = console("playbooks.md")
    author, playbooks, *serve = shlex.split(command)
    assert serve == ["mgx", "serve"]
    monkeypatch.setenv(*author.split("=", 1))
    (config,) = (
        json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    )

    async with serving(folder, playbooks=folder / playbooks.removeprefix("MGX_PLAYBOOKS=")) as served:
        api = served.api
        task = await api.do("createTask", {"name": "Guests", "config": config})
        run = await api.do("createRun", {"taskId": task["id"], "autoApprove": True})
        await api.life(run["id"])
        ended = await api.run(
            run["id"], "status artifacts { name url } metrics(first: 9) { nodes { name value unit } }"
        )
        report = await api.http.get(
            api.base + next(artifact["url"] for artifact in ended["artifacts"] if artifact["name"] == "report.md")
        )
        path = await api.invalid(
            "createRun", {"taskId": task["id"], "config": {"parameters": {"list": "spring.txt", "top": 500}}}
        )

    assert ended["status"] == "COMPLETED"
    assert [artifact["name"] for artifact in ended["artifacts"]] == ["sorted.txt", "report.md"]
    assert ended["metrics"]["nodes"] == [{"name": "guests", "value": 4.0, "unit": "people"}]
    assert report.text == "# Guests\n\n- Ada: 2\n- Barbara: 1\n\nBy Lin"
    assert path == ["input", "config", "parameters", "top"]


def test_every_key_has_its_line() -> None:
    told = set(re.findall(r"`([a-z_]+)`", PAGE.read_text()))
    assert sorted(keys(format_schema()) - told) == []


def keys(schema: Any) -> set[str]:
    """Return the names of all properties that a schema and its parts declare."""
    return set(_keys(schema))


def _keys(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from _keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _keys(part)
