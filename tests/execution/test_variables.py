"""Variables become what graphql-core makes of them, or are left to it."""

from __future__ import annotations

from typing import Any, Final

import pytest
from graphql import OperationDefinitionNode, get_variable_values, parse
from graphql.execution.values import VariableValues
from hypothesis import given
from hypothesis import strategies as st

from graph.execution.variables import Variables
from graph.schema import build_schema

SCHEMA: Final = build_schema()._schema
DEFINED: Final = """
  query (
    $int: Int, $surely: Int!, $size: Int! = 10, $null: Int = null, $text: String = "text", $id: ID,
    $ids: [ID!]! = ["a"], $time: DateTime, $json: JSON, $status: RunStatus = RUNNING, $lists: [[Boolean!]],
    $filter: RunFilter, $order: RunOrder = {field: DURATION}
  ) { __typename }
"""
_NAMES: Final = (
    *("int", "surely", "size", "null", "text", "id", "ids", "time", "json", "status", "lists", "filter", "order"),
    "undefined",
)
_RIGHT: Final[dict[str, Any]] = {
    "surely": 5,
    "ids": ["b", "c"],
    "time": "2026-11-28T12:00:00Z",
    "json": {"a": [1, None]},
    "lists": [[True], None],
    "filter": {"status": ["RUNNING", "FAILED"], "labels": "one", "createdAt": {"from": "2026-11-28T12:00:00Z"}},
    "order": {"field": "CREATED_AT"},
}


def variables(text: str) -> tuple[Variables, OperationDefinitionNode]:
    (operation,) = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return Variables(SCHEMA, operation.variable_definitions or ()), operation


VARIABLES, OPERATION = variables(DEFINED)


def same(made: VariableValues, sent: dict[str, Any]) -> bool:
    """Tell whether graphql-core makes the same, types of values and order included."""
    stock = get_variable_values(SCHEMA, OPERATION.variable_definitions or (), sent)
    assert isinstance(stock, VariableValues), stock
    return told(made) == told(stock)


def told(values: VariableValues) -> object:
    sources = [
        (name, str(of.signature.type), of.signature.default and of.signature.default.literal, repr(of.value))
        for name, of in values.sources.items()
    ]
    return repr(values.coerced), sources


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**33)
    | st.floats()
    | st.sampled_from(["RUNNING", "DURATION", "id", ""]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "labels", "createdAt", "from", "field", "direction"]), below, max_size=3
        )
    ),
    max_leaves=6,
)
anything = st.dictionaries(st.sampled_from(_NAMES), values)
mostly_right = st.builds(
    lambda left_out, odd: {name: value for name, value in _RIGHT.items() if name not in left_out} | odd,
    st.sets(st.sampled_from(sorted(_RIGHT)), max_size=2),
    st.dictionaries(st.sampled_from(_NAMES), values, max_size=2),
)


@given(anything | mostly_right)
def test_whatever_is_sent(sent: dict[str, Any]) -> None:
    made = VARIABLES.coerce(sent)
    assert made is None or same(made, sent)


@pytest.mark.parametrize("left_out", [*_RIGHT, None])
def test_what_is_plainly_right_is_not_left_to_graphql_core(left_out: str | None) -> None:
    sent = {name: value for name, value in _RIGHT.items() if name != left_out}
    made = VARIABLES.coerce(sent)
    if left_out in {"surely", "ids", "order"}:
        assert made is None, "it is wrong, or its default must be made anew"
    else:
        assert made is not None
        assert same(made, sent)


def test_a_default_that_can_change_is_made_anew() -> None:
    defaults, _ = variables('query ($a: [ID!] = ["a"], $b: ID = "b") { __typename }')
    assert defaults.coerce({}) is None
    made = defaults.coerce({"a": None})
    assert made is not None
    assert made.coerced == {"a": None, "b": "b"}


def test_no_variables() -> None:
    none, _ = variables("{ __typename }")
    assert none.coerce({"more": 1}) == ({}, {})


def test_what_is_nested_too_deeply_is_left_to_graphql_core() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert VARIABLES.coerce(_RIGHT | {"lists": deep}) is None
