"""What a resolver gets for the value of an argument, as Strawberry makes it; how that is made is found out once.

Values were coerced by graphql-core: a scalar or an enum is what the resolver gets, of an input object there is a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, TypeAlias

from strawberry import UNSET, Schema
from strawberry.relay import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    has_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.lazy_type import LazyType

Convert: TypeAlias = Callable[[Any], Any]


def converter(schema: Schema, type_: object) -> Convert | None:
    """Return what makes a resolver's argument of a coerced value, None where that is left to Strawberry."""
    try:
        return _Converters(schema).of(type_)
    except _LeftToStrawberryError:
        return None


class _LeftToStrawberryError(Exception):
    """A type that is not a scalar, an enum or a plain input object, or a list of one."""


class _Converters:
    """Those of one argument; an input object may hold others of its own type."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._made: dict[type, Convert] = {}

    def of(self, type_: Any) -> Convert:
        """Return what converts values of a type, null among them."""
        if isinstance(type_, LazyType):
            return self.of(type_.resolve_type())
        if isinstance(type_, StrawberryMaybe) or type_ is GlobalID:
            raise _LeftToStrawberryError
        if isinstance(type_, StrawberryOptional):
            return self.of(type_.of_type)
        if isinstance(type_, StrawberryList):
            return _list_of(self.of(type_.of_type))
        registry = self._schema.schema_converter.scalar_registry
        if is_scalar(type_, registry) or isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_):
            return _same
        if has_object_definition(type_):
            return self._object(type_, type_.__strawberry_definition__)
        raise _LeftToStrawberryError

    def _object(self, cls: Any, definition: StrawberryObjectDefinition) -> Convert:
        if cls not in self._made:
            if not definition.is_input or definition.from_input is not None:
                raise _LeftToStrawberryError

            def convert_later(value: Any) -> Any:
                return convert(value)

            self._made[cls] = convert_later
            convert = self._made[cls] = self._fields(cls, definition)
        return self._made[cls]

    def _fields(self, cls: Any, definition: StrawberryObjectDefinition) -> Convert:
        fields = definition.fields
        name_of = self._schema.config.name_converter.from_field
        parts = [
            (name_of(field), field.python_name, self.of(field.resolve_type(type_definition=definition)))
            for field in fields
        ]
        # What may be null need not have a default in Python.
        missing = {
            field.python_name: None
            for field in fields
            if field.default_value is MISSING and field.default_factory is MISSING
        }

        def convert(value: Mapping[str, Any] | None) -> Any:
            if value is None or value is UNSET:
                return value
            given = dict(missing)
            for name, key, convert_field in parts:
                if name in value:
                    given[key] = convert_field(value[name])
            return cls(**given)

        return convert


def _list_of(convert: Convert) -> Convert:
    if convert is _same:
        return lambda value: value if value is None or value is UNSET else list(value)
    return lambda value: value if value is None or value is UNSET else [convert(item) for item in value]


def _same(value: Any) -> Any:
    return value
