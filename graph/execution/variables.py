"""Variables of an operation, coerced: what graphql-core finds out about them each time, found out once.

Whatever is not as it should be is left to graphql-core, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, TypeAlias

from graphql import GraphQLInputType, GraphQLSchema, Undefined, VariableDefinitionNode, is_leaf_type, is_non_null_type
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, input_is_nested_too_deeply
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_value

Coerce: TypeAlias = Callable[[Any], Any]
"""Makes the value of one that a client sent; `Undefined` of one that does not do, or an exception."""

_SAME: Final = (str, int, float, bool, NoneType)
"""Classes of values that nobody can change."""


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable that an operation defines.

    Attributes:
        absent: What says that none was sent; None if that is wrong, or needs a default that must be made anew.
        default: Its value where none was sent, `Undefined` if it has none.
    """

    name: str
    signature: GraphQLVariableSignature
    coerce: Coerce
    absent: VariableValueSource | None
    default: Any


class Variables:
    """The variables that an operation defines.

    Args:
        schema: It fits.
        definitions: Of the operation.
    """

    def __init__(self, schema: GraphQLSchema, definitions: Sequence[VariableDefinitionNode]) -> None:
        self._variables = [_variable(schema, each) for each in definitions]

    def coerce(self, given: Mapping[str, Any]) -> VariableValues | None:
        """Return the values of what a client sent, None if not all of it is plainly right."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        try:
            for each in self._variables:
                name = each.name
                if name in given:
                    sources[name] = VariableValueSource(each.signature, given[name])
                    coerced[name] = value = each.coerce(given[name])
                    if value is Undefined:
                        return None
                elif each.absent is not None:
                    sources[name] = each.absent
                    if each.default is not Undefined:
                        coerced[name] = each.default
                else:
                    return None
        except Exception:
            return None
        return VariableValues(sources, coerced)


def _variable(schema: GraphQLSchema, definition: VariableDefinitionNode) -> _Variable:
    signature = get_variable_signature(schema, definition)
    assert isinstance(signature, GraphQLVariableSignature), "the document was validated"
    default = Undefined if signature.default is None else coerce_default_value(signature)
    may_be_absent = not is_non_null_type(signature.type) if signature.default is None else isinstance(default, _SAME)
    absent = VariableValueSource(signature) if may_be_absent else None
    return _Variable(signature.name, signature, _coerce(signature.type), absent, default)


def _coerce(type_: GraphQLInputType) -> Coerce:
    present = type_.of_type if is_non_null_type(type_) else type_
    if is_leaf_type(present):
        coerce, null = present.coerce_input_value, Undefined if present is not type_ else None
        return lambda value: null if value is None else coerce(value)
    return lambda value: Undefined if input_is_nested_too_deeply(value, type_) else coerce_input_value(value, type_)
