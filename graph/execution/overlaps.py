"""Bounds the work of the validation rule that compares fields which end up in the same place.

"Field selection merging" (GraphQL specification, §5.3.2) compares each two fields with the same
response path. A few kilobytes with hundreds of them keep graphql-core busy for more than a second,
and everybody else waiting.
"""

from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from graph.errors import LimitExceededError
from graph.execution.limits import MOST_NESTING, Limits


def check_overlaps(document: DocumentNode, limits: Limits) -> None:
    """Refuse a document that is too laborious to validate.

    All operations count, and fragments that no operation uses: validation looks at everything.

    Raises:
        LimitExceededError: There are too many fields, or too many pairs to be compared.
    """
    _Overlaps(document, limits).check()


@dataclass(slots=True)
class _Place:
    """A response path: how many fields end up there, and what is below."""

    fields: int = 0
    below: "dict[str, _Place]" = field(default_factory=dict)


class _Overlaps:
    def __init__(self, document: DocumentNode, limits: Limits) -> None:
        self._limits = limits
        self._operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._open: set[str] = set()
        self._used: set[str] = set()
        self._fields = 0
        self._pairs = 0

    def check(self) -> None:
        for operation in self._operations:
            self._walk(operation.selection_set, {}, 1)
        for name in self._fragments:
            if name not in self._used:
                self._spread(name, {}, 1)

    def _walk(self, node: SelectionSetNode, places: dict[str, _Place], nesting: int) -> None:
        if nesting > MOST_NESTING:
            raise LimitExceededError("The nesting of selections", nesting, MOST_NESTING)
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                self._field(selection, places, nesting)
            elif isinstance(selection, FragmentSpreadNode):
                self._spread(selection.name.value, places, nesting)
            else:
                assert isinstance(selection, InlineFragmentNode)
                self._walk(selection.selection_set, places, nesting + 1)

    def _field(self, node: FieldNode, places: dict[str, _Place], nesting: int) -> None:
        place = places.setdefault((node.alias or node.name).value, _Place())
        self._fields += 1
        self._pairs += place.fields
        place.fields += 1
        if self._fields > self._limits.document_fields:
            raise LimitExceededError("The document's number of fields", self._fields, self._limits.document_fields)
        if self._pairs > self._limits.overlaps:
            raise LimitExceededError("The number of pairs of fields to be merged", self._pairs, self._limits.overlaps)
        if node.selection_set:
            self._walk(node.selection_set, place.below, nesting + 1)

    def _spread(self, name: str, places: dict[str, _Place], nesting: int) -> None:
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:
            return  # validation refuses what is unknown or goes round in circles
        self._used.add(name)
        self._open.add(name)
        self._walk(fragment.selection_set, places, nesting + 1)
        self._open.discard(name)
