"""What is kept of compiled selections: as much as allowed, as long as its document, and right for every operation."""

from __future__ import annotations

import gc
import weakref
from itertools import product
from typing import Any

import pytest

from graph.execution.compiled import CompilingExecutor
from graph.execution.engine import Engine, Operation, Request
from tests.execution.comparison import Compared
from tests.execution.dealing import SCHEMA
from tests.execution.test_compiled import of_root, thing
from tests.transport import schema

INNER = thing(text="inner", number=2, name="in", maybe_thing=None)
ROOT = of_root(surely=thing(text="outer", number=1, name="out", maybe_thing=INNER), things=[INNER, INNER]).root


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the types for which fields are collected: once for each selection that is compiled."""
    found: list[str] = []
    collect = CompilingExecutor.collect_subfields

    def note(executor: CompilingExecutor, type_: Any, details: Any) -> Any:
        found.append(type_.name)
        return collect(executor, type_, details)

    monkeypatch.setattr(CompilingExecutor, "collect_subfields", note)
    return found


async def test_a_selection_is_compiled_once_for_its_document(collected: list[str]) -> None:
    compared = Compared(SCHEMA, "{ surely { text maybeThing { number } } things { name } }")
    await compared.answer({}, root=ROOT)
    assert sorted(collected) == ["Thing", "Thing", "Thing"]
    for _ in range(5):
        await compared.answer({}, root=ROOT)
    assert len(collected) == 3


async def test_values_that_are_no_conditions_make_no_difference(collected: list[str]) -> None:
    compared = Compared(SCHEMA, "query ($n: Int!) { surely { echoed(number: $n) text } }")
    root = of_root(surely=thing(text="x", echoed="y")).root
    for number in range(5):
        outcome = await compared.answer({"n": number}, root=root)
        assert f"y {number} None None" in outcome.data
    assert len(collected) == 1


async def test_conditions_decide_with_the_values_of_each_request() -> None:
    names = [f"c{number}" for number in range(9)]
    declared = ", ".join(f"${name}: Boolean = true" for name in names)
    fields = " ".join(f"{name}: number @include(if: ${name})" for name in names)
    compared = Compared(SCHEMA, f"query ({declared}) {{ surely {{ text {fields} }} }}")
    for values in product((True, False), repeat=9):
        given = dict(zip(names, values, strict=True))
        outcome = await compared.answer(given, root=ROOT)
        assert outcome.data.count("'c") == sum(values)
    assert len(compared.plans) <= 200, "as many as are kept of a document"
    await compared.answer({"c0": None}, root=ROOT)
    await compared.answer({}, root=ROOT)


async def test_the_operations_of_a_document_have_conditions_of_their_own() -> None:
    compared = Compared(
        SCHEMA,
        """
        query A($c: Boolean = true) { surely { ...F } }
        query B($c: Boolean = false) { surely { ...F } }
        query C($c: Boolean!) { surely { ...F number } }
        query D($c: Boolean!, $d: Boolean!) { surely { ...F number @skip(if: $d) } }
        fragment F on Thing { maybeThing { text @include(if: $c) name } }
        """,
    )
    cases: list[tuple[str, Any, bool]] = [
        *(("A", {}, True), ("B", {}, False), ("A", {}, True), ("A", {"c": False}, False), ("B", {"c": True}, True)),
        *(("C", {"c": True}, True), ("C", {"c": False}, False), ("A", {"c": None}, False)),
        *(("D", {"c": c, "d": d}, c) for c, d in product((True, False), repeat=2)),
    ]
    for operation, variables, shown in cases:
        outcome = await compared.answer(variables, root=ROOT, operation=operation)
        assert ("inner" in outcome.data) is shown, (operation, variables)


async def test_what_was_compiled_goes_with_its_document() -> None:
    engine = Engine(schema.build())

    def prepared(query: str) -> Operation:
        operation = engine.prepare(Request(query=query, request_id="r"))
        assert isinstance(operation, Operation)
        return operation

    operation = prepared("{ item { id } }")
    await engine.execute(operation, None)
    plans = weakref.ref(operation.document.plans)
    assert plans() is prepared("{ item { id } }").document.plans
    del operation
    blank = " " * 19_000
    for number in range(60):  # more text than is kept
        prepared(f"query Q{number} {{ item {{ id }} }}{blank}")
    gc.collect()
    assert plans() is None


async def test_a_document_gets_nothing_that_was_compiled_for_one_that_is_gone() -> None:
    selections = ("text", "number", "name", "text number", "maybeThing { text }", "maybeThing { number }")
    for selection in selections * 50:  # new nodes stand where others were
        outcome = await Compared(SCHEMA, f"{{ surely {{ {selection} }} }}").answer({}, root=ROOT)
        assert outcome.errors == []
