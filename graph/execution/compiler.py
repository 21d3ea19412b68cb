"""Compiles selections: what is read of an object, what is left open, and what becomes of each value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias, cast

from graphql import (
    GraphQLAbstractType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import get_strawberry_type_cast

from domain.paging import Fields, Page
from domain.rows import Rows
from graph.execution.generated import build_of_objects, build_of_rows
from graph.execution.kinds import build_of_kinds
from graph.execution.parts import (
    At,
    Deferred,
    Leaf,
    Member,
    Notes,
    Part,
    Read,
    UnexpectedError,
    leaf,
)
from graph.marks import (
    ATTRIBUTE,
    CONTEXTUAL,
    LISTED,
    LOOKUP,
    READ,
    Contextual,
    Listed,
    Lookup,
    definition_of,
    kinds_of,
    metadata_of,
)

Executor: TypeAlias = StrawberryGraphQLCoreExecutionContext

_TYPENAME: Final = "__typename"


class Compiler:
    """Compiles the selections of one document, as far as these variables leave them out or in."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._schema: GraphQLSchema = executor.schema

    def selection(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Part | None:
        """Compile what is selected below a field, for objects of a type."""
        collected = self._executor.collect_subfields(type_, details)
        definition = _definition(type_)
        if definition is None or definition.is_type_of is not None or collected.new_defer_usages:
            return None
        return self._object(type_, definition.origin, collected.grouped_field_set)

    def event(self, type_: GraphQLOutputType, class_: type, details: FieldDetailsList) -> Leaf | Part | None:
        """Compile what a field of a type makes of the values of a class."""
        present = type_.of_type if is_non_null_type(type_) else type_
        return (
            self._abstract(present, details, class_) if is_abstract_type(present) else self._present(present, details)
        )

    def _object(self, type_: GraphQLObjectType, origin: type, group: GroupedFieldSet) -> Part:
        members = [self._member(type_, name, details) for name, details in group.items()]
        of_rows = build_of_rows(type_, members)
        return Part(
            build_of_objects(type_, origin, members, of_rows),
            is_open=any(_is_open(each.part) for each in members),
            fields=_fields(members),
            of_rows=of_rows,
        )

    def _member(self, type_: GraphQLObjectType, name: str, details: FieldDetailsList) -> Member:
        """Return how a field is read, and what becomes of that."""
        node = details[0].node
        if node.name.value == _TYPENAME:
            return Member(name, Leaf.constant(type_.name))
        field = self._schema.get_field(type_, node.name.value)
        assert field is not None, "the document was validated"
        metadata = metadata_of(field)
        if isinstance(asked := metadata.get(CONTEXTUAL), Contextual):
            return self._contextual(type_, name, field, asked, details)
        if (read := _read(field, metadata)) is None or any(each.fragment_variable_values for each in details):
            return Member(name, self._deferred(type_, name, field, metadata, details))
        listed = metadata.get(LISTED)
        part = self._listed(field.type, listed, details) if isinstance(listed, Listed) else None
        if part is not None:
            return Member(name, part, _page)
        value = self._value(field.type, details)
        if value is None:
            return Member(name, Deferred(name, type_, field.type, details))
        return Member(name, value, read, metadata.get(ATTRIBUTE))

    def _contextual(
        self, type_: GraphQLObjectType, name: str, field: GraphQLField, asked: Contextual, details: FieldDetailsList
    ) -> Member:
        value = self._value(field.type, details)
        if value is None or _is_open(value):
            return Member(name, Deferred(name, type_, field.type, details))
        return Member(name, value, contextual=asked)

    def _deferred(
        self,
        type_: GraphQLObjectType,
        name: str,
        field: GraphQLField,
        metadata: Mapping[object, Any],
        details: FieldDetailsList,
    ) -> Deferred:
        lookup = metadata.get(LOOKUP)
        if isinstance(lookup, Lookup):
            part = self._value(field.type, details)
            if isinstance(part, Part) and not part.is_open:
                return Deferred(name, type_, field.type, details, lookup, part)
        return Deferred(name, type_, field.type, details)

    def _listed(self, type_: GraphQLOutputType, listed: Listed, details: FieldDetailsList) -> Part | None:
        """Compile a list of all that a page holds, to be made of the page; None if that makes no difference."""
        if not is_non_null_type(type_) or not is_list_type(type_.of_type):
            return None
        item = type_.of_type.of_type
        if not is_non_null_type(item):
            return None
        if listed.edge is not None:
            return self._edges(item.of_type, listed.show, details)
        node = self._present(item.of_type, details)
        if not isinstance(node, Part):
            return None
        build = _nodes(node, listed.show)
        return Part(lambda page, path, notes: build(page, _in_list(path), notes), node.is_open)

    def _edges(self, type_: GraphQLObjectType, show: Read, details: FieldDetailsList) -> Part | None:
        """Compile edges, which have a node, a cursor and nothing else, column by column."""
        group = self._executor.collect_subfields(type_, details).grouped_field_set
        members = [self._member(type_, name, below) for name, below in group.items()]
        if any(isinstance(member.part, Deferred) for member in members):
            return None
        nodes = {member.name: _nodes(member.part, show) for member in members if isinstance(member.part, Part)}

        def column(member: Member, page: Page[Any], path: Path | None, notes: Notes) -> Sequence[Any]:
            if member.name in nodes:
                return nodes[member.name](page, _in_edges(path, member.name, type_.name), notes)
            assert isinstance(member.part, Leaf)
            return page.cursors if member.part.text is None else [member.part.text] * len(page.items)

        def build(page: Page[Any], path: Path | None, notes: Notes) -> Any:
            columns = [column(member, page, path, notes) for member in members]
            if not columns:
                return [{} for _ in page.items]
            return [dict(zip(group, row, strict=True)) for row in zip(*columns, strict=True)]

        return Part(build, is_open=any(_is_open(member.part) for member in members))

    def _value(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Leaf | Part | None:
        """Compile a place; None says that it is graphql-core's."""
        if is_non_null_type(type_):
            return self._present(type_.of_type, details)
        part = self._present(type_, details)
        if part is None or _is_open(part):
            return None  # an error below ends here, which only graphql-core knows how to do
        return part.optional()

    def _present(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Leaf | Part | None:
        """Compile a place that is not null; what is made refuses null."""
        if is_list_type(type_):
            item = self._value(type_.of_type, details)
            return None if item is None else _list(item)
        if is_leaf_type(type_):
            return leaf(type_, self._executor.is_awaitable)
        if is_abstract_type(type_):
            return self._abstract(type_, details)
        return self.selection(cast("GraphQLObjectType", type_), details)

    def _abstract(self, type_: GraphQLAbstractType, details: FieldDetailsList, only: type | None = None) -> Part | None:
        """Compile an interface or a union, for values of all classes that it may be or of one."""
        definition = _definition(type_)
        if definition is None or definition.resolve_type is not None:
            return None
        parts: dict[type, Part] = {}
        for possible in self._schema.get_possible_types(type_):
            origin = _definition(possible)
            if origin is None or origin.is_graphql_generic:
                return None
            if only is not None and origin.origin is not only:
                continue
            part = self.selection(possible, details)
            if part is None:
                return None
            parts[origin.origin] = part
        builds = {class_: part.build for class_, part in parts.items()}

        def build(value: Any, path: Path | None, notes: Notes) -> Any:
            if get_strawberry_type_cast(value) is not None:
                raise UnexpectedError
            return builds[type(value)](value, path, notes)

        is_open = any(part.is_open for part in parts.values())
        kinds = kinds_of(type_)
        return Part(build, is_open, of_rows=None if kinds is None or is_open else build_of_kinds(kinds, parts))


_page: Final = attrgetter("record")
"""Reads the page that a connection shows."""


def _nodes(part: Part, show: Read) -> Callable[[Page[Any], At, Notes], list[Any]]:
    """Return what makes the answers of a page's records, which a function shows."""

    def build(page: Page[Any], at: At, notes: Notes) -> list[Any]:
        records = page.items
        if type(records) is Rows and part.of_rows is not None:
            made = part.of_rows(records.layout, show)
            if made is not None:
                return made(records.rows, at, notes)
        return [part.build(show(record), at(number), notes) for number, record in enumerate(records)]

    return build


def _in_list(path: Path | None) -> At:
    return lambda number: Path(path, number, None)


def _in_edges(path: Path | None, name: str, type_name: str) -> At:
    return lambda number: Path(Path(path, number, None), name, type_name)


def _list(item: Leaf | Part) -> Part:
    if isinstance(item, Leaf):
        complete = item.complete
        return Part(lambda values, _path, _open: [complete(value) for value in _listed(values)])
    build = item.build
    if not item.is_open:
        return Part(lambda values, _path, notes: [build(value, None, notes) for value in _listed(values)])
    return Part(
        lambda values, path, notes: [
            build(value, Path(path, number, None), notes) for number, value in enumerate(_listed(values))
        ],
        is_open=True,
    )


def _listed(values: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(values, (list, tuple)):
        return values
    raise UnexpectedError


def _is_open(part: Leaf | Part | Deferred) -> bool:
    return isinstance(part, Deferred) or (isinstance(part, Part) and part.is_open)


def _fields(members: Iterable[Member]) -> Fields:
    """Return what is read of an object's record; None if one does not say what it reads."""
    found: set[str] = set()
    for member in members:
        match member.part:
            case Leaf(text=str()):
                pass
            case Deferred(lookup=Lookup() as lookup):
                found.add(lookup.key)
            case _ if member.attribute is not None:
                found.add(member.attribute.field)
            case _ if member.contextual is not None:
                found |= member.contextual.fields
            case _:
                return None
    return frozenset(found)


def _read(field: GraphQLField, metadata: Mapping[object, Any]) -> Read | None:
    """Return what reads a field that has no resolver, arguments, extensions or permissions."""
    definition = definition_of(field)
    if definition is None or field.args or not definition.is_basic_field:
        return None
    read: Read | None = metadata.get(READ)
    return attrgetter(definition.python_name) if read is None else read


def _definition(type_: GraphQLObjectType | GraphQLAbstractType) -> StrawberryObjectDefinition | None:
    definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return definition if isinstance(definition, StrawberryObjectDefinition) else None
