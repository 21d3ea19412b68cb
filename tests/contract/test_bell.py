"""The bell while all is well: who hears, how often, and what the bus is told."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import pytest

from domain.ports import BellState
from storage.bell import DEFAULT_TIMINGS, BellTimings, open_bell
from storage.bell_backend import TOPIC
from storage.bell_bus import BusUrlError, bus_factory
from storage.bell_message import Kind, Message
from tests.backing import PostgresServer, RedisServer
from tests.contract.bells import QUICK, WAIT_SECONDS, listening, until


@pytest.fixture(params=["redis", "postgres"])
def network_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a bus that processes can share."""
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("redis")
        return redis.url
    database: str = request.getfixturevalue("postgres_database")
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.url(database)


@pytest.fixture(params=["memory", "redis", "postgres"])
def bus_url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("redis")
        return redis.url
    database: str = request.getfixturevalue("postgres_database")
    postgres: PostgresServer = request.getfixturevalue("postgres")
    return postgres.url(database)


class TestHearing:
    """Rings reach everyone."""

    async def test_a_ring_is_heard_by_five_who_began_to_listen_at_once(self, bus_url: str) -> None:
        async with AsyncExitStack() as stack:
            bell = await stack.enter_async_context(open_bell(bus_url))
            ears = await asyncio.gather(*(stack.enter_async_context(listening(bell)) for _ in range(5)))
            bell.ring(7)
            await asyncio.gather(*(each.hears(7) for each in ears))

    async def test_a_ring_is_heard_by_five_bells_that_were_opened_at_once(self, network_url: str) -> None:
        async with AsyncExitStack() as stack:
            opened = [stack.enter_async_context(open_bell(network_url)) for _ in range(5)]
            bells = await asyncio.gather(*opened)
            ears = [await stack.enter_async_context(listening(bell)) for bell in bells]
            bells[0].ring(7)
            await asyncio.gather(*(each.hears(7) for each in ears))

    async def test_a_ring_is_heard_in_another_process(self, network_url: str) -> None:
        program = (
            "import asyncio, sys\n"
            "from storage.bell import open_bell\n"
            "from tests.contract.bells import listening\n"
            "async def main():\n"
            "    async with open_bell(sys.argv[1]) as bell, listening(bell) as ears:\n"
            "        print('listening', flush=True)\n"
            "        await ears.hears(42)\n"
            "        bell.ring(43)\n"
            "        await ears.hears(43)\n"
            "asyncio.run(main())\n"
        )
        async with open_bell(network_url) as bell, listening(bell) as ears:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, network_url, stdout=asyncio.subprocess.PIPE
            )
            try:
                assert process.stdout is not None
                async with asyncio.timeout(WAIT_SECONDS):
                    assert await process.stdout.readline() == b"listening\n"
                    bell.ring(42)
                    await ears.hears(43)
                    assert await process.wait() == 0
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async def test_twenty_rings_at_once_from_twenty_bells_all_come_through(self, network_url: str) -> None:
        async with AsyncExitStack() as stack:
            bells = [await stack.enter_async_context(open_bell(network_url)) for _ in range(20)]
            ears = await stack.enter_async_context(listening(bells[0]))
            for pos, bell in enumerate(bells, start=1):
                bell.ring(pos)
            await ears.hears(20)
            await until(lambda: all(bell.status.state is BellState.CONNECTED for bell in bells))
            assert [bell.status.rebuilds for bell in bells] == [0] * 20


class TestCoalescing:
    """Only the newest place counts."""

    async def test_twenty_rings_at_once_by_one_process_come_as_one(self, bus_url: str) -> None:
        async with open_bell(bus_url) as bell, listening(bell) as ears:
            for pos in range(1, 21):
                bell.ring(pos)
            await ears.hears(20)
            assert ears.heard == [20]

    async def test_one_who_does_not_keep_up_is_told_the_newest_place_once(self, bus_url: str) -> None:
        async with open_bell(bus_url, timings=DEFAULT_TIMINGS) as bell, listening(bell) as ears:
            slow = bell.listen()
            told = asyncio.ensure_future(anext(slow))
            bell.ring(1)
            assert await told == 1
            for pos in range(2, 200):
                bell.ring(pos)
                await ears.hears(pos)
            assert await anext(slow) == 199
            then = asyncio.ensure_future(anext(slow))
            bell.ring(200)
            assert await then == 200

    async def test_what_is_rung_while_a_bell_rests_is_rung_once_after_it(self, bus_url: str) -> None:
        async with open_bell(bus_url, timings=BellTimings(rest=1.0)) as bell, listening(bell) as ears:
            bell.ring(1)
            await ears.hears(1)
            for pos in range(2, 101):
                bell.ring(pos)
                await asyncio.sleep(0)
            await ears.hears(100)
            assert ears.heard == [1, 100]

    async def test_pings_are_heard_by_nobody(self, network_url: str) -> None:
        async with (
            open_bell(network_url, timings=QUICK),
            open_bell(network_url) as bell,
            listening(bell) as ears,
            bus_factory(network_url)() as bus,
            bus.subscribe(TOPIC) as everything,
        ):
            for _ in range(3):
                message = Message.decode((await everything.get()).message)
                assert message is not None
                assert message.kind is Kind.PING
            bell.ring(1)
            await ears.hears(1)
            assert ears.heard == [1]


class TestMessages:
    """What the bus carries."""

    @pytest.mark.parametrize("kind", Kind)
    def test_a_message_is_small_and_reads_back_the_same(self, kind: Kind) -> None:
        message = Message(sender="f" * 16, number=2**63, kind=kind, pos=2**63)
        assert len(message.encode().encode()) < 200
        assert Message.decode(message.encode()) == message

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "hello",
            "null",
            "[]",
            "7",
            '{"pos":1}',
            '{"from":"a","n":1,"kind":"bang","pos":1}',
            '{"from":"a","n":"x"}',
        ],
    )
    def test_what_is_not_ours_is_not_read(self, text: str) -> None:
        assert Message.decode(text) is None

    async def test_a_stranger_on_the_topic_does_no_harm(self, postgres: PostgresServer, postgres_database: str) -> None:
        async with open_bell(postgres.url(postgres_database)) as bell, listening(bell) as ears:
            await asyncio.to_thread(postgres.sql, "SELECT pg_notify('mgx_events', 'hello')", postgres_database)
            bell.ring(1)
            await ears.hears(1)
            assert (ears.heard, bell.status.rebuilds) == ([1], 0)


class TestSettings:
    """What an operator may get wrong."""

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("", "must begin with"),
            ("redis", "must begin with"),
            ("amqp://u:secret@host", "must begin with"),
            ("redis://u:secret@host:port/0", "write redis://"),
            ("postgresql://u:secret@host/db?no=such", "write postgresql://"),
        ],
    )
    async def test_a_url_of_no_bus_is_refused_without_repeating_its_password(self, url: str, told: str) -> None:
        with pytest.raises(BusUrlError, match=told) as refused:
            async with open_bell(url):
                pass
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize("name", ["redis", "postgres"])
    async def test_a_driver_that_is_not_installed_is_named(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, f"storage.bell_{name}", None)
        with pytest.raises(BusUrlError, match=rf"mgx-graph\[{name}\]"):
            async with open_bell(f"{name}://127.0.0.1"):
                pass

    async def test_a_bell_of_one_process_is_always_connected(self) -> None:
        async with open_bell() as bell:
            assert (bell.status.state, bell.status.rebuilds) == (BellState.CONNECTED, 0)
