"""Look-ahead: what a client selects of a page, so that nothing else is counted or read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionNode,
    get_named_type,
)
from strawberry import Info
from strawberry.types.field import StrawberryField

from domain.paging import Fields
from graph.marks import ATTRIBUTE, LISTED, LOOKUP, Attribute, Lookup, metadata_of

_TYPENAME: Final = "__typename"


@dataclass(frozen=True, slots=True)
class Selected:
    """What is selected below a connection.

    Attributes:
        count: Whether `totalCount` is.
        fields: What is read of the records of its nodes.
    """

    count: bool
    fields: Fields


class RememberingInfo(Info[Any, Any]):
    """An `info` that remembers what was seen below its field.

    Args:
        raw: As graphql-core gives it.
        field: Which is resolved.
        seen: What was seen; calls of the resolver for the same nodes of a document share it.
    """

    def __init__(self, raw: GraphQLResolveInfo[Any], field: StrawberryField, seen: list[Selected]) -> None:
        super().__init__(_raw_info=raw, _field=field)
        self.seen = seen


def look_ahead(info: Info[Any, Any]) -> Selected:
    """Tell what is selected below the connection that is being resolved, fragments included.

    `@skip` and `@include` are not looked at: what they leave out counts as selected.
    """
    seen = info.seen if isinstance(info, RememberingInfo) else []
    if not seen:
        seen.append(_look_below(info._raw_info))  # noqa: SLF001 - its public form converts the whole tree
    return seen[0]


def _look_below(raw: GraphQLResolveInfo[Any]) -> Selected:
    look = _Look(raw.fragments)
    for node in raw.field_nodes:
        look.at_connection(node)
    connection = get_named_type(raw.return_type)
    assert isinstance(connection, GraphQLObjectType)
    return Selected(look.count, _fields(look.names, _item_type(connection)))


class _Look:
    """Collects the names of the fields that are selected of a page's nodes."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.count = False
        self.names: set[str] = set()
        self._fragments = fragments

    def at_connection(self, connection: FieldNode) -> None:
        for field in self._fields_below(connection):
            match field.name.value:
                case "totalCount":
                    self.count = True
                case "nodes":
                    self._at_node(field)
                case "edges":
                    for below in self._fields_below(field):
                        if below.name.value == "node":
                            self._at_node(below)
                case _:
                    pass

    def _at_node(self, node: FieldNode) -> None:
        self.names.update(field.name.value for field in self._fields_below(node))

    def _fields_below(self, node: FieldNode) -> Iterable[FieldNode]:
        return self._fields_among(node.selection_set.selections) if node.selection_set else ()

    def _fields_among(self, selections: Iterable[SelectionNode]) -> Iterable[FieldNode]:
        for node in selections:
            match node:
                case FieldNode():
                    yield node
                case FragmentSpreadNode():
                    yield from self._fields_among(self._fragments[node.name.value].selection_set.selections)
                case InlineFragmentNode():
                    yield from self._fields_among(node.selection_set.selections)


def _fields(names: Iterable[str], item: GraphQLObjectType | None) -> Fields:
    """Return what the fields of an item with these names read of its record; all if one does not say what it reads."""
    if item is None:
        return None
    reads = _reads(item)
    found = {reads.get(name) for name in names if name != _TYPENAME}
    return None if None in found else frozenset(field for field in found if field is not None)


@lru_cache
def _item_type(connection: GraphQLObjectType) -> GraphQLObjectType | None:
    """Return the type of a connection's nodes, if they are objects that show one record each and nothing else."""
    nodes = connection.fields["nodes"]
    item = get_named_type(nodes.type)
    return item if isinstance(item, GraphQLObjectType) and LISTED in metadata_of(nodes) else None


@lru_cache
def _reads(type_: GraphQLObjectType) -> Mapping[str, str]:
    """Return what the fields of a type read of its record, of those that say so."""
    return {name: read for name, field in type_.fields.items() if (read := _record_field(field)) is not None}


def _record_field(field: GraphQLField) -> str | None:
    """Return the one field of its object's record that a field reads, None if it may read any."""
    metadata = metadata_of(field)
    match metadata.get(ATTRIBUTE), metadata.get(LOOKUP):
        case Attribute() as attribute, _:
            return attribute.field
        case _, Lookup() as lookup:
            return lookup.key
        case _:
            return None
