"""The span of a GraphQL operation: what was asked, never with which values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationType,
    SelectionNode,
)

from domain.tracing import Attribute, SpanKind, Tracer, within
from graph.errors import ErrorCode
from graph.execution.engine import Operation
from graph.transport.tally import Counting, TransportName

_MOST_FIELDS: Final = 20
_LONGEST_NAME: Final = 100


@contextmanager
def traced(
    tracer: Tracer, operation: Operation, counting: Counting, *, transport: TransportName, parent: str | None
) -> Iterator[None]:
    """Trace an operation, whose execution the block is.

    A subscription's span tells when it began, ended and how; what happens meanwhile does not belong to it.

    Args:
        tracer: Where it is told.
        operation: What was asked.
        counting: Knows the outcome at the end of the block.
        transport: How it came.
        parent: The client's traceparent, whose trace it goes on with.
    """
    fields = _fields(operation)
    span = tracer.start(
        # The name that a client gives its operation may be anything; the schema's fields are few.
        f"{operation.type.value} {fields[0]}" if len(fields) == 1 else operation.type.value,
        kind=SpanKind.SERVER,
        parent=parent,
        attributes=_about(operation, fields, transport),
    )
    try:
        if operation.type is OperationType.SUBSCRIPTION:
            yield  # the block is a generator's, which shares its caller's context
        else:
            with within(span):
                yield
    finally:
        span.set(**{"mgx.outcome": counting.outcome})
        if counting.outcome == ErrorCode.INTERNAL:
            span.fail(counting.outcome)
        span.end()


def _about(operation: Operation, fields: list[str], transport: TransportName) -> dict[str, Attribute]:
    about: dict[str, Attribute] = {
        "graphql.operation.type": operation.type.value,
        "mgx.graphql.fields": fields[:_MOST_FIELDS],
        "mgx.request.id": operation.request.request_id,
        "mgx.transport": transport,
    }
    if operation.node.name is not None:
        about["graphql.operation.name"] = operation.node.name.value[:_LONGEST_NAME]
    return about


def _fields(operation: Operation) -> list[str]:
    """Return the names of the fields at the root, each once."""
    nodes = operation.document.tree.definitions
    fragments = {node.name.value: node for node in nodes if isinstance(node, FragmentDefinitionNode)}
    names: dict[str, None] = {}

    def collect(selections: Iterable[SelectionNode]) -> None:
        for node in selections:
            match node:
                case FieldNode():
                    names[node.name.value] = None
                case FragmentSpreadNode():
                    collect(fragments[node.name.value].selection_set.selections)
                case InlineFragmentNode():
                    collect(node.selection_set.selections)

    collect(operation.node.selection_set.selections)
    return list(names)
