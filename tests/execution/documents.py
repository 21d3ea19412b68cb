"""Valid documents of all shapes: what hypothesis-graphql selects, told in the many ways that GraphQL has for it.

It generates fields, literals and inline fragments. Here aliases, variables, named fragments, conditions, `__typename`
and fields that are selected twice come on top, none of which may change what is valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
    parse_const_value,
    parse_type,
    print_ast,
    value_from_ast_untyped,
)
from hypothesis import strategies as st

Arguments: TypeAlias = Mapping[str, st.SearchStrategy[str | None]]
"""What an argument of a name is given, as a literal; None leaves it out."""

_CHANCES: Final = st.integers(0, 99)


@dataclass(frozen=True)
class Told:
    """A request.

    Attributes:
        text: The document, with one operation.
        variables: As a client sends them.
    """

    text: str
    variables: Mapping[str, Any]


def told(
    schema: GraphQLSchema,
    selected: st.SearchStrategy[DocumentNode],
    arguments: Arguments | None = None,
    *,
    times: int = 4,
) -> st.SearchStrategy[list[Told]]:
    """Return a strategy for requests, some of them for the same fields: to select takes longer than to tell.

    Args:
        schema: Of the documents.
        selected: Documents with one operation, of fields and inline fragments alone.
        arguments: Values for arguments of these names, in place of what was selected.
        times: How many requests are made of one selection.
    """

    @st.composite
    def tell(draw: st.DrawFn) -> list[Told]:
        (operation,) = draw(selected).definitions
        assert isinstance(operation, OperationDefinitionNode)
        return [_Teller(draw, schema, arguments or {}).tell(operation) for _ in range(times)]

    return tell()


@dataclass
class _Teller:
    """Retells one operation."""

    draw: st.DrawFn
    schema: GraphQLSchema
    arguments: Arguments
    fragments: list[FragmentDefinitionNode] = field(default_factory=list)
    definitions: list[VariableDefinitionNode] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    conditions: list[str] = field(default_factory=list)
    asked: dict[tuple[str, ...], tuple[ArgumentNode, ...]] = field(default_factory=dict)
    names: int = 0

    def tell(self, operation: OperationDefinitionNode) -> Told:
        root = self.schema.get_root_type(operation.operation)
        assert root is not None
        named = self._named(root, operation.selection_set.selections, ())
        # A subscription has one root field, and nothing that might leave it out.
        shaped = named if operation.operation is OperationType.SUBSCRIPTION else self._shaped(root, named)
        if operation.operation is OperationType.SUBSCRIPTION:
            (only,) = named
            assert isinstance(only, FieldNode)
            shaped = (self._with_shaped_selections(root, only),)
        retold = OperationDefinitionNode(
            operation=operation.operation,
            variable_definitions=tuple(self.definitions),
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(shaped)),
        )
        return Told(print_ast(DocumentNode(definitions=(retold, *self.fragments))), self.values)

    # First, what is asked: arguments and names, the same wherever a field is selected again

    def _named(
        self, type_: GraphQLNamedType, nodes: Iterable[SelectionNode], path: tuple[str, ...]
    ) -> tuple[SelectionNode, ...]:
        found: list[SelectionNode] = []
        for node in nodes:
            if isinstance(node, InlineFragmentNode):
                assert node.type_condition is not None
                inner = self.schema.type_map[node.type_condition.name.value]
                found.append(_inline(inner.name, self._named(inner, node.selection_set.selections, path)))
            else:
                assert isinstance(node, FieldNode)
                found.append(self._named_field(type_, node, path))
        return tuple(found)

    def _named_field(self, type_: GraphQLNamedType, node: FieldNode, path: tuple[str, ...]) -> FieldNode:
        definition = self._definition(type_, node)
        alias = NameNode(value=self._name("a")) if self._is_drawn(15) else node.alias
        place = (*path, (alias or node.name).value)
        if place not in self.asked:
            self.asked[place] = tuple(self._asked(definition, node))
        below = node.selection_set
        if below is not None:
            inner = get_named_type(definition.type)
            below = SelectionSetNode(selections=self._named(inner, below.selections, place))
        return FieldNode(name=node.name, alias=alias, arguments=self.asked[place], directives=(), selection_set=below)

    def _asked(self, definition: GraphQLField, node: FieldNode) -> Iterable[ArgumentNode]:
        given = {each.name.value: each.value for each in node.arguments or ()}
        for name, argument in definition.args.items():
            value: ValueNode | None = given.get(name)
            if name in self.arguments:
                literal = self.draw(self.arguments[name])
                value = None if literal is None else parse_const_value(literal)
            if value is None:
                continue
            if self._is_drawn(30):
                value = self._variable(str(argument.type), value_from_ast_untyped(value))
            yield ArgumentNode(name=NameNode(value=name), value=value)

    def _variable(self, type_: str, value: object) -> VariableNode:
        name = self._name("v")
        self._define(name, type_)
        self.values[name] = value
        return _use(name)

    # Then, how it is told: in pieces, again, under conditions

    def _shaped(self, type_: GraphQLNamedType, nodes: Sequence[SelectionNode]) -> tuple[SelectionNode, ...]:
        found: list[SelectionNode] = []
        for node in nodes:
            found += self._again(type_, node)
        if self._is_drawn(20):
            alias = NameNode(value=self._name("t")) if self._is_drawn(30) else None
            found.insert(self.draw(st.integers(0, len(found))), _field("__typename", alias))
        return tuple(found)

    def _again(self, type_: GraphQLNamedType, node: SelectionNode) -> list[SelectionNode]:
        """Tell a selection once, or a second time in other words."""
        times = 2 if self._is_drawn(10) else 1
        return [self._wrapped(type_, self._one(type_, node)) for _ in range(times)]

    def _one(self, type_: GraphQLNamedType, node: SelectionNode) -> SelectionNode:
        if isinstance(node, InlineFragmentNode):
            assert node.type_condition is not None
            inner = self.schema.type_map[node.type_condition.name.value]
            shaped = self._shaped(inner, node.selection_set.selections)
            return self._fragment(inner.name, shaped)
        assert isinstance(node, FieldNode)
        return self._with_shaped_selections(type_, node, *self._directives())

    def _with_shaped_selections(
        self, type_: GraphQLNamedType, node: FieldNode, *directives: DirectiveNode
    ) -> FieldNode:
        below = node.selection_set
        if below is not None:
            inner = get_named_type(self._definition(type_, node).type)
            below = SelectionSetNode(selections=self._shaped(inner, below.selections))
        return FieldNode(
            name=node.name, alias=node.alias, arguments=node.arguments, directives=directives, selection_set=below
        )

    def _wrapped(self, type_: GraphQLNamedType, node: SelectionNode) -> SelectionNode:
        if not self._is_drawn(15):
            return node
        conditions = [type_.name, *(each.name for each in getattr(type_, "interfaces", ()))]
        if isinstance(node, FieldNode):  # an interface of the type may not have the field
            conditions = [name for name in conditions if self._has(name, node.name.value)]
        elif isinstance(node, (InlineFragmentNode, FragmentSpreadNode)):
            conditions = conditions[:1]
        return self._fragment(self.draw(st.sampled_from(conditions)), (node,))

    def _has(self, type_: str, name: str) -> bool:
        found = self.schema.type_map[type_]
        return not isinstance(found, GraphQLInterfaceType) or name in found.fields

    def _fragment(self, type_: str, selections: Sequence[SelectionNode]) -> SelectionNode:
        if self._is_drawn(70):
            return _inline(type_, selections, self._directives())
        name = self._name("F")
        self.fragments.append(
            FragmentDefinitionNode(
                name=NameNode(value=name),
                type_condition=NamedTypeNode(name=NameNode(value=type_)),
                variable_definitions=(),
                directives=(),
                selection_set=SelectionSetNode(selections=tuple(selections)),
            )
        )
        return FragmentSpreadNode(name=NameNode(value=name), arguments=(), directives=tuple(self._directives()))

    def _directives(self) -> tuple[DirectiveNode, ...]:
        """Mostly none; seldom one that leaves something out."""
        if not self._is_drawn(8):
            return ()
        kept = self._is_drawn(60)
        name = self.draw(st.sampled_from(["skip", "include"]))
        value = kept if name == "include" else not kept
        argument = ArgumentNode(name=NameNode(value="if"), value=self._condition(value=value))
        return (DirectiveNode(name=NameNode(value=name), arguments=(argument,)),)

    def _condition(self, *, value: bool) -> ValueNode:
        if self._is_drawn(30):
            return BooleanValueNode(value=value)
        if self.conditions and self._is_drawn(50):
            return _use(self.draw(st.sampled_from(self.conditions)))
        name = self._name("c")
        self.conditions.append(name)
        kind = self.draw(st.sampled_from(["Boolean!", "default", "default left out", "default made null"]))
        if kind == "Boolean!":
            self._define(name, kind)
        else:
            self._define(name, "Boolean", "true" if value else "false")
        if kind in {"Boolean!", "default"}:
            self.values[name] = value
        elif kind == "default made null" and self._is_drawn(30):  # an error, but only when it is executed
            self.values[name] = None
        return _use(name)

    # What both need

    def _definition(self, type_: GraphQLNamedType, node: FieldNode) -> GraphQLField:
        assert isinstance(type_, (GraphQLObjectType, GraphQLInterfaceType))
        definition = self.schema.get_field(type_, node.name.value)
        assert definition is not None
        return definition

    def _define(self, name: str, type_: str, default: str | None = None) -> None:
        self.definitions.append(
            VariableDefinitionNode(
                variable=_use(name),
                type=parse_type(type_),
                default_value=None if default is None else parse_const_value(default),
                directives=(),
            )
        )

    def _name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def _is_drawn(self, percent: int) -> bool:
        return self.draw(_CHANCES) >= 100 - percent  # so that examples shrink towards nothing special


def _use(name: str) -> VariableNode:
    return VariableNode(name=NameNode(value=name))


def _field(name: str, alias: NameNode | None) -> FieldNode:
    return FieldNode(name=NameNode(value=name), alias=alias, arguments=(), directives=(), selection_set=None)


def _inline(
    type_: str, selections: Sequence[SelectionNode], directives: Sequence[DirectiveNode] = ()
) -> InlineFragmentNode:
    return InlineFragmentNode(
        type_condition=NamedTypeNode(name=NameNode(value=type_)),
        directives=tuple(directives),
        selection_set=SelectionSetNode(selections=tuple(selections)),
    )
