"""The bell of a whole server: what its operator sets and sees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx

from tests.backing import RedisServer
from tests.contract.bells import until
from tests.servers import MGX, environment, running_server


async def test_a_server_whose_bus_is_gone_stays_ready_and_says_so(tmp_path: Path, redis: RedisServer) -> None:
    with running_server(tmp_path, MGX_BUS_URL=redis.url) as server, httpx.Client(base_url=server.url) as client:

        def readiness() -> tuple[int, dict[str, str]]:
            answer = client.get("/readyz")
            return answer.status_code, answer.json()

        assert readiness() == (200, {"status": "ready", "bell": "connected"})
        redis.kill()
        await until(lambda: readiness() == (200, {"status": "ready", "bell": "degraded"}))
        redis.start()
        await until(lambda: readiness() == (200, {"status": "ready", "bell": "connected"}))
        assert server.stop() == 0


def test_a_server_starts_and_ends_without_its_bus(tmp_path: Path, redis: RedisServer) -> None:
    redis.kill()
    with running_server(tmp_path, MGX_BUS_URL=redis.url) as server:
        assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready", "bell": "degraded"}
        assert server.stop() == 0


def test_a_bus_that_is_none_ends_the_start_with_one_line(tmp_path: Path) -> None:
    env = environment(tmp_path, {"MGX_BUS_URL": "amqp://someone:secret@host"})
    done = subprocess.run([MGX, "serve"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "MGX_BUS_URL must begin with memory://" in done.stderr
    assert "secret" not in done.stderr
