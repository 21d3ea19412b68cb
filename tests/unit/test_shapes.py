"""What a subscription's document says about who may share its answers, and for how long."""

from __future__ import annotations

import pytest

from graph.execution.engine import Engine, Operation, Request
from graph.fanout.shape import Shape, Shapes
from graph.schema import build_schema

SCHEMA = build_schema()


def shape(selected: str) -> Shape:
    query = f"subscription ($a: String) {{ allEvents(after: $a) {{ {selected} }} }}"
    operation = Engine(SCHEMA).prepare(Request(query=query, request_id="r"))
    assert isinstance(operation, Operation), operation
    return Shapes(SCHEMA._schema).of(operation.document)


@pytest.mark.parametrize(
    "selected",
    [
        "__typename id cursor type timestamp message data taskId",
        "... on RunEvent { cursor runId sequence status }",
        "at: cursor ... on PlanReadyEvent { cursor plan { steps { key } } } ... on LogEvent { lines { message } }",
    ],
)
def test_what_an_event_says_itself_is_as_good_for_those_who_come_later(selected: str) -> None:
    assert shape(selected) == Shape(personal=False, timeless=True, beginnings=frozenset({"a"}))


@pytest.mark.parametrize(
    ("selected", "personal"),
    [
        ("cursor task { name }", False),
        ("cursor task { eventCursor }", False),
        ("... on RunEvent { run { status } }", False),
        ("... on RunEvent { run { allowedActions } }", True),
    ],
)
def test_what_is_looked_up_tells_of_the_present(selected: str, *, personal: bool) -> None:
    assert shape(selected) == Shape(personal=personal, timeless=False, beginnings=frozenset({"a"}))
