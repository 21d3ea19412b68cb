"""Compiled selections and graphql-core answer the same: examples of what could tell them apart."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import Undefined

from tests.execution import odd
from tests.execution.comparison import FORGETFUL, Compared, Outcome, compare
from tests.execution.dealing import SCHEMA, Dealt
from tests.execution.documents import Told

pytestmark = FORGETFUL


def of_root(**values: Any) -> Dealt:
    root = odd.Query.empty()
    vars(root).update(values)
    return Dealt(root, {}, fails=False)


def thing(cls: type[odd.Given] = odd.Thing, **values: Any) -> Any:
    made = cls.empty()
    vars(made).update(values, record=made)
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


async def test_an_argument_that_the_document_holds_is_new_for_each_call() -> None:
    compared = Compared(SCHEMA, "{ surely { echoedLater(colors: [RED]) again: echoedLater(colors: [RED]) } }")
    root = of_root(surely=thing(echoed_later="x")).root
    for _ in range(2):  # the resolver adds to what it gets
        outcome = await compared.answer({}, root=root)
        assert outcome.data.count("GREEN") == 2


async def test_a_type_that_stands_for_another_is_shown_as_what_it_is() -> None:
    selection = (
        "{ nameds { __typename name mood ... on Thing { text } ... on Special { extra } ... on Item { weight } } }"
    )
    special, cast = thing(odd.Special, name="s", mood=None, text="t", extra="e"), thing(name="c", mood=odd.Color.RED)
    vars(cast)["__as_strawberry_type__"] = odd.Item
    vars(cast)["weight"] = 1.0
    boxes = [thing(odd.Box, name="b", mood=None, value=value) for value in (1, "text")]
    for named in (special, cast, *boxes, thing(odd.Item, name="i", mood=2, weight=1), 7, None):
        for query in (selection, f"{{ surely {selection} }}"):
            nameds = [named, thing(odd.Item, name="i", mood=None, weight=2.5)]
            await outcome(query, of_root(nameds=nameds, surely=thing(nameds=nameds)))


async def test_lookups_fail_where_they_stand() -> None:
    """As many as there are rows, each with its path; and null goes as far as it has to."""
    records: dict[str, object] = {"one": thing(text="one"), "two": thing(text=7), "three": None}
    for each in records.values():
        if each is not None:
            vars(each)["self"] = each
    for field in ("found", "foundSurely", "foundNamed"):
        for keys in (["one", "one"], ["one", "two"], ["two", "three"], ["gone", "one"], [None, "one"], [[], "one"]):
            things = [thing(found=key, found_surely=key, found_named=key) for key in keys]
            for below in ("name", "__typename") if field == "foundNamed" else ("text", "__typename"):
                for fails in (False, True):
                    dealt = Dealt(of_root(things=things, maybe_things=things).root, records, fails=fails)
                    await outcome(f"{{ things {{ {field} {{ {below} }} }} }}", dealt)
                    await outcome(f"{{ maybeThings {{ {field} {{ {below} }} text }} }}", dealt)
