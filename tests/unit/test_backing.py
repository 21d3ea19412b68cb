"""The servers that other tests stand on."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.backing import Backing, PostgresServer, RedisServer, has_redis, running


def test_each_test_has_a_database_of_its_own(postgres: PostgresServer, postgres_database: str) -> None:
    postgres.sql("CREATE TABLE here (n int)", postgres_database)
    with postgres.database() as other:
        assert (
            postgres.sql(
                "SELECT to_regclass('here') IS NULL, current_setting('server_version_num')::int / 10000", other
            )
            == "t|18"
        )


def test_what_postgres_committed_survives_that_it_is_killed(postgres: PostgresServer, postgres_database: str) -> None:
    postgres.sql("CREATE TABLE kept AS SELECT 7 AS n", postgres_database)
    pid, port = postgres.pid, postgres.port
    postgres.restart()
    assert (postgres.pid != pid, postgres.port) == (True, port)
    assert postgres.sql("SELECT n FROM kept", postgres_database) == "7"


def test_redis_answers_again_after_it_was_killed(redis: RedisServer) -> None:
    with Redis.from_url(redis.url) as client:
        client.set("gone", 1)
    redis.restart()
    with Redis.from_url(redis.url) as client:
        assert client.get("gone") is None


@pytest.mark.parametrize(
    "kind",
    [PostgresServer, pytest.param(RedisServer, marks=pytest.mark.skipif(not has_redis(), reason="there is no Redis"))],
)
def test_nothing_stays_behind_when_a_server_ends(kind: type[Backing]) -> None:
    with running(kind) as server:
        folder = server.folder
        assert folder.exists()
    assert (server.is_running, folder.exists()) == (False, False)
