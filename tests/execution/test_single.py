"""An operation of one field takes no executor as long as all is as expected, and answers as one would."""

from __future__ import annotations

import gc
import json
import logging
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pytest
import strawberry
from strawberry import Info

from graph.execution.compiled import CompilingExecutor
from graph.execution.engine import Engine, Failure, Operation, Request
from tests.execution import odd
from tests.execution.test_compiled import of_root, outcome, thing

PAGE: Final = (
    "query ($after: String, $size: Int! = 2) { page(size: $size, after: $after) { size after next { size } } }"
)


@dataclass(eq=False)
class Asked:
    """An operation's context.

    Attributes:
        calls: Of the resolver of pages: the field's name and the arguments.
    """

    calls: list[tuple[str, int, str | None]] = field(default_factory=list)


async def _next(root: Page) -> Page:
    return Page(size=root.size + 1, after=None)


@strawberry.type
class Page:
    size: int
    after: str | None
    next: Page = strawberry.field(resolver=_next)


async def _page(info: Info[Asked, None], size: int, after: str | None = "start") -> Page | None:
    info.context.calls.append((info.field_name, size, after))
    if size < 0:
        raise ValueError("negative")
    return Page(size=size, after=after) if size else None


async def _surely(info: Info[Asked, None], size: int, after: str | None = "start") -> Page:
    return cast("Page", await _page(info, size, after))


async def _many(info: Info[Asked, None]) -> list[Page]:
    return [Page(size=1, after=None)]


@strawberry.input
class Odd:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2 == 0:
            raise ValueError("even")


async def _odd(number: Odd) -> Page | None:
    return Page(size=number.number, after=None)


async def _named(names: list[str]) -> Page:
    return Page(size=len(names), after=None)


async def _pages(names: list[str]) -> AsyncGenerator[Page, None]:
    yield await _named(names)


def _now(info: Info[Asked, None]) -> Page:
    return Page(size=1, after=None)


@strawberry.type
class Query:
    page: Page = strawberry.field(resolver=_surely)
    maybe: Page | None = strawberry.field(resolver=_page)
    many: list[Page] = strawberry.field(resolver=_many)
    now: Page = strawberry.field(resolver=_now)
    odd: Page | None = strawberry.field(resolver=_odd)
    named: Page = strawberry.field(resolver=_named)


@strawberry.type
class Mutation:
    write: Page = strawberry.field(resolver=_surely)


@strawberry.type
class Subscription:
    pages: AsyncGenerator[Page, None] = strawberry.subscription(resolver=_pages)


@pytest.fixture
def executors(monkeypatch: pytest.MonkeyPatch) -> list[CompilingExecutor]:
    """Return the executors that were made."""
    found: list[CompilingExecutor] = []
    init = CompilingExecutor.__init__

    def note(executor: CompilingExecutor, *args: Any, **options: Any) -> None:
        found.append(executor)
        init(executor, *args, **options)

    monkeypatch.setattr(CompilingExecutor, "__init__", note)
    return found


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription))


def prepared(engine: Engine, query: str, name: str | None = None, **variables: object) -> Operation:
    operation = engine.prepare(Request(query=query, operation_name=name, variables=variables, request_id="r"))
    assert isinstance(operation, Operation), operation
    return operation


async def ask(engine: Engine, query: str, context: object, name: str | None = None, **variables: object) -> Any:
    answer = await engine.execute(prepared(engine, query, name, **variables), context)
    return json.loads(answer.body)


@pytest.mark.parametrize("query", ["{ page(size: 3) { size } }", "mutation { page: write(size: 3) { size } }"])
async def test_one_field_takes_an_executor_once_for_a_document(
    engine: Engine, executors: list[object], query: str
) -> None:
    for _ in range(3):
        asked = Asked()
        assert await ask(engine, query, asked) == {"data": {"page": {"size": 3}}}
        assert [size for _, size, _ in asked.calls] == [3]
        assert len(executors) == 1


@pytest.mark.parametrize(
    ("variables", "called"),
    [
        ({}, (2, "start")),
        ({"after": None}, (2, None)),
        ({"after": "x", "size": 5, "more": 1}, (5, "x")),
    ],
)
async def test_variables_are_what_they_are_for_an_executor(
    engine: Engine, variables: dict[str, Any], called: tuple[int, str | None]
) -> None:
    for _ in range(2):
        asked = Asked()
        answer = await ask(engine, PAGE, asked, **variables)
        assert asked.calls == [("page", *called)]
        assert answer["data"]["page"] == {"size": called[0], "after": called[1], "next": {"size": called[0] + 1}}


@pytest.mark.parametrize("size", [0, -1], ids=["null", "error"])
async def test_what_goes_wrong_is_told_as_an_executor_does_and_no_resolver_is_called_twice(
    engine: Engine, size: int
) -> None:
    for name, data in (("page", None), ("maybe", {"maybe": None})):
        for _ in range(2):
            asked = Asked()
            answer = await ask(engine, f"query ($n: Int!) {{ {name}(size: $n) {{ size }} }}", asked, n=size)
            assert asked.calls == [(name, size, "start")]
            assert answer.get("data") == data
            paths = [error["path"] for error in answer.get("errors", ())]
            assert paths == ([] if data and not size else [[name]])


async def test_what_a_plan_leaves_open_is_filled_in(engine: Engine, executors: list[object]) -> None:
    for number in (2, 3):
        answer = await ask(engine, "{ maybe(size: 1) { size next { next { size } } } }", Asked())
        assert answer == {"data": {"maybe": {"size": 1, "next": {"next": {"size": 3}}}}}
        assert len(executors) == number


@pytest.mark.parametrize(
    "query",
    [
        "{ page(size: 1) { size } maybe(size: 2) { size } }",
        "{ many { size } }",
        "{ now { size } }",
        "{ __typename }",
        "{ ... @skip(if: true) { page(size: 1) { size } } }",
    ],
)
async def test_what_is_not_one_awaited_object_takes_an_executor(
    engine: Engine, executors: list[object], query: str
) -> None:
    first = await ask(engine, query, Asked())
    made = len(executors)
    assert await ask(engine, query, Asked()) == first
    assert "errors" not in first
    assert len(executors) == made + 1


async def test_conditions_decide_with_the_values_of_each_request(engine: Engine) -> None:
    query = "query ($c: Boolean!) { page(size: 1) @include(if: $c) { size } }"
    for shown in (True, False, True):
        assert await ask(engine, query, Asked(), c=shown) == {"data": {"page": {"size": 1}} if shown else {}}


@pytest.mark.parametrize("size", [3, 0, -1], ids=["answer", "null", "error"])
@pytest.mark.parametrize("selection", ["size", "next { size }"], ids=["plain", "open"])
async def test_nothing_of_a_request_is_kept(size: int, selection: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # a record in the log keeps the frames of the error that it tells
    engine = Engine(strawberry.Schema(query=Query))
    asked = Asked()
    await ask(engine, f"query ($n: Int!) {{ page(size: $n) {{ {selection} }} }}", asked, n=size)
    gone = weakref.ref(asked)
    del asked
    gc.collect()
    assert gone() is None


async def test_conditions_of_another_operation_decide_nothing(engine: Engine, executors: list[object]) -> None:
    """Two operations may have variables of the same name, of which only one is a condition."""
    query = """
      query A($c: Boolean!) { page(size: 1) @skip(if: $c) { size } }
      query B($c: [String!]!) { named(names: $c) { size } }
      subscription C($c: [String!]!) { pages(names: $c) { size } }
    """
    for shown in (True, False):
        assert await ask(engine, query, Asked(), "A", c=not shown) == {"data": {"page": {"size": 1}} if shown else {}}
    made = len(executors)
    for number in range(300):  # more than is kept of a document
        assert await ask(engine, query, Asked(), "B", c=[str(number)]) == {"data": {"named": {"size": 1}}}
    assert len(executors) == made + 1
    for _ in range(2):
        answer = await engine.execute_event(prepared(engine, query, "C", c=["x"]), Page(size=7, after=None), Asked())
        assert json.loads(answer.body) == {"data": {"pages": {"size": 7}}}


async def test_an_argument_that_cannot_be_made_is_an_error_of_its_field(engine: Engine) -> None:
    for query in ("query ($n: Int!) { odd(number: {number: $n}) { size } }", "{ odd(number: {number: 2}) { size } }"):
        answer = await ask(engine, query, Asked(), n=2)
        assert answer["data"] == {"odd": None}
        assert [error["path"] for error in answer["errors"]] == [["odd"]]
    assert await ask(engine, "{ odd(number: {number: 3}) { size } }", Asked()) == {"data": {"odd": {"size": 3}}}


async def test_variables_that_are_wrong_are_told_all_at_once(engine: Engine) -> None:
    asked = Request(query=PAGE, variables={"after": 7, "size": "many"}, request_id="r")
    for _ in range(2):
        refused = engine.prepare(asked)
        assert isinstance(refused, Failure)
        assert [error["message"].partition(" has ")[0] for error in refused.errors] == [
            "Variable '$after'",
            "Variable '$size'",
        ]


@pytest.mark.parametrize(
    "found",
    [
        thing(text="a text"),
        thing(text=7),
        thing(text=None),
        thing(odd.Special, text="special"),
        thing(odd.Item),
        odd.OddError("returned"),
        7,
        None,
    ],
    ids=["right", "no text", "null", "subclass", "other class", "exception", "number", "nothing"],
)
async def test_whatever_a_resolver_returns(found: Any) -> None:
    for name in ("awaited", "awaitedSurely"):
        for selection in ("text", "__typename", "text awaitedText", "maybeThing { text }"):
            values = {"awaited": found, "awaited_surely": found, "turns": 0}
            await outcome(f"{{ {name} {{ {selection} }} }}", of_root(**values))
