"""A field that fails ends those beside it, whatever they have come to; nothing that we made for them is forgotten."""

from __future__ import annotations

import asyncio
import gc
import re
from asyncio import sleep
from collections.abc import Mapping, Sequence
from typing import Any, Final

import graphql
import pytest
import strawberry
from graphql import ExecutionResult, GraphQLSchema, parse, validate

from domain.paging import Fields
from graph.execution.compiled import CompilingExecutor
from graph.execution.plans import Plans
from graph.marks import LOOKUP, Lookup
from tests.execution.comparison import FORGETFUL

pytestmark = FORGETFUL

TURNS: Final = 16
"""Of the loop; more than it takes to execute any of the documents."""

GRAPHQL_CORE: Final = re.compile(r"coroutine 'Executor\.\w+\.<locals>\.")
"""What it forgets where it waits itself, such as for the items of a list."""


async def one() -> int:
    """Return 1 in another turn of the loop."""
    await sleep(0)
    return 1


async def find(_context: object, keys: Sequence[str], _fields: Fields) -> Mapping[str, Leaf]:
    """Return a leaf for each key, in another turn of the loop."""
    await sleep(0)
    return {key: Leaf(key=key) for key in keys}


async def looked_up(root: strawberry.Parent[Leaf]) -> Leaf:
    """Return what is looked up, when a plan can't."""
    return (await find(None, [root.key], None))[root.key]


@strawberry.type
class Leaf:
    key: str = "a"
    first: int = strawberry.field(resolver=one)
    second: int = strawberry.field(resolver=one)
    found: Leaf = strawberry.field(
        resolver=looked_up,
        metadata={LOOKUP: Lookup("key", find, lambda leaf: leaf, is_null_without=False, is_by_id=True)},
    )

    @property
    def record(self) -> Leaf:
        """Return what the key of a lookup is read from."""
        return self

    @strawberry.field
    def maybe(self) -> Leaf | None:
        """Return a leaf that no plan reads: graphql-core executes what is below."""
        return Leaf()

    @strawberry.field
    def fails(self) -> int:
        """Fail at once."""
        raise RuntimeError

    @strawberry.field
    def leaves(self) -> list[Leaf]:
        """Return two of them."""
        return [Leaf(), Leaf(key="b")]


async def fail(turns: int) -> int:
    """Fail after so many turns of the loop."""
    for _ in range(turns):
        await sleep(0)
    raise RuntimeError


async def leaf() -> Leaf:
    """Return a leaf in another turn of the loop."""
    await sleep(0)
    return Leaf()


@strawberry.type
class Query:
    fails: int = strawberry.field(resolver=fail)
    leaf: Leaf = strawberry.field(resolver=leaf)


SCHEMA: Final[GraphQLSchema] = strawberry.Schema(Query)._schema


async def fail_to_execute(text: str) -> None:
    """See that all of a document's answer becomes null, and let what is still under way come to its end."""
    tree = parse(text)
    assert validate(SCHEMA, tree) == []
    executor: Any = {"executor_class": CompilingExecutor, "plans": Plans(tree)}
    result = graphql.execute(SCHEMA, tree, **executor)
    assert not isinstance(result, ExecutionResult)
    assert (await result).data is None
    for _ in range(TURNS):
        await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(TURNS))
@pytest.mark.parametrize(
    "selected",
    [
        "first second",
        "first maybe { first second }",
        "maybe { maybe { first second } }",
        "leaves { first maybe { second } }",
        "found { key } first",
        "maybe { found { key } }",
        "leaves { found { key } maybe { leaves { found { first } } } }",
    ],
)
async def test_no_coroutine_is_forgotten(turns: int, selected: str, recwarn: pytest.WarningsRecorder) -> None:
    await fail_to_execute(f"{{ fails(turns: {turns}) leaf {{ {selected} }} }}")
    gc.collect()
    forgotten = [str(warning.message) for warning in recwarn]
    assert [each for each in forgotten if not GRAPHQL_CORE.match(each)] == []


async def test_what_stands_beside_a_field_that_fails_at_once_is_still_called(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    async def noted(_: float) -> None:
        called.append("first")
        await asyncio.sleep(0)

    monkeypatch.setattr(f"{__name__}.sleep", noted)
    await fail_to_execute("{ leaf { first fails } }")
    assert len(called) == 2  # `leaf` itself, and `first`
