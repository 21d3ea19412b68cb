"""Execution with compiled selections: what graphql-core does for each field again, done once for each selection.

A selection of a type is compiled when it is first executed: its fields that are only read from an object become a list
of plain functions, which make the answer's dict in one go. Fields with a resolver keep it. They are left open and
filled in afterwards by graphql-core, or, where the field says which record it looks up, for all rows at once.

Whatever is not as expected (null where none may be, a value that doesn't fit its type, an exception) makes the compiled
function give up, without effect; then graphql-core executes the same selection and says what is wrong. So answers and
errors are its own. For that, an error of a field that is filled in must end up where it would have with graphql-core:
nothing is left open below a place that may be null; such a place is itself filled in by graphql-core.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any, Final, TypeAlias, cast

from graphql import (
    DirectiveNode,
    DocumentNode,
    GraphQLAbstractType,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLIncludeDirective,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLSkipDirective,
    GraphQLString,
    Undefined,
    VariableNode,
    Visitor,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    visit,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import get_strawberry_type_cast
from strawberry.types.field import StrawberryField

from graph.marks import LOOKUP, READ, Lookup

_KEPT: Final = 200
"""Selections of a document; more only come from many combinations of `@skip` and `@include`."""

_CONDITIONS: Final = {GraphQLSkipDirective.name, GraphQLIncludeDirective.name}

_INT_32: Final = range(-(2**31), 2**31)

Read: TypeAlias = Callable[[Any], Any]
Build: TypeAlias = "Callable[[Any, Path | None, list[_Open]], Any]"
"""Makes an answer of a value at a path, and notes what is left open; without path if nothing below is."""


class _UnexpectedError(Exception):
    """A value is not as it is with plain data."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What a place of a type becomes.

    Attributes:
        build: Makes it.
        is_open: Whether fields below are left open, so that paths are needed.
    """

    build: Build
    is_open: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Deferred:
    """A field that is filled in.

    Attributes:
        lookup: How to do so for many objects at once; None leaves it to graphql-core.
        part: What becomes of a record that was looked up.
    """

    name: str
    parent: GraphQLObjectType
    details: FieldDetailsList
    lookup: Lookup | None = None
    part: _Part | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A field of an object that is not filled in yet."""

    answer: dict[str, Any]
    field: _Deferred
    source: Any
    parent_path: Path | None

    @property
    def path(self) -> Path:
        return Path(self.parent_path, self.field.name, self.field.parent.name)


class Plans:
    """The compiled selections of a document.

    Args:
        tree: The document; the plans live as long as it does.
    """

    def __init__(self, tree: DocumentNode) -> None:
        self._conditions = _conditions(tree)
        self._plans: dict[tuple[object, ...], _Part | None] = {}

    def __len__(self) -> int:
        return len(self._plans)

    def find(self, executor: CompilingExecutor, type_: GraphQLObjectType, details: FieldDetailsList) -> _Part | None:
        """Return what makes answers of objects of a type for a field's selections, None for what can't be compiled."""
        given = executor.variable_values.coerced
        # A name that is not given is no other than one that is null: both are errors in a condition.
        key = (type_.name, *(id(each.node) for each in details), *(given.get(name) for name in self._conditions))
        try:
            return self._plans[key]
        except KeyError:
            try:
                plan = _Compiler(executor).selection(type_, details)
            except Exception:  # further below, perhaps; graphql-core will say what is wrong, and where
                plan = None
        if len(self._plans) < _KEPT:
            self._plans[key] = plan
        return plan


class CompilingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes an operation of a document with plans; everything but selections of objects is graphql-core's.

    Args:
        plans: Of the document.
    """

    def __init__(self, *args: Any, plans: Plans, **options: Any) -> None:
        super().__init__(*args, **options)
        self._plans = plans

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Make an object's answer by its plan, or as graphql-core does."""
        plan = self._plans.find(self, return_type, field_details_list)
        if plan is not None:
            open_: list[_Open] = []
            try:
                answer = plan.build(result, path, open_)
            except Exception:  # noqa: S110  # graphql-core will say what is wrong
                pass
            else:
                return self._fill(answer, open_) if open_ else answer
        return super().collect_and_execute_subfields(return_type, field_details_list, path, result, position_context)

    def _fill(self, answer: Any, open_: Sequence[_Open]) -> Any:
        """Fill in what was left open; return the answer, or what makes it when it is awaited."""
        lookups: dict[_Deferred, list[_Open]] = {}
        awaited: list[tuple[_Open, Awaitable[Any]]] = []
        try:
            for each in open_:
                if each.field.lookup is not None:
                    lookups.setdefault(each.field, []).append(each)
                else:
                    value = self._execute(each)
                    if self.is_awaitable(value):
                        awaited.append((each, value))
                    else:
                        each.answer[each.field.name] = value
        except Exception:
            self.settle_in_background([value for _, value in awaited])
            raise
        if not awaited and not lookups:
            return answer
        work = [self._look_up(field, places) for field, places in lookups.items()]

        async def filled() -> Any:
            values = await gather_with_cancel(*(value for _, value in awaited), *work)
            for (each, _), value in zip(awaited, values, strict=False):
                each.answer[each.field.name] = value
            return answer

        return filled()

    def _execute(self, each: _Open) -> Any:
        """Execute a field as graphql-core does."""
        field = each.field
        value = self.execute_field(field.parent, each.source, field.details, each.path, None)
        assert value is not Undefined, "the document was validated"
        return value

    async def _look_up(self, field: _Deferred, places: Sequence[_Open]) -> None:
        """Fill in a field of many objects; what does not work out is left to graphql-core, which asks again."""
        lookup = field.lookup
        assert lookup is not None
        try:
            keys = [lookup.key(each.source) for each in places]
            records = await lookup.load(self.context_value, [key for key in keys if key is not None])
        except Exception:
            left = list(places)
        else:
            left = [each for each, key in zip(places, keys, strict=True) if not _filled_in(each, key, records)]
        for each in left:
            value = self._execute(each)
            each.answer[field.name] = await value if self.is_awaitable(value) else value


def _filled_in(each: _Open, key: str | None, records: Mapping[str, Any]) -> bool:
    """Make the answer of a field of the record with a key; return whether that went as expected."""
    lookup, part = each.field.lookup, each.field.part
    assert lookup is not None
    assert part is not None
    try:
        record = records.get(key) if key is not None else None
        shown = None if record is None else lookup.show(record)
        each.answer[each.field.name] = part.build(shown, None, [])
    except Exception:
        return False
    return True


class _Compiler:
    """Compiles the selections of one document, as far as these variables leave them out or in."""

    def __init__(self, executor: CompilingExecutor) -> None:
        self._executor = executor
        self._schema: GraphQLSchema = executor.schema

    def selection(self, type_: GraphQLObjectType, details: FieldDetailsList) -> _Part | None:
        """Compile what is selected below a field, for objects of a type."""
        collected = self._executor.collect_subfields(type_, details)
        definition = _definition(type_)
        if definition is None or definition.is_type_of is not None or collected.new_defer_usages:
            return None
        return self._object(type_, definition.origin, collected.grouped_field_set)

    def _object(self, type_: GraphQLObjectType, origin: type, group: GroupedFieldSet) -> _Part:
        fields = [(name, *self._field(type_, name, details)) for name, details in group.items()]
        is_of_type = cast("Callable[[Any, None], bool] | None", type_.is_type_of)
        leaves = [(name, read, part) for name, read, part in fields if not isinstance(part, (_Part, _Deferred))]

        def build_flat(source: Any, _path: Path | None, _open: list[_Open]) -> Any:
            if type(source) is not origin or (is_of_type is not None and not is_of_type(source, None)):
                raise _UnexpectedError
            return {name: complete(read(source)) for name, read, complete in leaves}

        def build(source: Any, path: Path | None, open_: list[_Open]) -> Any:
            if type(source) is not origin or (is_of_type is not None and not is_of_type(source, None)):
                raise _UnexpectedError
            answer: dict[str, Any] = {}
            for name, read, part in fields:
                if isinstance(part, _Deferred):
                    answer[name] = None
                    open_.append(_Open(answer, part, source, path))
                elif isinstance(part, _Part):
                    below = Path(path, name, type_.name) if part.is_open else None
                    answer[name] = part.build(read(source), below, open_)
                else:
                    answer[name] = part(read(source))
            return answer

        if len(leaves) == len(fields):
            return _Part(build_flat)
        return _Part(build, is_open=any(isinstance(part, _Deferred) or _is_open(part) for *_, part in fields))

    def _field(
        self, type_: GraphQLObjectType, name: str, details: FieldDetailsList
    ) -> tuple[Read, Read | _Part | _Deferred]:
        """Return how a field is read, and what becomes of that: a function for a leaf."""
        node = details[0].node
        if node.name.value == "__typename":
            return _itself, lambda _: type_.name
        field = self._schema.get_field(type_, node.name.value)
        assert field is not None, "the document was validated"
        if (read := _read(field)) is None or any(each.fragment_variable_values for each in details):
            return _itself, self._deferred(type_, name, field, details)
        part = self._value(field.type, details)
        if part is None:
            return _itself, _Deferred(name, type_, details)
        return read, part

    def _deferred(
        self, type_: GraphQLObjectType, name: str, field: GraphQLField, details: FieldDetailsList
    ) -> _Deferred:
        definition = _strawberry(field)
        lookup = None if definition is None else definition.metadata.get(LOOKUP)
        if isinstance(lookup, Lookup):
            part = self._value(field.type, details)
            if isinstance(part, _Part) and not part.is_open:
                return _Deferred(name, type_, details, lookup, part)
        return _Deferred(name, type_, details)

    def _value(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Read | _Part | None:
        """Compile a place; a function makes a leaf, and None says that it is graphql-core's."""
        if is_non_null_type(type_):
            return self._present(type_.of_type, details)
        part = self._present(type_, details)
        if part is None or _is_open(part):
            return None  # an error below ends here, which only graphql-core knows how to do
        if isinstance(part, _Part):
            return _Part(_optional_part(part.build))
        return _optional(part)

    def _present(self, type_: GraphQLOutputType, details: FieldDetailsList) -> Read | _Part | None:
        """Compile a place that is not null; what is made refuses null."""
        if is_list_type(type_):
            item = self._value(type_.of_type, details)
            return None if item is None else _list(item)
        if is_leaf_type(type_):
            return _leaf(type_, self._executor.is_awaitable)
        if is_abstract_type(type_):
            return self._abstract(type_, details)
        return self.selection(cast("GraphQLObjectType", type_), details)

    def _abstract(self, type_: GraphQLAbstractType, details: FieldDetailsList) -> _Part | None:
        definition = _definition(type_)
        if definition is None or definition.resolve_type is not None:
            return None
        parts: dict[type, Build] = {}
        is_open = False
        for possible in self._schema.get_possible_types(type_):
            origin, part = _definition(possible), self.selection(possible, details)
            if origin is None or origin.is_graphql_generic or part is None:
                return None
            parts[origin.origin] = part.build
            is_open = is_open or part.is_open

        def build(value: Any, path: Path | None, open_: list[_Open]) -> Any:
            if get_strawberry_type_cast(value) is not None:
                raise _UnexpectedError
            return parts[type(value)](value, path, open_)

        return _Part(build, is_open)


def _list(item: Read | _Part) -> _Part:
    if not isinstance(item, _Part):
        complete = item
        return _Part(lambda values, _path, _open: [complete(value) for value in _listed(values)])
    build = item.build
    if not item.is_open:
        return _Part(lambda values, _path, open_: [build(value, None, open_) for value in _listed(values)])
    return _Part(
        lambda values, path, open_: [
            build(value, Path(path, number, None), open_) for number, value in enumerate(_listed(values))
        ],
        is_open=True,
    )


def _listed(values: Any) -> list[Any] | tuple[Any, ...]:
    if isinstance(values, (list, tuple)):
        return values
    raise _UnexpectedError


def _leaf(type_: GraphQLLeafType, is_awaitable: Callable[[Any], bool]) -> Read:
    """Return what serializes values of a type; for those that nearly all values have, by a shorter way."""
    coerce = type_.coerce_output_value

    def anything(value: Any) -> Any:
        if value is None or isinstance(value, Exception) or is_awaitable(value):
            raise _UnexpectedError
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise _UnexpectedError
        return coerced

    if type_ is GraphQLString or type_ is GraphQLID:
        return lambda value: value if type(value) is str else anything(value)
    if type_ is GraphQLInt:
        return lambda value: value if type(value) is int and value in _INT_32 else anything(value)
    if type_ is GraphQLFloat:
        return lambda value: value if type(value) is float and isfinite(value) else anything(value)
    if type_ is GraphQLBoolean:
        return lambda value: value if type(value) is bool else anything(value)
    if isinstance(type_, CustomGraphQLEnumType):
        members: object = type_.wrapped_cls
        names = _names(type_)
        return lambda value: names[value] if type(value) is members else anything(value)
    return anything


@cache
def _names(enum: CustomGraphQLEnumType) -> Mapping[Any, str]:
    members: Iterable[Any] = enum.wrapped_cls
    return {member: enum.coerce_output_value(member) for member in members}


def _optional(complete: Read) -> Read:
    return lambda value: None if value is None else complete(value)


def _optional_part(build: Build) -> Build:
    return lambda value, path, open_: None if value is None else build(value, path, open_)


def _is_open(part: Read | _Part | _Deferred) -> bool:
    return isinstance(part, _Part) and part.is_open


def _itself(source: Any) -> Any:
    return source


def _read(field: GraphQLField) -> Read | None:
    """Return what reads a field that has no resolver, arguments, extensions or permissions."""
    definition = _strawberry(field)
    if definition is None or field.args or not definition.is_basic_field:
        return None
    read: Read | None = definition.metadata.get(READ)
    return _attribute(definition.python_name) if read is None else read


def _attribute(name: str) -> Read:
    return lambda source: getattr(source, name)


def _strawberry(field: GraphQLField) -> StrawberryField | None:
    definition = field.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryField) else None


def _definition(type_: GraphQLObjectType | GraphQLAbstractType) -> StrawberryObjectDefinition | None:
    definition = type_.extensions.get("strawberry-definition")
    return definition if isinstance(definition, StrawberryObjectDefinition) else None


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
