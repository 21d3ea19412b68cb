"""The proxy that cluster tests cut connections with does to PostgreSQL's clients what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import psycopg
import pytest
import pytest_asyncio

from tests.backing import PostgresServer
from tests.long.pgwire import Frontend
from tests.long.proxy import Cut, Proxy, running_proxy


@pytest_asyncio.fixture
async def proxy(postgres: PostgresServer, postgres_database: str) -> AsyncIterator[Proxy]:
    postgres.sql("CREATE TABLE kept (value integer)", postgres_database)
    async with running_proxy(postgres.port) as running:
        yield running


@pytest_asyncio.fixture
async def link(proxy: Proxy, postgres_database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await connect(proxy, postgres_database)
    yield connection
    await connection.close()


async def connect(proxy: Proxy, database: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}")


async def ask_for_ever(link: psycopg.AsyncConnection) -> None:
    while True:
        await link.execute("SELECT 1")


class FirstCommit(Random):
    """Cuts at the next commit."""

    def randint(self, a: int, b: int) -> int:
        return a


@pytest.mark.parametrize(
    ("how", "is_prepared", "kept"),
    [
        (Cut.BEFORE_COMMIT, False, ""),
        (Cut.BEFORE_COMMIT, True, ""),
        (Cut.AFTER_COMMIT, False, "7"),
        (Cut.AFTER_COMMIT, True, "7"),
    ],
)
async def test_a_commit_is_lost_before_or_after_it_is_done_in_both_protocols(
    link: psycopg.AsyncConnection, request: pytest.FixtureRequest, how: Cut, is_prepared: bool, kept: str
) -> None:
    proxy, postgres, database = (request.getfixturevalue(name) for name in ("proxy", "postgres", "postgres_database"))
    cut = asyncio.create_task(proxy.cut(how, FirstCommit()))
    await link.execute("INSERT INTO kept VALUES (%s)", [7])
    with pytest.raises(psycopg.OperationalError):
        await (link.execute("COMMIT", prepare=True) if is_prepared else link.commit())
    await cut
    assert postgres.sql("SELECT value FROM kept", database) == kept


@pytest.mark.parametrize("how", [Cut.RESET, Cut.HALF, Cut.SILENCE])
async def test_a_cut_connection_is_an_error_and_the_next_one_works(
    proxy: Proxy, link: psycopg.AsyncConnection, how: Cut, postgres_database: str
) -> None:
    cut = asyncio.create_task(proxy.cut(how, Random(1)))
    with pytest.raises(psycopg.OperationalError):
        await ask_for_ever(link)
    await cut
    async with await connect(proxy, postgres_database) as again:
        assert await (await again.execute("SELECT 1")).fetchone() == (1,)


def test_a_commit_is_seen_byte_by_byte_and_within_a_script() -> None:
    startup = b"\0\0\0\x09\0\x03\0\0\0"
    script = b"BEGIN; SELECT 1; commit;\0"
    query = b"Q" + (len(script) + 4).to_bytes(4) + script
    frontend = Frontend()
    seen = [message for byte in startup + query for message in frontend.feed(bytes([byte]))]
    assert [(message.raw, message.commits) for message in seen] == [(startup, False), (query, True)]
