"""What a document says about who may share its answers, and for how long they stay true."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    SKIP,
    FieldNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    VisitorAction,
    visit,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from graph.execution.documents import Document
from graph.marks import BEGINNING, OF_CALLER, TIMELESS, is_marked

_CACHED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What matters to those who share a document's answers.

    Attributes:
        personal: Whether a field is selected that depends on who asks.
        timeless: Whether the answer for an event depends on the event alone: no field below it has a resolver, which
            could read the present, but those that are marked. Such an answer is as good for those who come later.
        beginnings: Variables that say where to begin, and nothing else.
    """

    personal: bool
    timeless: bool
    beginnings: frozenset[str]


class Shapes:
    """The shapes of documents, the most recently used ones remembered.

    Args:
        schema: What the documents were validated against.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: OrderedDict[str, Shape] = OrderedDict()

    def of(self, document: Document) -> Shape:
        """Return a valid document's shape; where it has several operations, it is that of all of them together."""
        known = self._known.get(document.text)
        if known is None:
            known = self._known[document.text] = self._look(document)
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(document.text)
        return known

    def _look(self, document: Document) -> Shape:
        types = TypeInfo(self._schema)
        look = _Look(self._schema, types)
        visit(document.tree, TypeInfoVisitor(types, look))
        beginnings = frozenset(name for name, count in look.beginnings.items() if look.uses[name] == count)
        return Shape(look.personal, look.timeless, beginnings)


class _Look(Visitor):
    def __init__(self, schema: GraphQLSchema, types: TypeInfo) -> None:
        super().__init__()
        self.personal = False
        self.timeless = True
        self.beginnings: Counter[str] = Counter()
        self.uses: Counter[str] = Counter()
        self._schema = schema
        self._types = types

    def enter_variable_definition(self, _node: VariableDefinitionNode, *_: Any) -> VisitorAction:
        return SKIP  # what is declared is not used yet

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.uses[node.name.value] += 1

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, field = self._types.get_parent_type(), self._types.get_field_def()
        if field is None or parent is None or node.name.value.startswith("__"):
            return
        if parent is self._schema.subscription_type:
            self._note_beginnings(node, field)
            return
        for each in (field, *self._implementations(parent, node.name.value)):
            definition = each.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            self.timeless &= _is_plain(definition)
            self.personal |= is_marked(getattr(definition, "metadata", None), OF_CALLER)

    def _note_beginnings(self, node: FieldNode, field: GraphQLField) -> None:
        for given in node.arguments or ():
            argument = field.args[given.name.value].extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            if isinstance(given.value, VariableNode) and is_marked(getattr(argument, "metadata", None), BEGINNING):
                self.beginnings[given.value.name.value] += 1

    def _implementations(self, parent: object, name: str) -> list[GraphQLField]:
        """Return what a field of an interface is in the types that an event may really have."""
        if not isinstance(parent, GraphQLInterfaceType):
            return []
        possible: list[GraphQLObjectType] = list(self._schema.get_possible_types(parent))
        return [each.fields[name] for each in possible]


def _is_plain(definition: object) -> bool:
    """Whether a field is read from its object, with nothing of ours or of the operator's in between."""
    return (
        isinstance(definition, StrawberryField)
        and (definition.base_resolver is None or is_marked(definition.metadata, TIMELESS))
        and not definition.extensions
        and not definition.permission_classes
    )
