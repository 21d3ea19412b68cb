"""The bell when its bus breaks: those who ring never feel it, those who listen are told to look."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from redis import Redis

from domain.ports import BellState
from storage.bell import open_bell
from tests.backing import Backing, PostgresServer, RedisServer
from tests.contract.bells import QUICK, Wire, listening, until, until_state


@dataclass
class Bus:
    """A server that serves as the bus.

    Attributes:
        url: The bus's URL for a port, so that a proxy can stand before it.
        connections: Counts what bells hold open.
        cut: Ends all their connections, and leaves the server running.
    """

    server: Backing
    url: Callable[[int], str]
    connections: Callable[[], int]
    cut: Callable[[], object]


def _redis_bus(server: RedisServer) -> Bus:
    def client() -> Redis:
        return Redis(port=server.port, client_name="tester", decode_responses=True)

    def names() -> list[str]:
        with client() as redis:
            return [each["name"] for each in redis.client_list()]

    def cut() -> None:
        with client() as redis:
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    return Bus(
        server,
        url=lambda port: f"redis://127.0.0.1:{port}/0",
        connections=lambda: sum(name != "tester" for name in names()),
        cut=cut,
    )


def _postgres_bus(server: PostgresServer, database: str) -> Bus:
    others = f"FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    return Bus(
        server,
        url=lambda port: f"postgresql://postgres@127.0.0.1:{port}/{database}",
        connections=lambda: int(server.sql(f"SELECT count(*) {others}")),
        cut=lambda: server.sql(f"SELECT pg_terminate_backend(pid) {others}"),
    )


@pytest.fixture(params=["redis", "postgres"])
def bus(request: pytest.FixtureRequest) -> Bus:
    if request.param == "redis":
        return _redis_bus(request.getfixturevalue("redis"))
    return _postgres_bus(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_database"))


async def test_a_server_that_is_killed_and_comes_back_is_used_again(bus: Bus) -> None:
    url = bus.url(bus.server.port)
    async with (
        open_bell(url, timings=QUICK) as here,
        open_bell(url, timings=QUICK) as there,
        listening(there) as ears,
    ):
        since = here.status.since
        for pos in (1, 2, 3):
            bus.server.kill()
            for bell in (here, there):
                bell.ring(10 * pos)
                await until_state(bell, BellState.DEGRADED)
            assert here.status.since > since
            ears.heard.clear()
            await asyncio.to_thread(bus.server.start)
            for bell in (here, there):
                await until_state(bell, BellState.CONNECTED)
            await ears.hears(None)
            here.ring(10 * pos + 1)
            await ears.hears(10 * pos + 1)
        assert here.status.rebuilds >= 3


async def test_what_is_rung_in_an_outage_is_heard_after_it(bus: Bus) -> None:
    url = bus.url(bus.server.port)
    async with open_bell(url, timings=QUICK) as bell, listening(bell) as ears:
        bus.server.kill()
        await until_state(bell, BellState.DEGRADED)
        for pos in range(1, 100):
            bell.ring(pos)
        await asyncio.to_thread(bus.server.start)
        await ears.hears(99)
        assert ears.heard == [None, 99]


async def test_a_server_that_is_not_there_at_the_start_is_waited_for_in_the_background(bus: Bus) -> None:
    bus.server.kill()
    async with open_bell(bus.url(bus.server.port), timings=QUICK) as bell, listening(bell) as ears:
        assert bell.status.state is BellState.DEGRADED
        bell.ring(5)
        await asyncio.to_thread(bus.server.start)
        await until_state(bell, BellState.CONNECTED)
        await ears.hears(5)


async def test_connections_that_are_killed_are_made_anew_and_none_is_left_over(bus: Bus) -> None:
    url = bus.url(bus.server.port)
    async with open_bell(url, timings=QUICK) as bell, listening(bell) as ears:
        for pos in range(1, 6):
            rebuilds = bell.status.rebuilds
            await asyncio.to_thread(bus.cut)
            bell.ring(pos)
            await until(lambda before=rebuilds: bell.status.rebuilds > before)  # type: ignore[misc]
            await ears.hears(pos)
        await until(lambda: bus.connections() == 2)
    await until(lambda: bus.connections() == 0)


async def test_a_wire_that_goes_dead_without_a_word_is_noticed_by_pings_alone(bus: Bus) -> None:
    async with Wire(bus.server.port).open() as wire:
        timings = replace(QUICK, patience=0.5)
        async with open_bell(bus.url(wire.port), timings=timings) as bell, listening(bell) as ears:
            wire.die()
            await until_state(bell, BellState.DEGRADED)
            bell.ring(1)
            wire.revive()
            await until_state(bell, BellState.CONNECTED)
            await ears.hears(1)


async def test_an_outage_is_one_line_in_the_log_and_its_end_another(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "storage.bell")
    async with open_bell(bus.url(bus.server.port), timings=QUICK) as bell:
        bus.server.kill()
        await until(lambda: sum("still silent" in record.message for record in caplog.records) > 3)
        await asyncio.to_thread(bus.server.start)
        await until_state(bell, BellState.CONNECTED)
    told = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert {record.name for record in told} == {"storage.bell"}, "and asyncio has no complaint"
    # A machine that is too busy to answer in time makes outages of its own: each is told the same way.
    assert [record.levelname for record in told] == ["WARNING", "INFO"] * max(len(told) // 2, 1)
