"""What a selection is compiled to: parts that make answers, leaves that make scalars, and what is left open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    Undefined,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from domain.paging import Fields
from domain.rows import Layout, Row
from graph.marks import Attribute, Contextual, Lookup

Read: TypeAlias = Callable[[Any], Any]

At: TypeAlias = Callable[[int], Path | None]
"""Makes the path of an item of a list; None if nothing below is left open."""

Build: TypeAlias = "Callable[[Any, Path | None, Notes], Any]"
"""Makes an answer of a value at a path, and notes what is left open; without path if nothing below is."""

BuildOfRows: TypeAlias = "Callable[[Sequence[Row], At, Notes], list[Any]]"
"""Makes the answers of rows, as `Build` does for each."""

OfRows: TypeAlias = "Callable[[Layout[Any], Read], BuildOfRows | None]"
"""Makes what builds answers of rows of a layout, None if they have to be shown as objects first, by that function."""


_LAYOUTS: Final = 16
"""Of rows that one selection is made of; as many as there are ways to read its records."""


class Notes(list["Open | Wanted"]):
    """What is left open of answers.

    Attributes:
        context: Of the operation that they are for.
    """

    __slots__ = ("context",)

    def __init__(self, context: object) -> None:
        super().__init__()
        self.context = context


class UnexpectedError(Exception):
    """A value is not as it is with plain data."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a place with selections or items becomes.

    Attributes:
        build: Makes it.
        is_open: Whether fields below are left open, so that paths are needed.
        fields: What is read of the record of an object.
        of_rows: How it is made of rows, None if only objects will do.
    """

    build: Build
    is_open: bool = False
    fields: Fields = None
    of_rows: OfRows | None = None

    def optional(self) -> Part:
        """Return the same for a place that may be null."""
        build = self.build
        return replace(self, build=lambda value, path, notes: None if value is None else build(value, path, notes))


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a scalar becomes.

    Attributes:
        complete: Makes it of any value; refuses null unless it is nullable.
        test: Whether a value stays as it is, in Python: `{}` is the value when it is first named, and then `v`. None if
            that can't be told so.
        serialize: What makes it of an ordinary value, for scalars of ours.
        is_enum: Whether there are few values.
        nullable: Whether the place may be null.
        text: The value, if it is always the same.
    """

    complete: Read
    test: str | None = None
    serialize: Read | None = None
    is_enum: bool = False
    nullable: bool = False
    text: str | None = None

    def optional(self) -> Leaf:
        """Return the same for a place that may be null."""
        complete = self.complete
        return replace(self, complete=lambda value: None if value is None else complete(value), nullable=True)

    @staticmethod
    def constant(text: str) -> Leaf:
        """Return what is always the same, whatever the value is."""
        return Leaf(lambda _: text, text=text)


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """A field that is filled in.

    Attributes:
        lookup: How to do so for many objects at once; None leaves it to graphql-core.
        part: What becomes of a record that was looked up.
    """

    name: str
    parent: GraphQLObjectType
    type: GraphQLOutputType
    details: FieldDetailsList
    lookup: Lookup | None = None
    part: Part | None = None

    @property
    def is_null_without(self) -> bool:
        """Whether the field is null where no record is found, rather than an error."""
        return self.lookup is not None and self.lookup.is_null_without and not is_non_null_type(self.type)


@dataclass(frozen=True, slots=True)
class Member:
    """A selected field of an object.

    Attributes:
        name: In the answer.
        part: What becomes of what is read.
        read: Reads it from the object.
        attribute: What of the object's record it is, if it is that.
        contextual: What it makes of the record and the context, if it is that.
    """

    name: str
    part: Leaf | Part | Deferred
    read: Read = lambda source: source
    attribute: Attribute | None = None
    contextual: Contextual | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """A field of an object that graphql-core fills in.

    Attributes:
        at: The object's path.
    """

    answer: dict[str, Any]
    field: Deferred
    source: Any
    at: Path | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A field of some objects that is looked up.

    Attributes:
        answers: Of the objects.
        keys: Of the records, for each object; null for none.
        source: Makes an object, by its number.
        at: An object's path.
    """

    answers: Sequence[dict[str, Any]]
    keys: Sequence[str | None]
    field: Deferred
    source: Callable[[int], Any]
    at: At


def for_each_layout(make: OfRows) -> OfRows:
    """Return the same function, which remembers what it made for each layout."""
    return lru_cache(_LAYOUTS)(make)


def leaf(type_: GraphQLLeafType, is_awaitable: Callable[[Any], bool]) -> Leaf:
    """Return what serializes values of a type; for those that nearly all values have, by a shorter way."""
    coerce = type_.coerce_output_value

    def complete(value: Any) -> Any:
        if value is None or isinstance(value, Exception) or is_awaitable(value):
            raise UnexpectedError
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise UnexpectedError
        return coerced

    if isinstance(type_, CustomGraphQLEnumType):
        members: object = type_.wrapped_cls
        names = _names(type_)
        return Leaf(lambda value: names[value] if type(value) is members else complete(value), is_enum=True)
    return Leaf(complete, _TESTS.get(type_.name) if type_ in _BUILT_IN else None, coerce)


_BUILT_IN = (GraphQLString, GraphQLID, GraphQLInt, GraphQLFloat, GraphQLBoolean)
_TESTS: Mapping[str, str] = {
    GraphQLString.name: "type({}) is str",
    GraphQLID.name: "type({}) is str",
    GraphQLInt.name: "type({}) is int and -2147483648 <= v <= 2147483647",
    GraphQLFloat.name: "type({}) is float and -infinity < v < infinity",
    GraphQLBoolean.name: "type({}) is bool",
}


@cache
def _names(enum: CustomGraphQLEnumType) -> Mapping[Any, str]:
    members: Iterable[Any] = enum.wrapped_cls
    return {member: enum.coerce_output_value(member) for member in members}
