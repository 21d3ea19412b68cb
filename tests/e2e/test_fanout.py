"""Subscribers who asked for the same share one execution and one encoding, and each gets all that is its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain.lifecycle import decide_all
from domain.model import ENGINE, Principal
from graph.bootstrap import Application
from graph.context import Context
from graph.execution.engine import Failure, Operation, Request
from graph.fanout import ring, stream
from graph.fanout.ring import Block
from graph.transport.outlet import Outlet
from tests.e2e.client import Api
from tests.e2e.server import Served, serving
from tests.e2e.work import awaiting

FOLLOW: Final = "subscription($run: ID!, $after: String) { runEvents(runId: $run, after: $after) { cursor sequence } }"
LOOKING_UP: Final = """
  subscription($run: ID!, $after: String) { runEvents(runId: $run, after: $after) { sequence run { status } } }
"""
PERSONAL: Final = "subscription($run: ID!) { runEvents(runId: $run) { sequence run { allowedActions } } }"
MANY: Final = 200

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that nobody else follows anything on."""
    settings = {"max_concurrent_runs": 500, "default_team": "rehearsal", "database_synchronous": "NORMAL"}
    async with serving(tmp_path_factory.mktemp("fanout"), **settings) as running:
        yield running


@pytest.fixture
def api(served: Served) -> Api:
    return served.api


class Sink:
    """Takes answers while it is open."""

    def __init__(self, *, cost: Callable[[], None] | None = None) -> None:
        self.bodies: list[bytes] = []
        self.blocks = 0
        self.refused = 0
        self._cost = cost
        self._closed = False
        self._again: Callable[[], None] | None = None

    def write(self, block: Block, again: Callable[[], None]) -> bool:
        if self._closed:
            self.refused += 1
            self._again = again
            return False
        if self._cost is not None:
            self._cost()
        self.blocks += 1
        self.bodies += [answer.body for answer in block.answers]
        return True

    def close(self) -> None:
        self._closed = True

    def open(self) -> None:
        self._closed = False
        again, self._again = self._again, None
        if again is not None:
            asyncio.get_running_loop().call_soon(again)

    @property
    def sequences(self) -> list[int]:
        return [json.loads(body)["data"]["runEvents"]["sequence"] for body in self.bodies]


class Room:
    """An application, and those who follow something there."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.fanout = application.transport.fanout
        self.engine = application.transport.engine

    @property
    def executions(self) -> int:
        return self.engine.event_durations.cumulated[-1]

    @asynccontextmanager
    async def following(
        self, *sinks: Sink, query: str = FOLLOW, actors: tuple[str, ...] = ("anonymous",), **variables: Any
    ) -> AsyncIterator[list[asyncio.Task[Failure | None]]]:
        """Have sinks follow, of one actor after the other in turn."""
        tasks = []
        for number, sink in enumerate(sinks):
            principal = Principal(actor=actors[number % len(actors)])
            tasks.append(asyncio.create_task(self.follow(sink, query, principal, **variables)))
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(
        self, sink: Sink, query: str = FOLLOW, principal: Principal | None = None, **variables: Any
    ) -> Failure | None:
        operation = self.engine.prepare(Request(query=query, variables=variables, request_id="r"))
        assert isinstance(operation, Operation), operation
        services = self._application.services
        context = Context(services=services, principal=principal or Principal(), request_id="r")
        return await self.fanout.follow(operation, context, sink)

    async def happen(self, run_id: str, events: int) -> None:
        """Have something happen to a run in one transaction."""
        async with self._application.services.store.write(ENGINE) as tx:
            before = await tx.runs.lock(run_id)
            assert before is not None
            sample = c.RecordMetrics(metrics=())
            transition = decide_all(before, [sample] * events, await tx.now())
            await self._application.backend.changes.save(tx, before, transition)


@pytest.fixture
def room(served: Served) -> Room:
    return Room(served.application)


@pytest_asyncio.fixture(loop_scope="session")
async def run_id(api: Api) -> str:
    return str((await awaiting(api))["id"])


async def reached(sinks: list[Sink], count: int) -> None:
    """Wait until all of them have taken so many answers."""
    async with asyncio.timeout(30):
        while any(len(sink.bodies) < count for sink in sinks):
            await asyncio.sleep(0.001)


async def log_of(api: Api, run_id: str) -> list[Any]:
    query = (
        "query($run: ID!) { run(id: $run) { events(first: 100) { nodes { cursor ... on RunEvent { sequence } } } } }"
    )
    return list((await api.ask(query, run=run_id))["run"]["events"]["nodes"])


@pytest.mark.parametrize("followers", [1, MANY])
async def test_an_event_is_executed_and_encoded_once_however_many_follow(
    room: Room, api: Api, run_id: str, followers: int
) -> None:
    sinks = [Sink() for _ in range(followers)]
    there = len(await log_of(api, run_id))
    async with room.following(*sinks, run=run_id):
        await reached(sinks, there)
        before = room.executions
        for number in range(1, 4):
            await room.happen(run_id, 1)
            await reached(sinks, there + number)
        assert room.executions - before == 3
        assert room.fanout.streams == 1
        for bodies in zip(*(sink.bodies[there:] for sink in sinks), strict=True):
            assert len({id(body) for body in bodies}) == 1, "they share the bytes"
    assert room.fanout.streams == 0
    assert room.fanout.subscribers == 0


async def test_who_comes_later_is_given_answers_that_were_made(room: Room, api: Api, run_id: str) -> None:
    there = len(await log_of(api, run_id))
    early, late = Sink(), Sink()
    async with room.following(early, run=run_id):
        await reached([early], there)
        await room.happen(run_id, 3)
        await reached([early], there + 3)
        before = room.executions
        cursor = (await log_of(api, run_id))[there]["cursor"]
        async with room.following(late, run=run_id, after=cursor):
            await reached([late], 2)
            assert late.sequences == [there + 2, there + 3]
            assert room.fanout.streams == 1
            assert room.executions == before


@pytest.mark.usefixtures("unhurried")
async def test_events_that_are_committed_together_are_written_together(room: Room, api: Api, run_id: str) -> None:
    sinks = [Sink() for _ in range(5)]
    there = len(await log_of(api, run_id))
    async with room.following(*sinks, run=run_id):
        await reached(sinks, there)
        before = [sink.blocks for sink in sinks]
        await room.happen(run_id, 10)
        await reached(sinks, there + 10)
        assert [sink.blocks - blocks for sink, blocks in zip(sinks, before, strict=True)] == [1] * 5


@pytest.mark.usefixtures("unhurried")
async def test_what_falls_due_together_is_one_write_to_each_socket(
    room: Room, api: Api, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    write = Outlet.write

    def note(outlet: Outlet, data: bytes, again: Callable[[], None]) -> bool:
        written.append(data)
        return write(outlet, data, again)

    there = len(await log_of(api, run_id))
    async with api.subscribe(FOLLOW, run=run_id) as first, api.subscribe(FOLLOW, run=run_id) as second:
        for events in (first, second):
            for _ in range(there):
                await anext(events)
        monkeypatch.setattr(Outlet, "write", note)
        await room.happen(run_id, 10)
        for events in (first, second):
            seen = [(await anext(events))["runEvents"]["sequence"] for _ in range(10)]
            assert seen == list(range(there + 1, there + 11))
    assert len(written) == 2


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("size", [1, 600, 700, 800, 900, 950, 1000, 1200, 9000])
async def test_all_of_what_comes_at_once_arrives_however_large_it_is(
    room: Room, api: Api, run_id: str, size: int
) -> None:
    """What is written at once is so many answers, or so many bytes."""
    query = f"subscription($run: ID!) {{ runEvents(runId: $run) {{ sequence {'x' * size}: type }} }}"
    there = len(await log_of(api, run_id))
    sink = Sink()
    async with room.following(sink, query=query, run=run_id):
        await reached([sink], there)
        await room.happen(run_id, MANY)
        await reached([sink], there + MANY)
    assert sink.sequences == list(range(1, there + MANY + 1))


async def test_only_answers_that_depend_on_the_caller_are_made_for_each(room: Room, api: Api, run_id: str) -> None:
    there = len(await log_of(api, run_id))
    for query, streams in ((FOLLOW, 1), (PERSONAL, 2)):
        sinks = [Sink() for _ in range(6)]
        async with room.following(*sinks, query=query, actors=("ann", "ben"), run=run_id):
            await reached(sinks, there)
            before = room.executions
            await room.happen(run_id, 1)
            there += 1
            await reached(sinks, there)
            assert room.executions - before == streams


async def test_each_tenant_is_checked_by_itself(room: Room, api: Api, run_id: str) -> None:
    there = len(await log_of(api, run_id))
    ours = Sink()
    async with room.following(ours, run=run_id):
        await reached([ours], there)
        refused = await room.follow(Sink(), principal=Principal(tenant="other"), run=run_id)
        assert refused is not None
        assert refused.code == "NOT_FOUND"


async def test_who_reads_nothing_costs_nobody_else_anything_and_misses_nothing(
    room: Room, api: Api, run_id: str
) -> None:
    there = len(await log_of(api, run_id))
    silent, quick = Sink(), [Sink() for _ in range(3)]
    async with room.following(silent, *quick, run=run_id):
        await reached([silent, *quick], there)
        silent.close()
        for number in range(1, 301):
            await room.happen(run_id, 10)
            await reached(quick, there + 10 * number)
        assert silent.refused <= 2, "it is not asked again before it has room"
        assert room.fanout.kept_bytes < 64 * 1024
        silent.open()
        await reached([silent], there + 3000)
    assert silent.sequences == quick[0].sequences == list(range(1, there + 3001))


async def test_a_large_group_leaves_others_their_turns(room: Room, api: Api, run_id: str) -> None:
    def work() -> None:
        sum(range(2000))

    there = len(await log_of(api, run_id))
    crowd = [Sink(cost=work) for _ in range(2000)]
    async with room.following(*crowd, run=run_id):
        await reached(crowd, there)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        await room.happen(run_id, 1)
        before = turns
        async with asyncio.timeout(30):
            while len(crowd[-1].bodies) == there and len(crowd[0].bodies) == there:
                await asyncio.sleep(0)
            began = turns
            while any(len(sink.bodies) == there for sink in crowd):
                await asyncio.sleep(0)
        beside.cancel()
        assert turns - min(before, began) > 3


@pytest.mark.parametrize("query", [FOLLOW, LOOKING_UP], ids=["plain", "looking up"])
@pytest.mark.parametrize("seen", [0, 1, 2])
async def test_who_joins_between_two_executions_gets_each_event_once(
    room: Room, api: Api, run_id: str, monkeypatch: pytest.MonkeyPatch, *, query: str, seen: int
) -> None:
    there = len(await log_of(api, run_id))
    first, second = Sink(), Sink()
    executed, goes_on, placed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    execute, place = room.engine.execute_event, room.fanout.place

    async def held(*args: Any) -> Any:
        answer = await execute(*args)
        if json.loads(answer.body)["data"]["runEvents"]["sequence"] == there + 3:
            executed.set()
            await goes_on.wait()
        return answer

    def note(member: Any) -> None:
        place(member)
        placed.set()

    async with room.following(first, query=query, run=run_id):
        await reached([first], there)
        monkeypatch.setattr(room.engine, "execute_event", held)
        monkeypatch.setattr(room.fanout, "place", note)
        await room.happen(run_id, 4)
        await executed.wait()
        cursor = (await log_of(api, run_id))[there + seen - 1]["cursor"]
        async with room.following(second, query=query, run=run_id, after=cursor):
            await placed.wait()
            goes_on.set()
            await reached([first, second], 4 - seen)
            await reached([first], there + 4)
            await room.happen(run_id, 1)
            await reached([second], 5 - seen)
    assert first.sequences[: there + 4] == list(range(1, there + 5))
    assert second.sequences == list(range(there + seen + 1, there + 6))


class Steps:
    """What may happen, in random order, to those who follow one run."""

    ALL = st.lists(
        st.one_of(
            st.tuples(st.just("happen"), st.integers(1, 12)),
            st.tuples(st.just("join"), st.integers(0, 100)),
            st.tuples(st.just("leave"), st.integers(0, 9)),
            st.tuples(st.just("close"), st.integers(0, 9)),
            st.tuples(st.just("open"), st.integers(0, 9)),
            st.tuples(st.just("turn"), st.integers(0, 5)),
        ),
        max_size=30,
    )


@pytest.mark.parametrize(
    ("query", "block_bytes"),
    [(FOLLOW, ring.BLOCK_BYTES), (LOOKING_UP, ring.BLOCK_BYTES), (FOLLOW, 700)],
    ids=["plain", "looking up", "small blocks"],
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=Steps.ALL)
async def test_each_gets_what_follows_its_cursor_in_order_and_once(
    room: Room,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    *,
    query: str,
    block_bytes: int,
    steps: list[tuple[str, int]],
) -> None:
    for module in (ring, stream):
        monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    run = str((await awaiting(api))["id"])
    log = await log_of(api, run)
    sinks: list[tuple[Sink, int, asyncio.Task[Failure | None]]] = []

    async def step(what: str, number: int) -> None:
        nonlocal log
        if what == "happen":
            await room.happen(run, number)
            log = await log_of(api, run)
        elif what == "join":
            seen = number % (len(log) + 1)
            after = log[seen - 1]["cursor"] if seen else None
            sink = Sink()
            sinks.append((sink, seen, asyncio.create_task(room.follow(sink, query=query, run=run, after=after))))
        elif what == "turn":
            for _ in range(number):
                await asyncio.sleep(0)
        elif sinks:
            sink, _, task = sinks[number % len(sinks)]
            acts: dict[str, Callable[[], object]] = {"leave": task.cancel, "close": sink.close, "open": sink.open}
            acts[what]()

    for what, number in steps:
        if len(log) < 80 or what != "happen":
            await step(what, number)
    await api.do("cancelRun", runId=run)
    last = len(await log_of(api, run))
    for sink, _, _ in sinks:
        sink.open()
    async with asyncio.timeout(30):
        ends = await asyncio.gather(*(task for _, _, task in sinks), return_exceptions=True)
    for (sink, seen, task), end in zip(sinks, ends, strict=True):
        assert sink.sequences == list(range(seen + 1, seen + 1 + len(sink.sequences)))
        if not task.cancelled():
            assert end is None
            assert sink.sequences == list(range(seen + 1, last + 1))
    assert room.fanout.streams == 0
    assert room.fanout.kept_bytes == 0
