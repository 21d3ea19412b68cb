"""Event streams by POST, in distinct connections mode."""

import asyncio

import pytest

from graph.errors import ErrorCode, RequestError
from graph.transport.shared import TransportOptions
from tests.transport.support import EVENTS, JSON, Events, Server, serve, until


async def test_a_subscription_streams_its_events_and_completes(server: Server) -> None:
    async with server.stream("subscription { count(to: 3) }") as events:
        assert events.response.headers["content-type"] == f"{EVENTS}; charset=utf-8"
        assert "accept" in events.response.headers["vary"]
        assert len(events.response.headers["x-request-id"]) == 32
        received = await events.all()
    assert received == [*(("next", {"data": {"count": n}}) for n in (1, 2, 3)), ("complete", None)]


async def test_no_byte_of_a_stream_is_a_carriage_return(server: Server) -> None:
    async with server.stream("subscription { leaves(to: 2) { text } }") as events:
        received = await events.all()
    assert b"\r" not in events.raw
    assert received[0] == ("next", {"data": {"leaves": {"text": "leaf 0\r\nsecond line"}}})


@pytest.mark.parametrize("query", ["{ hello }", "mutation { increment }"])
async def test_queries_and_mutations_are_streams_of_one(server: Server, query: str) -> None:
    async with server.stream(query) as events:
        received = await events.all()
    assert [kind for kind, _ in received] == ["next", "complete"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { count", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription ($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
        ("subscription { unknown }", "NOT_FOUND"),
    ],
)
async def test_an_error_before_the_first_event_is_a_next_with_errors(server: Server, query: str, code: str) -> None:
    async with server.stream(query) as events:
        (kind, failure), last = await events.all()
    assert (kind, last) == ("next", ("complete", None))
    assert "data" not in failure
    assert failure["errors"][0]["extensions"]["code"] == code


async def test_a_refused_context_is_a_next_with_errors(server: Server) -> None:
    server.world.refuse_context = RequestError(ErrorCode.UNAUTHENTICATED, "Who?")
    async with server.stream("subscription { count(to: 1) }") as events:
        (_, failure), _ = await events.all()
    assert failure["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_stream_that_breaks_tells_so_and_hides_why(server: Server) -> None:
    async with server.stream("subscription { breaks }") as events:
        first, (_, failure), _ = await events.all()
    assert first == ("next", {"data": {"breaks": 1}})
    assert failure["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert b"secret" not in events.raw


async def test_a_malformed_body_is_no_stream(server: Server) -> None:
    headers = {"accept": EVENTS, "content-type": JSON}
    response = await server.http.post(server.url, content=b"42", headers=headers)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith(JSON)


async def test_a_client_that_leaves_runs_the_sources_finally(server: Server) -> None:
    async with server.stream("subscription { feed }"):
        await server.world.entered.wait()
        assert server.transport.fanout.subscribers == 1
        assert server.transport.connections.open == 1
    async with asyncio.timeout(10):
        await server.world.left.wait()
    await until(lambda: server.transport.connections.open == 0)
    assert server.transport.fanout.subscribers == 0


async def test_a_mutation_outlives_its_client(server: Server) -> None:
    async with server.stream("mutation { slowlyIncrement }"):
        await server.world.entered.wait()
    server.world.proceed.set()
    await until(lambda: server.transport.connections.open == 0)
    assert server.world.mutations == 1


async def test_a_quiet_stream_is_kept_alive_by_comments() -> None:
    options = TransportOptions(heartbeat=0.01)
    async with serve(options=options) as server, server.stream("subscription { feed }") as events:
        blocks = events.blocks()
        assert [await anext(blocks) for _ in range(3)] == [":", ": heartbeat", ": heartbeat"]
        server.world.feed.put_nowait(7)
        while (block := await anext(blocks)).startswith(":"):
            pass
        assert Events.parse(block) == ("next", {"data": {"feed": 7}})
        await blocks.aclose()


async def test_at_shutdown_a_stream_ends_without_complete_and_does_not_hold_the_server_up(
    server: Server,
) -> None:
    async with server.stream("subscription { feed }") as events:
        await server.world.entered.wait()
        server.transport.shutdown.begin()
        async with asyncio.timeout(10):
            assert await events.all() == []
        assert server.world.left.is_set()
        await server.uvicorn.shutdown()


async def test_a_mutation_that_runs_at_shutdown_is_answered(server: Server) -> None:
    async with server.stream("mutation { slowlyIncrement }") as events:
        await server.world.entered.wait()
        server.transport.shutdown.begin()
        server.world.proceed.set()
        assert await events.all() == [("next", {"data": {"slowlyIncrement": 1}}), ("complete", None)]


async def test_a_client_that_takes_nothing_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    options = TransportOptions(send_timeout=0.05, close_timeout=0.05)
    async with serve(options=options) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        body = b'{"query": "subscription { flood }"}'
        head = f"POST /graphql HTTP/1.1\r\nhost: x\r\naccept: {EVENTS}\r\ncontent-type: {JSON}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(10):
            await server.world.left.wait()
            await until(lambda: server.transport.connections.open == 0)
            await until(lambda: not server.uvicorn.server_state.connections)
        writer.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
