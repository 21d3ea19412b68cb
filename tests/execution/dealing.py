"""Objects of the odd schema: mostly what their types say, and now and then anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    build_schema,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    print_schema,
)
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from graph.errors import ErrorCode, RequestError
from graph.loaders import Loader
from tests.execution import odd
from tests.execution.documents import Told, told

SCHEMA: Final[GraphQLSchema] = odd.build()
_FILLED_IN: Final = frozenset(
    (
        *("text", "maybeThing", "things", "kin", "fellow", "looses"),
        *("resolvedNumber", "resolvedThing", "resolvedThings", "awaitedText", "awaitedThing", "awaitedThings"),
        *("permitted", "permittedPlainly", "aloud", "echoed", "echoedLater", "found", "foundSurely", "foundNamed"),
    )
)


_LOOKED_UP: Final = frozenset(
    (
        *("name", "text", "maybeNumber", "color", "thing", "things", "maybeThings", "told", "toldThings"),
        *("found", "foundSurely", "foundNamed"),
    )
)
_AWAITED: Final = frozenset(("awaited", "awaitedSurely"))
_THINGS: Final = ("Thing", "Special")
_SCALARS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "JSON": st.just(nodes.Null),
    "Stamp": st.sampled_from([nodes.Int(1), nodes.String("x")]),
}


def _focused(fields: frozenset[str], *types: str) -> GraphQLSchema:
    """Return a schema to select from, where some types have only some of their fields."""
    schema = build_schema(print_schema(SCHEMA))
    for name in types:
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)
        for each in type_.fields.keys() - fields:
            del type_.fields[each]
    return schema


def _selected(schema: GraphQLSchema) -> st.SearchStrategy[DocumentNode]:
    return queries(schema, print_ast=lambda document: document, custom_scalars=_SCALARS)


REQUESTS: Final[st.SearchStrategy[list[Told]]] = told(
    SCHEMA,
    _selected(SCHEMA)
    | _selected(_focused(_FILLED_IN, *_THINGS))
    | _selected(_focused(_LOOKED_UP, *_THINGS))
    | _selected(_focused(_AWAITED, "Query")),
)

_LEAVES: Final[dict[str, tuple[object, ...]]] = {
    "String": ("", "a text", "ö"),
    "ID": ("id", 5),
    "Int": (0, 1, 2**31 - 1, -(2**31)),
    "Float": (0.0, 1.5, 3),
    "Boolean": (True, False),
    "Color": (odd.Color.RED, odd.Color.GREEN),
    "Stamp": ("stamp", 3),
    "JSON": ({"a": [1, None]}, "text", 2**70),
}
_EXTRA: Final[dict[str, tuple[object, ...]]] = {
    **dict.fromkeys(("found", "found_surely", "found_named"), ("one", "two", None, "missing")),
    "open": (True, False),
    "turns": (0, 1, 3),
}
_ERRORS: Final = (None, odd.OddError("raised"), RequestError(ErrorCode.BUSY, "Raised.", retryAfter=2))
_EACH: Final = 2
"""Objects of each type; they refer to one another."""


@dataclass(frozen=True, repr=False)
class Dealt:
    """What a request is answered from.

    Attributes:
        root: Where it begins.
        records: What can be looked up.
        fails: Whether that fails.
    """

    root: odd.Query
    records: Mapping[str, object]
    fails: bool

    def context(self) -> object:
        """Make the context of an execution."""

        async def fetch(keys: Collection[str]) -> Mapping[str, object]:
            if self.fails:
                raise odd.OddError("the database is gone")
            return {key: record for key, record in self.records.items() if key in keys}

        return SimpleNamespace(loaders=Loader(fetch))


def dealt() -> st.SearchStrategy[Dealt]:
    """Return a strategy for objects that refer to one another, some of them with more oddities than others."""
    # Thousands of draws for an example would take longer than all else; requests shrink, what they ask for does not.
    return st.builds(_deal, st.integers(0, 2**32), st.sampled_from([0, 5, 20, 60]))


def _deal(seed: int, percent: int) -> Dealt:
    dealer = _Dealer(Random(seed), percent)
    for type_, objects in dealer.objects.items():
        for each in objects:
            dealer.fill(type_, each)
    root = odd.Query.empty()
    assert SCHEMA.query_type is not None
    dealer.fill(SCHEMA.query_type, root)
    things = dealer.objects[_object_type("Thing")]
    records = {"one": things[0], "two": dealer.odd() if dealer.is_odd() else things[1]}
    return Dealt(root, records, fails=dealer.is_odd())


class _Dealer:
    def __init__(self, random: Random, percent: int) -> None:
        self._random = random
        self._percent = percent
        types = [each for each in SCHEMA.type_map.values() if isinstance(each, GraphQLObjectType)]
        self.objects: dict[GraphQLObjectType, list[Any]] = {}
        for type_ in types:
            if not type_.name.startswith("__") and type_ is not SCHEMA.query_type:
                cls = odd.Box if type_.name.endswith("Box") else _definition(type_).origin
                self.objects[type_] = [cls.empty() for _ in range(_EACH)]

    def fill(self, type_: GraphQLObjectType, it: odd.Given) -> None:
        """Give an object something for each of its fields."""
        values = vars(it)
        raised = values["raised"] = {}
        values["self"] = values["record"] = it
        for definition in type_.fields.values():
            made = definition.extensions["strawberry-definition"]
            assert isinstance(made, StrawberryField)
            name = made.python_name
            if self._percent and self._is_drawn(self._percent // 2):
                raised[name] = self._random.choice(_ERRORS)
            elif name in _EXTRA:
                values[name] = self._random.choice(_EXTRA[name])
            else:
                values[name] = self.value(definition.type)
        for name in ("open", "turns"):
            values[name] = self._random.choice(_EXTRA[name])

    def value(self, type_: GraphQLOutputType) -> object:
        """Make a value of a type, or anything."""
        if self.is_odd():
            return self.odd()
        if is_non_null_type(type_):
            return self._present(type_.of_type)
        return None if self._is_drawn(20) else self._present(type_)

    def odd(self) -> object:
        """Return something that may be of any type."""
        return self._random.choice([*odd.ODD, *(each for them in self.objects.values() for each in them)])

    def is_odd(self) -> bool:
        """Whether there is something odd now."""
        return bool(self._percent) and self._is_drawn(self._percent)

    def _present(self, type_: Any) -> object:
        if is_list_type(type_):
            items = [self.value(type_.of_type) for _ in range(self._random.randint(0, 3))]
            value: object = tuple(items) if self._is_drawn(10) else items
        elif is_leaf_type(type_):
            value = self._random.choice(_LEAVES[type_.name])
        elif is_abstract_type(type_):
            possible: list[GraphQLObjectType] = SCHEMA.get_possible_types(type_)
            value = self._random.choice([each for one in possible for each in self.objects[one]])
        else:
            value = self._random.choice(self.objects[type_])
        if self._percent and self._is_drawn(4):
            return odd.Later(value, self._random.randint(0, 3))
        return value

    def _is_drawn(self, percent: int) -> bool:
        return self._random.randrange(100) < percent


def _definition(type_: GraphQLObjectType) -> StrawberryObjectDefinition:
    definition = type_.extensions["strawberry-definition"]
    assert isinstance(definition, StrawberryObjectDefinition)
    return definition


def _object_type(name: str) -> GraphQLObjectType:
    type_ = SCHEMA.type_map[name]
    assert isinstance(type_, GraphQLObjectType)
    return type_
