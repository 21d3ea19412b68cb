"""The schema over a store, a feed and use cases that are told what to answer, and remember what they were asked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Self, cast

from domain.events import Event, EventType
from domain.feed import FeedStatistics
from domain.model import ANONYMOUS, Principal
from domain.ports import BellState, BellStatus, TeamInfo
from domain.store import Scope
from graph.context import Context, Services
from graph.execution.engine import Answer, Engine, EngineOptions, Failure, Operation, Request
from graph.fanout.groups import Fanout
from graph.schema import build_schema
from tests.pulled import pulled

NOW: Final = datetime(2026, 11, 23, 13, tzinfo=UTC)
LOG_ID: Final = "log-1"


class FixedBell:
    status = BellStatus(state=BellState.DEGRADED, since=NOW, rebuilds=0)

    def ring(self, pos: int, /) -> None:
        raise NotImplementedError

    def listen(self) -> AsyncIterator[int | None]:
        raise NotImplementedError


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Script:
    """Answers by "object.method", and every call in order."""

    answers: dict[str, Callable[..., object]] = field(default_factory=dict)
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def part(self, name: str) -> Any:
        return _Part(self, name)

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


class _Part:
    def __init__(self, script: Script, name: str) -> None:
        self._script = script
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Any]:
        name = f"{self._name}.{method}"

        async def call(*args: Any, **kwargs: Any) -> object:
            self._script.calls.append((name, args, kwargs))
            return self._script.answers[name](*args, **kwargs)

        return call


class FakeTx:
    def __init__(self, script: Script) -> None:
        self.tasks = script.part("tasks")
        self.runs = script.part("runs")
        self.metrics = script.part("metrics")
        self.events = script.part("events")


class FakeStore:
    log_id = LOG_ID

    def __init__(self, script: Script) -> None:
        self._script = script

    @asynccontextmanager
    async def read(self, _: Principal) -> AsyncGenerator[FakeTx]:
        yield FakeTx(self._script)


class FakeFeed:
    """Yields batches that it was given; remembers what was asked and whether it was left."""

    def __init__(self) -> None:
        self.position = 41
        self.batches: list[Sequence[Event]] = []
        self.refusal: Exception | None = None
        self.asked: tuple[Any, ...] | None = None
        self.left = False
        self.delivered = 0

    async def admit(self, principal: Principal, scope: Scope, after: int | None) -> int:
        self.asked = (principal, scope, after)
        if self.refusal is not None:
            raise self.refusal
        return after or 0

    def follow(self, principal: Principal, scope: Scope, after: int, types: Collection[EventType] | None) -> FakeWay:
        assert self.asked is not None
        self.asked = (*self.asked, types)
        return FakeWay(self)

    def count_delivered(self, answers: int) -> None:
        self.delivered += answers

    def statistics(self) -> FeedStatistics:
        return FeedStatistics(subscribers=2, delivered=3_000_000_000, catching_up=1, lag_ms=0.5)


class FakeWay:
    """The way through a fake feed."""

    live = False
    audience = 1
    position = 0

    def __init__(self, feed: FakeFeed) -> None:
        self._feed = feed
        self._batches = iter(feed.batches)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        if (batch := next(self._batches, None)) is None:
            self._feed.left = True
            raise StopAsyncIteration
        return batch

    async def aclose(self) -> None:
        self._feed.left = True


class FakeTeams:
    def describe(self) -> Sequence[TeamInfo]:
        return [TeamInfo(name="rehearsal", description="Acts.", config_schema={"type": "object"})]


class Api:
    """Executes documents as the transports do."""

    def __init__(self) -> None:
        self.script = Script()
        self.feed = FakeFeed()
        self.context = Context(services=self._services(), principal=ANONYMOUS, request_id="request-1")

    def on(self, **answers: Callable[..., object]) -> None:
        """Say what "object__method" answers."""
        self.script.answers |= {name.replace("__", "."): answer for name, answer in answers.items()}

    async def execute(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the response's JSON."""
        operation = self._prepare(query, variables)
        answer = operation if isinstance(operation, Failure) else await _engine().execute(operation, self.context)
        return _decoded(answer)

    async def data(self, query: str, **variables: object) -> Any:
        """Return the data of an answer without errors."""
        answer = await self.execute(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def code(self, query: str, **variables: object) -> str:
        """Return the code of an answer's only error."""
        (error,) = (await self.execute(query, **variables))["errors"]
        return cast("str", error["extensions"]["code"])

    async def subscribe(self, query: str, **variables: object) -> list[dict[str, Any]]:
        """Return all answers of a subscription."""
        return [answer async for answer in self.stream(query, **variables)]

    async def stream(self, query: str, **variables: object) -> AsyncGenerator[dict[str, Any]]:
        operation = self._prepare(query, variables)
        assert not isinstance(operation, Failure), operation.errors
        async with aclosing(pulled(Fanout(_engine()), operation, self.context)) as answers:
            async for answer in answers:
                yield _decoded(answer)

    def _prepare(self, query: str, variables: Mapping[str, object]) -> Operation | Failure:
        return _engine().prepare(Request(query=query, variables=variables, request_id="request-1"))

    def _services(self) -> Services:
        return Services(
            tasks=self.script.part("task_service"),
            runs=self.script.part("run_service"),
            metrics=self.script.part("metric_service"),
            teams=cast("Any", FakeTeams()),
            store=cast("Any", FakeStore(self.script)),
            feed=cast("Any", self.feed),
            clock=FixedClock(),
            bell=FixedBell(),
            instance="test-instance",
            connections=lambda: 7,
            root_path="/mgx",
        )


@cache
def _engine() -> Engine:
    return Engine(build_schema(), EngineOptions(introspection=True))


def _decoded(answer: Answer) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(answer.body)
    return decoded
