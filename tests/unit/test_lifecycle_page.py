"""The page about a run's life says what the code does."""

from __future__ import annotations

import re

import pytest

from domain.model import RunStatus
from domain.transitions import LIFE, TRANSITIONS

from .lifecycle_page import PAGE, diagram, rendered, table


def test_the_page_shows_the_table_and_the_diagram_of_the_code() -> None:
    page = PAGE.read_text()

    assert rendered(page) == page, "docs/lifecycle.md is stale: run python -m tests.unit.lifecycle_page"


def test_the_table_has_a_line_for_each_row() -> None:
    lines = table().splitlines()

    assert len(lines) == 2 + len(LIFE)
    assert lines[2] == "| - | createRun | PENDING | RUN_CREATED |"
    assert "| AWAITING_APPROVAL | approveRun(approved: true) | RUNNING | APPROVED |" in lines


def test_the_diagram_leads_where_runs_can_go() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+): [^:;]+$", diagram(), flags=re.MULTILINE))

    assert drawn == {(source, target) for source in RunStatus for target in TRANSITIONS[source]}


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(AssertionError, match="0 parts named table"):
        rendered("# No marks")
