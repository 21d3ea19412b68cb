"""Requests to the product's schema."""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, OperationType
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from tests.execution.documents import Arguments, Told, told
from tests.execution.product import SCHEMA, Product

_SCALARS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "DateTime": st.datetimes(timezones=st.just(UTC)).map(lambda time: nodes.String(time.isoformat())),
    "JSON": st.sampled_from([nodes.Object([]), nodes.List([nodes.Int(1)]), nodes.String("x"), nodes.Null]),
}
_EVENTS: Final = GraphQLSchema(query=SCHEMA.subscription_type, types=tuple(SCHEMA.type_map.values()))
"""For a generator that knows no subscriptions."""


def of_queries(product: Product) -> st.SearchStrategy[list[Told]]:
    """Return a strategy for queries, mostly of what there is."""
    known = st.sampled_from([f'"{id_}"' for id_ in product.ids] + ['"nothing"'])
    seldom = st.sampled_from([None] * 20 + ['"nowhere"', "null"])
    arguments: Arguments = {
        "id": known,
        "ids": st.lists(known, max_size=4).map(lambda ids: f"[{', '.join(ids)}]"),
        "first": st.sampled_from([None, None, "1", "2", "3", "3", "100", "101"]),
        "last": st.sampled_from([None] * 20 + ["2", "null"]),
        "after": seldom,
        "before": seldom,
        "name": st.sampled_from(['"rows"', '"nothing"']),
        "names": st.sampled_from([None, '["rows"]', "null"]),
        "version": st.sampled_from(["0", "1", "2"]),
        "maxPoints": st.sampled_from([None, "1", "3", "0"]),
        "filter": st.sampled_from([None] * 4 + ["{}", "null"]),
        "range": st.none(),
        "step": st.sampled_from([None, '"a"']),
    }
    selected = queries(SCHEMA, custom_scalars=_SCALARS, print_ast=_as_it_is, allow_x00=False)
    return told(SCHEMA, selected, arguments)


def of_mutations() -> st.SearchStrategy[list[Told]]:
    """Return a strategy for mutations."""
    return told(SCHEMA, mutations(SCHEMA, custom_scalars=_SCALARS, print_ast=_as_it_is, allow_x00=False))


def of_events(field: str) -> st.SearchStrategy[list[Told]]:
    """Return a strategy for subscriptions of a field."""
    selected = queries(_EVENTS, fields=[field], custom_scalars=_SCALARS, print_ast=_as_it_is, allow_x00=False)
    return told(SCHEMA, selected.map(_subscription), {"first": st.just("2"), "last": st.none()})


def _as_it_is(document: DocumentNode) -> DocumentNode:
    return document


def _subscription(document: DocumentNode) -> DocumentNode:
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    made = OperationDefinitionNode(
        operation=OperationType.SUBSCRIPTION,
        variable_definitions=(),
        directives=(),
        selection_set=operation.selection_set,
    )
    return DocumentNode(definitions=(made,))
