"""Calls of resolvers, compiled: what Strawberry and graphql-core find out about arguments each time, found out once.

Arguments that are written in the document are the same each time. A variable's value was coerced with the request, and
what holds variables is coerced by graphql-core; what a resolver gets for either is made by `graph.execution.inputs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_argument_values,
    is_non_null_type,
)
from graphql.execution.values import VariableValues
from graphql.utilities import coerce_input_literal
from strawberry import Schema
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import has_object_definition
from strawberry.types.field import StrawberryField

from graph.execution.inputs import Convert, converter
from graph.marks import definition_of
from graph.selection import RememberingInfo, Selected


@dataclass(frozen=True, slots=True)
class _Given:
    """An argument that is a variable.

    Attributes:
        name: The resolver's parameter.
        variable: Without `$`.
        convert: Makes what the resolver gets.
        may_be_absent: Whether the argument is left out where the variable is.
        may_be_null: Whether null is no error.
    """

    name: str
    variable: str
    convert: Convert
    may_be_absent: bool
    may_be_null: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """An argument that holds variables.

    Attributes:
        name: The resolver's parameter.
        node: As it is written.
        type: What it is coerced to.
        convert: Makes what the resolver gets.
    """

    name: str
    node: ValueNode
    type: GraphQLInputType
    convert: Convert


class Call:
    """How an asynchronous resolver is called for one field of a document.

    Attributes:
        field: As graphql-core knows it.
        nodes: As the resolver's `info` shows them.
    """

    def __init__(
        self,
        field: GraphQLField,
        nodes: list[FieldNode],
        definition: StrawberryField,
        constants: Mapping[str, Any],
        given: Sequence[_Given | _Held],
    ) -> None:
        self.field = field
        self.nodes = nodes
        self._definition = definition
        self._constants = constants
        self._given = given
        self._seen: list[Selected] = []

    def arguments(self, variables: VariableValues) -> dict[str, Any] | None:
        """Return the arguments; None if they are not as expected, which graphql-core will know what to do about."""
        try:
            return self._arguments(variables)
        except Exception:
            return None

    def _arguments(self, variables: VariableValues) -> dict[str, Any] | None:
        found = {name: _fresh(value) for name, value in self._constants.items()}
        for given in self._given:
            if isinstance(given, _Held):
                value = coerce_input_literal(given.node, given.type, variables)
                is_expected = value is not Undefined
            elif given.variable in variables.coerced:
                value = variables.coerced[given.variable]
                is_expected = given.may_be_null or value is not None
            elif given.may_be_absent:
                continue
            else:
                return None
            if not is_expected:
                return None
            found[given.name] = given.convert(value)
        return found

    async def resolve(self, source: Any, info: GraphQLResolveInfo[Any], arguments: dict[str, Any]) -> Any:
        """Call the resolver as Strawberry does."""
        resolver = self._definition.base_resolver
        assert resolver is not None
        for parameter in (resolver.parent_parameter, resolver.root_parameter):
            if parameter is not None:
                arguments[parameter.name] = source
        if resolver.info_parameter is not None:
            arguments[resolver.info_parameter.name] = RememberingInfo(info, self._definition, self._seen)
        return await resolver(**arguments)


def compile_call(schema: GraphQLSchema, field: GraphQLField, nodes: list[FieldNode]) -> Call | None:
    """Compile the call of a field's resolver, None if it has to be Strawberry's own."""
    definition, whole = definition_of(field), _strawberry(schema)
    if definition is None or whole is None or not _is_plain(definition):
        return None
    written = {argument.name.value: argument.value for argument in nodes[0].arguments or ()}
    own = {whole.config.name_converter.from_argument(argument): argument for argument in definition.arguments}
    given: list[_Given | _Held] = []
    constant: dict[str, GraphQLArgument] = {}
    for name, argument in field.args.items():
        value = written.get(name)
        if value is None or not _has_variables(value):
            constant[name] = argument
            continue
        parameter, convert = own[name].python_name, converter(whole, own[name].type)
        if convert is None:
            return None
        if isinstance(value, VariableNode):
            null = not is_non_null_type(argument.type)
            absent = null and not _has_default(argument)
            given.append(_Given(parameter, value.name.value, convert, absent, null))
        else:
            given.append(_Held(parameter, value, argument.type, convert))
    return Call(field, nodes, definition, _converted(whole, constant, nodes[0], definition), given)


def yields_events(field: GraphQLField) -> bool:
    """Whether a field of a subscription is each event itself, with nothing of ours or of the operator's in between."""
    definition = definition_of(field)
    return (
        definition is not None
        and definition.is_subscription
        and not definition.extensions
        and not definition.permission_classes
    )


def _fresh(value: Any) -> Any:
    """Return a value that a resolver may change: lists and input objects are new, what can't be changed is the same."""
    if isinstance(value, list):
        return [_fresh(item) for item in value]
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in value.items()}
    if not has_object_definition(value):
        return value
    made = object.__new__(type(value))
    for name, item in vars(value).items():
        object.__setattr__(made, name, _fresh(item))
    return made


def _strawberry(schema: GraphQLSchema) -> Schema | None:
    found = getattr(schema, "_strawberry_schema", None)
    return found if isinstance(found, Schema) else None


def _is_plain(definition: StrawberryField) -> bool:
    """Whether a field is a function of its own, which is awaited, with nothing else around it."""
    resolver = definition.base_resolver
    return (
        resolver is not None
        and resolver.is_async
        and resolver.self_parameter is None
        and not definition.extensions
        and not definition.permission_classes
    )


def _has_default(argument: GraphQLArgument) -> bool:
    return argument.default is not None or argument.default_value is not Undefined


def _has_variables(value: ValueNode) -> bool:
    match value:
        case VariableNode():
            return True
        case ListValueNode():
            return any(map(_has_variables, value.values))
        case ObjectValueNode():
            return any(_has_variables(field.value) for field in value.fields)
        case _:
            return False


def _converted(
    schema: Schema, arguments: Mapping[str, GraphQLArgument], node: FieldNode, definition: StrawberryField
) -> Mapping[str, Any]:
    """Return the values of arguments that depend on no variable, as the resolver gets them."""
    values = get_argument_values(GraphQLField(GraphQLString, dict(arguments)), node)
    return convert_arguments(
        values,
        definition.arguments,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
    )
