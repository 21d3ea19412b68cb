"""A schema with one field for each thing that a transport has to cope with."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import cache

import strawberry
from strawberry.scalars import JSON
from strawberry.types import Info

from graph.errors import ErrorCode, RequestError
from graph.transport.shared import RequestInfo


@dataclass
class World:
    """What resolvers and tests share."""

    feed: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    proceed: asyncio.Event = field(default_factory=asyncio.Event)
    contexts: list[RequestInfo] = field(default_factory=list)
    mutations: int = 0
    refuse_context: Exception | None = None


@dataclass
class Context:
    info: RequestInfo
    world: World


@strawberry.type
class Leaf:
    value: int
    text: str
    tags: list[str]


@strawberry.type
class Item:
    id: int

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> "list[Item]":
        return [Item(id=number) for number in range(first or last or 1)]

    @strawberry.field
    def logs(self, first: int | None = None) -> list[str]:
        return []

    @strawberry.field
    def series(self, max_points: int = 500) -> list[float]:
        return []

    @strawberry.field
    def parent(self) -> "Item":
        return Item(id=0)


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def double(self, number: int) -> int:
        return 2 * number

    @strawberry.field
    def echo(self, value: JSON) -> JSON:
        return value

    @strawberry.field
    def not_a_number(self) -> JSON:
        return JSON({"nan": float("nan"), "big": 2**70})

    @strawberry.field
    def boom(self) -> str | None:
        raise RuntimeError("secret")

    @strawberry.field
    def refuse(self) -> str | None:
        raise RequestError(ErrorCode.CURSOR_EXPIRED, "Too old; start afresh.", oldestCursor="c1")

    @strawberry.field
    async def hang(self, info: Info[Context, None]) -> str | None:
        info.context.world.entered.set()
        try:
            await info.context.world.proceed.wait()
        finally:
            info.context.world.left.set()
        return "done"

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> list[Item]:
        return [Item(id=number) for number in range(first or last or 1)]

    @strawberry.field
    def item(self) -> Item:
        return Item(id=1)

    @strawberry.field
    def nodes(self, ids: list[strawberry.ID]) -> list[Item]:
        return []

    @strawberry.field
    def kind(self, info: Info[Context, None]) -> str:
        return info.context.info.kind

    @strawberry.field
    def token(self, info: Info[Context, None]) -> JSON:
        return JSON(dict(info.context.info.connection_params))


@strawberry.type
class Mutation:
    @strawberry.mutation
    def increment(self, info: Info[Context, None]) -> int:
        info.context.world.mutations += 1
        return info.context.world.mutations

    @strawberry.mutation
    async def slowly_increment(self, info: Info[Context, None]) -> int:
        world = info.context.world
        world.entered.set()
        await world.proceed.wait()
        world.mutations += 1
        return world.mutations


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription
    async def leaves(self, to: int) -> AsyncGenerator[Leaf, None]:
        for number in range(to):
            yield Leaf(value=number, text=f"leaf {number}\r\nsecond line", tags=["a", "b"])

    @strawberry.subscription
    async def feed(self, info: Info[Context, None]) -> AsyncGenerator[int, None]:
        world = info.context.world
        world.entered.set()
        try:
            while (number := await world.feed.get()) is not None:
                yield number
        finally:
            world.left.set()

    @strawberry.subscription
    async def flood(self, info: Info[Context, None], size: int = 10_000) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x" * size
        finally:
            info.context.world.left.set()

    @strawberry.subscription
    async def unknown(self) -> AsyncGenerator[int, None]:
        for number in _missing():
            yield number

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("secret")


def _missing() -> list[int]:
    raise RequestError(ErrorCode.NOT_FOUND, "There is no such thing.")


@cache
def build() -> strawberry.Schema:
    return strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription)
