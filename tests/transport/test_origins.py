"""Origins of web pages, hosts, and addresses behind proxies."""

import logging

import pytest
from websockets.exceptions import InvalidStatus

from graph.transport.connections import Proxies
from graph.transport.origins import HostCheck, Origins
from graph.transport.shared import TransportOptions
from tests.transport.support import EVENTS, JSON, Server, serve

APP = "https://app.example:8443"
ALLOWING = TransportOptions(allowed_origins=frozenset({APP}))


async def test_an_allowed_origin_gets_cors_headers_on_posts_and_streams() -> None:
    async with serve(options=ALLOWING) as server:
        for accept in (JSON, EVENTS):
            response = await server.post("{ hello }", accept=accept, headers={"origin": APP})
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] == APP
            assert "origin" in response.headers["vary"]


async def test_a_preflight_of_an_allowed_origin_grants_what_it_asks_for() -> None:
    headers = {
        "origin": APP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
    }
    async with serve(options=ALLOWING) as server:
        response = await server.http.options(server.url, headers=headers)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == APP
    assert response.headers["access-control-allow-headers"] == "content-type,authorization"
    assert "POST" in response.headers["access-control-allow-methods"]


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://app.example", "https://app.example:8443.evil.example"]
)
async def test_a_foreign_origin_is_refused_and_logged(
    method: str, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(options=ALLOWING) as server:
        response = await server.http.request(
            method, server.url, json={"query": "mutation { increment }"}, headers={"origin": origin}
        )
        assert response.status_code == 403
        assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert "access-control-allow-origin" not in response.headers
        assert server.world.mutations == 0
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert origin in record.getMessage()


async def test_the_servers_own_origin_is_allowed(server: Server) -> None:
    own = f"http://127.0.0.1:{server.port}"
    response = await server.post("{ hello }", headers={"origin": own})
    assert response.status_code == 200
    async with server.socket(origin=own):
        pass


async def test_a_socket_from_a_foreign_origin_is_refused_before_the_handshake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serve(options=ALLOWING) as server:
        async with server.socket(origin=APP):
            pass
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket(origin="https://evil.example"):
                pass
    assert refused.value.response.status_code == 403
    assert "https://evil.example" in caplog.text


@pytest.mark.parametrize("origin", ["*", "app.example", "https://app.example/", "ftp://app.example"])
def test_an_allowed_origin_has_to_be_exact(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        Origins([origin])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:99", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("[", 403),
    ],
)
async def test_only_requests_for_our_own_hosts_are_answered(host: str, status: int) -> None:
    async with serve(wrap=HostCheck) as server:
        response = await server.post("{ hello }", headers={"host": host})
        assert response.status_code == status


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, garbage"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_forwarded_addresses_count_as_far_as_proxies_are_trusted(
    peer: str | None, forwarded: list[str], address: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1) if peer else None, "headers": headers}
    assert Proxies(["10.0.0.0/8"]).client_address(scope) == address


def test_a_trusted_proxy_has_to_be_an_address_or_a_network() -> None:
    with pytest.raises(ValueError, match="proxy"):
        Proxies(["proxy.example"])


async def test_streams_and_sockets_share_the_limit_of_an_address() -> None:
    options = TransportOptions(connections_per_address=1, trusted_proxies=("127.0.0.1",))
    async with serve(options=options) as server, server.socket():
        refused = await server.post("subscription { count(to: 1) }", accept=EVENTS)
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        other = {"x-forwarded-for": "198.51.100.1"}
        assert (await server.post("subscription { count(to: 1) }", accept=EVENTS, headers=other)).status_code == 200


async def test_beyond_the_total_everybody_is_refused() -> None:
    async with serve(options=TransportOptions(connections=1)) as server, server.socket():
        refused = await server.post("subscription { count(to: 1) }", accept=EVENTS)
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["extensions"]["code"] == "BUSY"
