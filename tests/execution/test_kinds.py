"""Pages of an interface are made of rows, each by its own type, and read nothing that is not selected."""

from __future__ import annotations

import ast
import json
from collections import Counter
from typing import Any, Final

import pytest

from domain.model import ANONYMOUS
from domain.paging import PageRequest
from graph.execution.engine import Engine, Operation, Request, Result
from graph.schema import build_schema
from graph.types.events import EVENT_TYPES
from tests.execution.comparison import Compared
from tests.execution.product import SCHEMA, Product

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN: Final = """
    __typename id at: cursor type timestamp message taskId
    ... on RunEvent { runId sequence status }
    ... on RunDeletedEvent { runId }
"""
PAYLOADS: Final = """
    ... on ProgressEvent { step stepStatus stepIndex totalSteps }
    ... on LogEvent { lines { message level timestamp } }
    ... on PlanReadyEvent { plan { version steps { key title } } }
    ... on TaskUpdatedEvent { changedFields }
    ... on CompletionEvent { results }
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the events that are made as objects, by type."""
    found: Counter[str] = Counter()
    for class_ in EVENT_TYPES:
        make = class_.__init__

        def note(self: object, *args: Any, make: Any = make, **values: Any) -> None:
            found[type(self).__name__] += 1
            make(self, *args, **values)

        monkeypatch.setattr(class_, "__init__", note)
    return found


async def ask(product: Product, text: str) -> Any:
    """Return what both executors answer, which must be no error."""
    outcome = await Compared(SCHEMA, text).answer({}, product.context)
    assert outcome.errors == [], text
    return ast.literal_eval(outcome.data)


@pytest.mark.parametrize("selected", [OWN, PAYLOADS, OWN + PAYLOADS + "data", "id task { name }", "__typename"])
async def test_pages_say_what_the_log_says(filled: Product, selected: str) -> None:
    page = (
        await ask(filled, f"{{ events(first: 100) {{ nodes {{ {selected} }} edges {{ cursor node {{ id }} }} }} }}")
    )["events"]
    async with filled.services.store.read(ANONYMOUS) as tx:
        kept = (await tx.events.page(PageRequest(limit=100), None)).items
    assert [edge["node"]["id"] for edge in page["edges"]] == [event.id for event in kept]
    for shown, edge, event in zip(page["nodes"], page["edges"], kept, strict=True):
        if selected == OWN:
            assert shown["at"] == edge["cursor"]
            assert (shown["id"], shown["type"], shown["message"]) == (event.id, event.type.value, event.message)
            assert shown.get("runId") == event.run_id
            assert shown.get("sequence") == event.sequence


async def test_the_pages_of_runs_and_tasks_are_made_likewise(filled: Product) -> None:
    below = f"events(last: 3) {{ nodes {{ {OWN} }} edges {{ node {{ type {PAYLOADS} }} }} pageInfo {{ endCursor }} }}"
    answer = await ask(filled, f"{{ runs(first: 5) {{ nodes {{ {below} task {{ {below} }} }} }} }}")
    assert all(run["events"]["nodes"] and run["task"]["events"]["nodes"] for run in answer["runs"]["nodes"])


@pytest.mark.parametrize(
    ("selected", "as_objects"),
    [
        (f"nodes {{ {OWN} }}", set()),
        (f"edges {{ cursor node {{ {OWN} data }} }}", set()),
        ("edges { cursor }", set()),
        (f"nodes {{ {OWN} ... on LogEvent {{ lines {{ message }} }} }}", {"LogEvent"}),
    ],
)
async def test_no_more_objects_are_made_than_it_takes(
    filled: Product, made: Counter[str], selected: str, as_objects: set[str]
) -> None:
    engine = Engine(build_schema())
    operation = engine.prepare(Request(query=f"{{ events(first: 100) {{ {selected} }} }}", request_id="r"))
    assert isinstance(operation, Operation)
    answer = await engine.execute(operation, filled.context())
    assert isinstance(answer, Result)
    assert "errors" not in json.loads(answer.body)
    assert set(made) == as_objects
