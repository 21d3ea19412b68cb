"""The proxies of docs/operations.md, with the settings that stand there, before two servers on one PostgreSQL.

nginx and Caddy are not among the packages that tests install; where one is missing, its tests are skipped.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.backing import PostgresServer, free_port, running
from tests.e2e.client import PATIENCE, Api
from tests.servers import Server, start_server

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "operations.md"
ASKED: Final = 40
PER_ADDRESS: Final = 3
LOSSES: Final = {"nginx": 0, "caddy": 1}
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NGINX: Final = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/proxy.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {snippet}
}}
"""
_CADDY: Final = """
{{
    admin off
    auto_https off
}}
{snippet}
"""

pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Proxied:
    """A proxy before two servers.

    Attributes:
        losses: Answers that a server which is killed may cost those who ask one after the other.
    """

    api: Api
    servers: Sequence[Server]
    losses: int


def _snippet(language: str, port: int, servers: Sequence[Server]) -> str:
    """Return the document's settings, with these addresses in place of those that stand there, and without TLS."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found, f"{DOCUMENT} has no {language}"
    text = found[1].replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    text = re.sub(r"^mgx\.example \{", f"http://127.0.0.1:{port} {{", text, flags=re.MULTILINE)
    for number, server in enumerate(servers, 5):
        address = f"10.0.0.{number}:8000"
        assert address in text
        text = text.replace(address, f"127.0.0.1:{server.port}")
    return text


@contextmanager
def _running_proxy(name: str, folder: Path, servers: Sequence[Server]) -> Generator[int]:
    """Have a proxy while the block runs; yields its port."""
    port = free_port()
    if name == "nginx":
        file = folder / "nginx.conf"
        file.write_text(_NGINX.format(folder=folder, snippet=_snippet("nginx", port, servers)))
        command = ["nginx", "-c", str(file), "-e", str(folder / "proxy.log")]
    else:
        file = folder / "Caddyfile"
        file.write_text(_CADDY.format(snippet=_snippet("caddyfile", port, servers)))
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={"HOME": str(folder), "PATH": _PATH})
    try:
        yield port
    finally:
        process.kill()  # asked kindly, Caddy waits for ever until its clients are gone
        process.wait(PATIENCE)


@pytest.fixture(params=LOSSES)
async def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Proxied]:
    if shutil.which(request.param, path=_PATH) is None:
        pytest.skip(f"{request.param} is not installed")
    with ExitStack() as stack:
        postgres = stack.enter_context(running(PostgresServer))
        assert isinstance(postgres, PostgresServer)
        url = postgres.url(stack.enter_context(postgres.database()), driver="psycopg")
        settings = {
            "MGX_DATABASE_URL": url,
            "MGX_TRUSTED_PROXIES": "127.0.0.1",
            "MGX_MAX_CONNECTIONS_PER_ADDRESS": str(PER_ADDRESS),
            "MGX_DEFAULT_TEAM": "rehearsal",
        }
        servers = []
        for number in range(2):
            servers.append(start_server(tmp_path, name=f"server-{number}", **settings))
            stack.callback(servers[-1].kill)
        port = stack.enter_context(_running_proxy(request.param, tmp_path, servers))
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            await _ready(http, f"http://127.0.0.1:{port}/readyz")
            yield Proxied(Api(http, f"http://127.0.0.1:{port}"), servers, LOSSES[request.param])


async def _ready(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def _waiting_run(api: Api) -> Any:
    task = await api.do("createTask", name="Behind a proxy", config={"planSeconds": 0.0, "stepSeconds": 0.01})
    run = await api.do("createRun", taskId=task["id"])
    return await api.until(run["id"], "AWAITING_APPROVAL")


async def test_requests_sockets_and_streams_go_through(proxied: Proxied) -> None:
    api = proxied.api
    answer = await api.post("{ __typename }", None, **{"x-request-id": "of-the-client", "origin": api.base})
    assert answer.json() == {"data": {"__typename": "Query"}}
    assert answer.headers["x-request-id"] == "of-the-client"
    assert (await api.http.get(f"{api.base}/metrics")).status_code == 404
    run = await _waiting_run(api)
    async with (
        asyncio.timeout(PATIENCE),
        api.following("runEvents", run["id"], sse=True) as streamed,
        api.following("runEvents", run["id"]) as followed,
    ):
        # What is there arrives while the run still waits: nothing is held back on the way.
        for events in (streamed, followed):
            while (await anext(events))["status"] != "AWAITING_APPROVAL":
                pass
        await api.do("approveRun", runId=run["id"])
        for events in (streamed, followed):
            assert [event["type"] async for event in events][-1] == "COMPLETION"


async def test_a_client_is_known_by_its_address_and_not_by_what_it_says(proxied: Proxied) -> None:
    url = proxied.api.url.replace("http", "ws", 1)
    refused = []
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as sockets:
        for number in range(2 * PER_ADDRESS + 2):
            said = {"X-Forwarded-For": f"192.0.2.{number}"}
            socket = connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], additional_headers=said)
            try:
                await sockets.enter_async_context(socket)
            except InvalidStatus as refusal:
                refused.append(refusal.response.status_code)
    # Each of the two servers has a limit of its own.
    assert len(refused) >= 2
    assert set(refused) == {429}


async def test_a_server_that_is_gone_costs_one_answer_at_most(proxied: Proxied) -> None:
    api = proxied.api
    run = await _waiting_run(api)
    proxied.servers[0].kill()
    codes = Counter([(await api.post("{ __typename }")).status_code for _ in range(ASKED)])
    assert codes[502] <= proxied.losses
    assert codes[200] + codes[502] == ASKED
    await api.do("approveRun", runId=run["id"])
    await api.until(run["id"], "COMPLETED")
