"""The engine without a transport: caches, memory, and what one event becomes."""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest
import strawberry

from graph.execution.engine import Engine, EngineOptions, Failure, Operation, Request, Result
from graph.fanout.groups import Fanout
from tests.pulled import pulled
from tests.transport import schema


@pytest.fixture
def engine() -> Engine:
    return Engine(schema.build(), EngineOptions())


def prepared(engine: Engine, query: str, **variables: object) -> Operation:
    operation = engine.prepare(Request(query=query, variables=variables, request_id="r-1"))
    assert isinstance(operation, Operation)
    return operation


def hits(engine: Engine) -> int:
    return engine.documents.lookups["text", "hit"]


def misses(engine: Engine) -> int:
    return engine.documents.lookups["text", "miss"]


def test_a_document_is_parsed_and_validated_once(engine: Engine) -> None:
    documents = {id(prepared(engine, "query ($n: Int!) { double(number: $n) }", n=n).document) for n in range(100)}
    assert len(documents) == 1
    assert (hits(engine), misses(engine)) == (99, 1)


def test_refused_documents_take_no_place_in_the_cache(engine: Engine) -> None:
    for query in ("{ hello", "{ nothing }"):
        for _ in range(2):
            assert isinstance(engine.prepare(Request(query=query, request_id="r")), Failure)
    assert hits(engine) == 0


def test_the_cache_forgets_the_documents_that_were_used_longest_ago(engine: Engine) -> None:
    for number in range(1_001):
        prepared(engine, f"query Q{number} {{ hello }}")
        prepared(engine, "{ hello }")
    missed = misses(engine)
    prepared(engine, "{ hello }")
    prepared(engine, "query Q1000 { hello }")
    assert misses(engine) == missed
    prepared(engine, "query Q0 { hello }")
    assert misses(engine) == missed + 1


def test_the_cache_is_bounded_by_text_too(engine: Engine) -> None:
    blank = " " * 19_000
    for number in range(60):
        prepared(engine, f"query Q{number} {{ hello }}{blank}")
    missed = misses(engine)
    prepared(engine, f"query Q59 {{ hello }}{blank}")
    assert misses(engine) == missed
    prepared(engine, f"query Q0 {{ hello }}{blank}")
    assert misses(engine) == missed + 1


async def test_an_event_is_executed_from_its_arguments_alone(engine: Engine) -> None:
    operation = prepared(engine, "subscription { leaves(to: 0) { value tags } }")
    leaf = schema.Leaf(value=3, text="", tags=["x"])
    expected = Result(b'{"data":{"leaves":{"value":3,"tags":["x"]}}}')
    assert await engine.execute_event(operation, leaf, None) == expected
    assert await engine.execute_event(operation, leaf, None) == expected


async def test_a_long_subscription_of_objects_keeps_nothing_for_each_event(engine: Engine) -> None:
    """graphql-core 3.3.2 keeps a kilobyte and more for each event of its own `subscribe`."""
    operation = prepared(engine, "subscription { leaves(to: 12000) { value text tags } }")
    objects: list[int] = []
    async with aclosing(pulled(Fanout(engine), operation, None)) as answers:
        number = 0
        async for answer in answers:
            assert isinstance(answer, Result)
            number += 1
            if number in {2_000, 11_999}:
                gc.collect()
                objects.append(len(gc.get_objects()))
    assert number == 12_000
    assert objects[1] - objects[0] < 100


async def test_a_source_that_never_waits_gives_others_their_turn(engine: Engine) -> None:
    operation = prepared(engine, "subscription { count(to: 100) }")
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count_turns())
    assert len([answer async for answer in pulled(Fanout(engine), operation, None)]) == 100
    other.cancel()
    assert turns >= 100


async def test_leaving_a_subscription_early_closes_its_source(engine: Engine) -> None:
    world = schema.World()
    for number in range(3):
        world.feed.put_nowait(number)
    operation = prepared(engine, "subscription { feed }")
    context = schema.Context(None, world)  # type: ignore[arg-type]
    fanout = Fanout(engine)
    async with aclosing(pulled(fanout, operation, context)) as answers:
        assert await anext(answers) == Result(b'{"data":{"feed":0}}')
        assert fanout.subscribers == 1
    assert world.left.is_set()
    assert fanout.subscribers == 0


class Numbers:
    """A source that is no generator, as a hand-written feed may be."""

    def __init__(self) -> None:
        self.number = 0
        self.closed = False

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        self.number += 1
        return self.number

    async def aclose(self) -> None:
        self.closed = True


async def test_any_asynchronous_iterator_can_be_a_source() -> None:
    numbers = Numbers()

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def numbers(self) -> AsyncGenerator[int, None]:
            return numbers  # type: ignore[return-value]

        @strawberry.subscription
        async def nothing(self) -> AsyncGenerator[int, None]:
            return 5  # type: ignore[return-value]

    engine = Engine(strawberry.Schema(query=schema.Query, subscription=Subscription))
    async with aclosing(pulled(Fanout(engine), prepared(engine, "subscription { numbers }"), None)) as answers:
        assert await anext(answers) == Result(b'{"data":{"numbers":1}}')
    assert numbers.closed
    (failure,) = [answer async for answer in pulled(Fanout(engine), prepared(engine, "subscription { nothing }"), None)]
    assert isinstance(failure, Failure)
    assert failure.code == "INTERNAL"


async def test_one_exception_in_many_fields_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    shared = RuntimeError("secret")

    @strawberry.type
    class Query:
        @strawberry.field
        def broken(self) -> str | None:
            raise shared

        @strawberry.field
        def missing(self) -> str:
            return None  # type: ignore[return-value]

    engine = Engine(strawberry.Schema(query=Query))
    answer = await engine.execute(prepared(engine, "{ a: broken b: broken }"), None)
    assert len(json.loads(answer.body)["errors"]) == 2
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.ERROR
    missing = json.loads((await engine.execute(prepared(engine, "{ missing }"), None)).body)
    assert missing["data"] is None
    assert missing["errors"][0]["message"] == "Internal error"


async def test_data_that_has_no_json_form_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    @strawberry.type
    class Query:
        @strawberry.field
        def value(self) -> strawberry.scalars.JSON:
            return strawberry.scalars.JSON({"object": object()})

    engine = Engine(strawberry.Schema(query=Query))
    answer = await engine.execute(prepared(engine, "{ value }"), None)
    assert isinstance(answer, Failure)
    assert answer.code == "INTERNAL"
    assert [vars(record)["request_id"] for record in caplog.records] == ["r-1"]
