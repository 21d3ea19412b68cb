"""Look-ahead: what a client selects of a page or a record, so that nothing else is counted or read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    get_named_type,
)
from strawberry import Info
from strawberry.types.field import StrawberryField

from domain.paging import Fields, Related
from graph.marks import ATTRIBUTE, CONTEXTUAL, LISTED, LOOKUP, Attribute, Contextual, Lookup, kinds_of, metadata_of

M = TypeVar("M")

_TYPENAME: Final = "__typename"

_Shown: TypeAlias = GraphQLObjectType | GraphQLInterfaceType


@dataclass(frozen=True, slots=True)
class Selected:
    """What is selected below a field that shows a page of records, or one of them.

    Attributes:
        count: Whether `totalCount` is.
        fields: What is read of the records.
        related: Records of which plain fields are selected below the records' own, by the field that holds their id.
    """

    count: bool
    fields: Fields
    related: Related


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
    """Tell what is selected below the connection or the object that is being resolved, fragments included.

    `@skip` and `@include` are not looked at: what they leave out counts as selected.
    """
    seen = info.seen if isinstance(info, RememberingInfo) else []
    if not seen:
        seen.append(_look_below(info._raw_info))  # noqa: SLF001 - its public form converts the whole tree
    return seen[0]


def _look_below(raw: GraphQLResolveInfo[Any]) -> Selected:
    look, shown = _Look(raw.fragments), get_named_type(raw.return_type)
    assert isinstance(shown, GraphQLObjectType)
    item: _Shown | None = shown
    if "nodes" in shown.fields:
        item = _item_type(shown)
        for node in raw.field_nodes:
            look.at_connection(node)
    else:
        for node in raw.field_nodes:
            look.at_node(node)
    if item is None:
        return Selected(look.count, None, ())
    if isinstance(item, GraphQLInterfaceType):
        return Selected(look.count, _fields_of_kinds(look, raw.schema, item), ())
    return Selected(look.count, _fields(look.below, _reads(item)), _related(look, item))


class _Look:
    """Collects the fields that are selected of a page's nodes, each with the names of those below it."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.count = False
        self.below: dict[str, set[str]] = {}
        self._fragments = fragments

    def at_connection(self, connection: FieldNode) -> None:
        for field in self._fields_below(connection):
            match field.name.value:
                case "totalCount":
                    self.count = True
                case "nodes":
                    self.at_node(field)
                case "edges":
                    for below in self._fields_below(field):
                        if below.name.value == "node":
                            self.at_node(below)
                case _:
                    pass

    def at_node(self, node: FieldNode) -> None:
        for field in self._fields_below(node):
            names = self.below.setdefault(field.name.value, set())
            names.update(below.name.value for below in self._fields_below(field))

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


def _fields(names: Collection[str], reads: Mapping[str, Collection[str]]) -> Fields:
    """Return what fields with these names read of their object's record; all if one does not say what it reads."""
    own = [name for name in names if name != _TYPENAME]
    if not all(name in reads for name in own):
        return None
    return frozenset(field for name in own for field in reads[name])


def _related(look: _Look, item: GraphQLObjectType) -> Related:
    """Return the records that are looked up for each item by their ids, if all that is read of one says what it is."""
    found: dict[str, frozenset[str]] = {}
    for name, lookup in _lookups(item).items():
        type_ = get_named_type(item.fields[name].type)
        if lookup.is_by_id and name in look.below and isinstance(type_, GraphQLObjectType):
            fields = _fields(look.below[name], _attributes(type_))
            if fields is not None:
                found[lookup.key] = found.get(lookup.key, frozenset()) | fields
    return tuple(found.items())


@lru_cache
def _item_type(connection: GraphQLObjectType) -> _Shown | None:
    """Return the type of a connection's nodes, if they show one record each and nothing else."""
    nodes = connection.fields["nodes"]
    item = get_named_type(nodes.type)
    return item if isinstance(item, _Shown) and LISTED in metadata_of(nodes) else None


def _fields_of_kinds(look: _Look, schema: GraphQLSchema, item: GraphQLInterfaceType) -> Fields:
    """Return what is read of records whose objects are of the types of an interface."""
    kinds = kinds_of(item)
    fields = None if kinds is None else _fields(look.below, _reads_of_kinds(schema, item))
    return None if kinds is None or fields is None else fields | {kinds.field}


@lru_cache
def _reads_of_kinds(schema: GraphQLSchema, item: GraphQLInterfaceType) -> Mapping[str, Collection[str]]:
    """Return what the fields of an interface's types read of their record, of those that say so in each of them."""
    found: dict[str, Collection[str] | None] = {}
    for type_ in schema.get_possible_types(item):
        reads = _reads(type_)
        for name in type_.fields:
            before, read = found.get(name, ()), reads.get(name)
            found[name] = None if before is None or read is None else frozenset((*before, *read))
    return {name: read for name, read in found.items() if read is not None}


@lru_cache
def _reads(type_: GraphQLObjectType) -> Mapping[str, Collection[str]]:
    """Return what each field of a type reads of its object's record, of those that say so."""
    return _attributes(type_) | _of_context(type_) | {name: {it.key} for name, it in _lookups(type_).items()}


@lru_cache
def _attributes(type_: GraphQLObjectType) -> dict[str, Collection[str]]:
    """Return the field of its object's record that each field of a type is, of those that are one."""
    return {name: {mark.field} for name, mark in _marked(type_, ATTRIBUTE, Attribute).items()}


@lru_cache
def _of_context(type_: GraphQLObjectType) -> dict[str, Collection[str]]:
    """Return the fields of its object's record that fields of a type read which depend on the context besides."""
    return {name: mark.fields for name, mark in _marked(type_, CONTEXTUAL, Contextual).items()}


@lru_cache
def _lookups(type_: GraphQLObjectType) -> dict[str, Lookup]:
    """Return the lookups that fields of a type make."""
    return _marked(type_, LOOKUP, Lookup)


def _marked(type_: GraphQLObjectType, key: str, cls: type[M]) -> dict[str, M]:
    """Return what the metadata of a type's fields has under a key, of those fields that have it."""
    marks = {name: metadata_of(field).get(key) for name, field in type_.fields.items()}
    return {name: mark for name, mark in marks.items() if isinstance(mark, cls)}
