"""What a document's selections and operations are compiled to, and how that is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from graphql import (
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    get_nullable_type,
    is_object_type,
    visit,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet, collect_fields
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from graph.execution.calls import Call, compile_call, yields_events
from graph.execution.compiler import Compiler, Executor
from graph.execution.parts import Build, Notes, Part
from graph.execution.single import SingleField, without_request

T = TypeVar("T")

Root: TypeAlias = tuple[GraphQLObjectType, GroupedFieldSet]
"""The type and the fields that an operation begins with."""

_KEPT: Final = 200
"""Of each kind for a document; more only come from many combinations of `@skip` and `@include`."""

_CONDITIONS: Final = {GraphQLSkipDirective.name, GraphQLIncludeDirective.name}


@dataclass(frozen=True, slots=True)
class EventPlan:
    """How a subscription answers to an event, without an execution.

    Attributes:
        name: Of the one field, in the answer.
        build: Makes what it becomes.
    """

    name: str
    build: Build

    def data(self, event: object, context: object) -> dict[str, Any]:
        """Make an answer's data; any exception says that it takes an execution after all."""
        return {self.name: self.build(event, None, Notes(context))}


class _Kept(dict[tuple[object, ...], T]):
    """What was compiled, up to a number."""

    def keep(self, key: tuple[object, ...], compiled: T) -> T:
        """Remember what was compiled, if there is room, and return it."""
        if len(self) < _KEPT:
            self[key] = compiled
        return compiled


class Plans:
    """What is compiled of a document.

    Args:
        tree: The document; the plans live as long as it does.
    """

    def __init__(self, tree: DocumentNode) -> None:
        self._conditions = _conditions(tree)
        self._plans: _Kept[Part | None] = _Kept()
        self._calls: _Kept[Call | None] = _Kept()
        self._roots: _Kept[Root | None] = _Kept()
        self._events: _Kept[EventPlan | None] = _Kept()
        self._singles: _Kept[SingleField | None] = _Kept()

    def __len__(self) -> int:
        return len(self._plans)

    def find(self, executor: Executor, type_: GraphQLObjectType, details: FieldDetailsList) -> Part | None:
        """Return what makes answers of objects of a type for a field's selections, None for what can't be compiled."""
        key = (type_.name, *(id(each.node) for each in details), *self._decided(executor.variable_values))
        try:
            return self._plans[key]
        except KeyError:
            return self._plans.keep(key, _selection(executor, type_, details))

    def root(self, executor: Executor) -> Root | None:
        """Return the type and the fields that an operation begins with, None if that is left to graphql-core."""
        key = (id(executor.operation), *self._decided(executor.variable_values))
        try:
            return self._roots[key]
        except KeyError:
            return self._roots.keep(key, _collect(executor))

    def call(self, schema: GraphQLSchema, type_: GraphQLObjectType, details: FieldDetailsList) -> Call | None:
        """Return how a field's resolver is called, None if that is left to graphql-core."""
        key = (type_.name, *(id(each.node) for each in details))
        try:
            return self._calls[key]
        except KeyError:
            return self._calls.keep(key, _call(schema, type_, details))

    def event(
        self,
        operation: OperationDefinitionNode,
        variables: VariableValues,
        class_: type,
        executor: Callable[[], Executor],
    ) -> EventPlan | None:
        """Return what makes a subscription's answers to events of a class, None if it takes an execution.

        Args:
            operation: The subscription.
            variables: Of this request.
            class_: Of the event.
            executor: Makes what would execute it.
        """
        key = (id(operation), class_, *self._decided(variables))
        try:
            return self._events[key]
        except KeyError:
            return self._events.keep(key, self._event(executor(), class_))

    def single(
        self, operation: OperationDefinitionNode, variables: VariableValues, executor: Callable[[], Executor]
    ) -> SingleField | None:
        """Return how the one field of a query or mutation is executed, None if that is left to an executor.

        Args:
            operation: The query or mutation.
            variables: Of this request.
            executor: Makes what would execute it.
        """
        key = (id(operation), *self._decided(variables))
        try:
            return self._singles[key]
        except KeyError:
            return self._singles.keep(key, self._single(executor()))

    def _decided(self, variables: VariableValues) -> Iterable[object]:
        """Return what the conditions of the document depend on."""
        # A name that is not given is no other than one that is null: both are errors in a condition. What is neither
        # true nor false is a variable of an operation that has no condition of that name.
        values = variables.coerced
        return [value if type(value := values.get(name)) is bool else None for name in self._conditions]

    def _event(self, executor: Executor, class_: type) -> EventPlan | None:
        type_, name, details = self._only_field(executor)
        field = None if type_ is None else executor.schema.get_field(type_, details[0].node.name.value)
        if field is None or not yields_events(field):
            return None
        try:
            part = Compiler(executor).event(field.type, class_, details)
        except Exception:  # as in `_selection`
            return None
        return EventPlan(name, part.build) if isinstance(part, Part) and not part.is_open else None

    def _single(self, executor: Executor) -> SingleField | None:
        type_, name, details = self._only_field(executor)
        if type_ is None or executor.operation.operation is OperationType.SUBSCRIPTION:
            return None
        call = self.call(executor.schema, type_, details)
        shown = None if call is None else get_nullable_type(call.field.type)
        plan = self.find(executor, shown, details) if is_object_type(shown) else None
        if call is None or plan is None:
            return None
        info = executor.build_resolve_info(call.field, call.nodes, type_, Path(None, name, type_.name))
        return SingleField(name, details, call, plan.build, without_request(info))

    def _only_field(self, executor: Executor) -> tuple[GraphQLObjectType | None, str, FieldDetailsList]:
        """Return the one field that an operation begins with, and its type; no type if there are several."""
        type_, fields = self.root(executor) or (None, {})
        if len(fields) != 1:
            return None, "", []
        ((name, details),) = fields.items()
        return type_, name, details


def _selection(executor: Executor, type_: GraphQLObjectType, details: FieldDetailsList) -> Part | None:
    try:
        return Compiler(executor).selection(type_, details)
    except Exception:  # a condition, perhaps, further below; graphql-core will say what is wrong, and where
        return None


def _call(schema: GraphQLSchema, type_: GraphQLObjectType, details: FieldDetailsList) -> Call | None:
    field = schema.get_field(type_, details[0].node.name.value)
    if field is None or any(each.fragment_variable_values for each in details):
        return None
    try:
        return compile_call(schema, field, [each.node for each in details])
    except Exception:  # a value of an argument; as in `_selection`
        return None


def _collect(executor: Executor) -> Root | None:
    type_ = executor.schema.get_root_type(executor.operation.operation)
    if type_ is None:
        return None
    try:
        fields, deferred, _ = collect_fields(
            executor.schema, executor.fragments, executor.variable_values, type_, executor.operation
        )
    except (GraphQLError, RecursionError):  # graphql-core will say so
        return None
    varies = any(each.fragment_variable_values for details in fields.values() for each in details)
    return None if deferred or varies else (type_, fields)


class _Conditions(Visitor):
    """Collects the variables of `@skip` and `@include`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        if node.name.value in _CONDITIONS:
            for argument in node.arguments or ():
                if isinstance(argument.value, VariableNode):
                    self.names.add(argument.value.name.value)


def _conditions(tree: DocumentNode) -> tuple[str, ...]:
    conditions = _Conditions()
    visit(tree, conditions)
    return tuple(sorted(conditions.names))
