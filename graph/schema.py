"""The public schema, made of its roots and of the types that only interfaces lead to."""

from __future__ import annotations

from functools import cache

import strawberry
from graphql import lexicographic_sort_schema, print_schema
from strawberry.schema.config import StrawberryConfig

from graph.mutation import Mutation
from graph.query import Query
from graph.subscription import Subscription
from graph.types.events import EVENT_TYPES
from graph.types.scalars import SCALARS
from graph.types.user_errors import USER_ERROR_TYPES


@cache
def build_schema() -> strawberry.Schema:
    """Return the executable schema; it holds no state, so there is one for the process."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=(*EVENT_TYPES, *USER_ERROR_TYPES),
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def sdl() -> str:
    """Return the schema as clients read it, sorted so that a difference between versions shows what changed."""
    schema = build_schema()._schema  # noqa: SLF001 - the graphql-core schema has no public name
    return print_schema(lexicographic_sort_schema(schema)) + "\n"
