"""What pages refer to is there: other pages and their sections, files, settings and commands."""

import re
from pathlib import Path

import pytest

from graph.cli import _COMMANDS
from graph.commands.flags import variable
from graph.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("docs/decisions/*.md"),
    *ROOT.glob("docs/examples/*.md"),
]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """Return the names of a page's sections, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_to_pages_and_sections_that_there_are(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@every_page
def test_files_of_the_project_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:domain|storage|teams|graph|tests|docs|benchmarks|console)/[\w./-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@every_page
def test_settings_commands_and_targets_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    settings = {variable(name) for name in Settings.model_fields} | {"MGX_URL", "MGX_RUN_ID", "MGX_IDEMPOTENCY_KEY"}
    assert set(re.findall(r"\bMGX_[A-Z_]*[A-Z]\b", text)) - settings == set()
    assert set(re.findall(r"`mgx ([a-z][a-z-]*)", text)) - set(_COMMANDS) == set()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) - targets == set()
