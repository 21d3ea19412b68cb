"""The schema as clients read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

from domain.errors import UserFacingError
from graph.schema import sdl

HERE = Path(__file__).parent
EXPORTED = HERE.parents[1] / "schema.graphql"


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return build_schema(sdl())


def test_the_exported_file_is_what_the_code_serves() -> None:
    assert EXPORTED.read_text() == sdl(), "write it anew with `mgx schema > schema.graphql`"


@pytest.mark.parametrize("find_changes", [find_breaking_changes, find_dangerous_changes])
def test_clients_of_the_contract_find_everything_as_it_says(ours: GraphQLSchema, find_changes: Any) -> None:
    contract = build_schema((HERE / "contract.graphql").read_text())

    assert [change.description for change in find_changes(contract, ours)] == []


def test_everything_in_the_schema_is_described(ours: GraphQLSchema) -> None:
    assert [name for name, description in _described(ours) if not (description or "").strip()] == []


def test_scalars_say_what_specifies_them(ours: GraphQLSchema) -> None:
    scalar: Any = ours.type_map["DateTime"]

    assert scalar.specified_by_url == "https://scalars.graphql.org/andimarek/date-time.html"


def test_each_refusal_that_a_client_can_expect_has_a_type(ours: GraphQLSchema) -> None:
    errors = {type_.name for type_ in ours.get_possible_types(_interface(ours, "UserError"))}
    generic = {"IdempotencyKeyReusedError", "LimitReachedError"}

    assert errors == {error.__name__ for error in UserFacingError.__subclasses__()} - generic | {"GenericUserError"}


def _interface(schema: GraphQLSchema, name: str) -> GraphQLInterfaceType:
    type_ = schema.type_map[name]
    assert isinstance(type_, GraphQLInterfaceType)
    return type_


def _described(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    for name, type_ in schema.type_map.items():
        if name.startswith("__"):
            continue
        yield name, type_.description
        if isinstance(type_, GraphQLEnumType):
            yield from ((f"{name}.{value}", definition.description) for value, definition in type_.values.items())
        elif isinstance(type_, GraphQLInputObjectType):
            yield from ((f"{name}.{key}", input_.description) for key, input_ in type_.fields.items())
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for key, field in type_.fields.items():
                yield f"{name}.{key}", field.description
                yield from ((f"{name}.{key}({arg}:)", value.description) for arg, value in field.args.items())
