"""Compiled selections and graphql-core answer the same: examples of what could tell them apart."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import Undefined

from tests.execution import odd
from tests.execution.comparison import Outcome, compare
from tests.execution.dealing import SCHEMA, Dealt
from tests.execution.documents import Told


def of_root(**values: Any) -> Dealt:
    root = odd.Query.empty()
    vars(root).update(values)
    return Dealt(root, {}, fails=False)


def thing(cls: type[odd.Given] = odd.Thing, **values: Any) -> Any:
    made = cls.empty()
    vars(made).update(values)
    return made


async def outcome(query: str, dealt: Dealt, **variables: Any) -> Outcome:
    return await compare(SCHEMA, Told(query, variables), dealt.context, dealt.root)


HELD = odd.OddError("held")


@pytest.mark.parametrize(
    "held",
    [HELD, odd.Later(HELD), Undefined, 7, None, thing(odd.Item)],
    ids=["exception", "awaitable", "undefined", "number", "null", "other"],
)
async def test_what_stands_for_an_object_of_no_interface(held: Any) -> None:
    for field in ("loose", "maybeLoose"):
        within = thing(loose=held, maybe_loose=held)
        await outcome(f"{{ surely {{ {field} {{ __typename }} }} }}", of_root(surely=within))
    for selection in ("looses { __typename }", "surely { looses { __typename } }"):
        values = [thing(odd.Loose), held]
        await outcome(f"{{ {selection} }}", of_root(looses=values, surely=thing(looses=values)))


async def test_a_condition_that_fails_is_the_fault_of_the_field_below_which_it_stands() -> None:
    query = "query ($c: Boolean = true) { thing { maybeThing { text @include(if: $c) } } }"
    within = of_root(thing=thing(maybe_thing=thing(text="x")))
    result = await outcome(query, within, c=None)
    assert "maybeThing" in result.data
