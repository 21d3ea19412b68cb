"""graphql-transport-ws: messages, close codes, and how sockets end."""

import asyncio
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from graph.errors import ErrorCode, RequestError
from graph.execution.engine import EngineOptions
from graph.execution.limits import Limits
from graph.transport.shared import RequestInfo, TransportOptions
from tests.transport.support import Server, Socket, serve, until

INIT = {"type": "connection_init"}


async def test_queries_mutations_and_subscriptions_are_answered_and_completed(server: Server) -> None:
    async with server.socket() as socket:
        await socket.subscribe("{ hello }", "q")
        assert await socket.receive() == {"id": "q", "type": "next", "payload": {"data": {"hello": "hello world"}}}
        assert await socket.receive() == {"id": "q", "type": "complete"}
        await socket.subscribe("mutation { increment }", "q")
        assert await socket.receive() == {"id": "q", "type": "next", "payload": {"data": {"increment": 1}}}
        assert await socket.receive() == {"id": "q", "type": "complete"}
        await socket.subscribe("subscription ($n: Int!) { count(to: $n) }", "s", variables={"n": 2})
        received = [await socket.receive() for _ in range(3)]
    assert [message.get("payload") for message in received] == [{"data": {"count": 1}}, {"data": {"count": 2}}, None]


@pytest.mark.parametrize("message", [INIT, {**INIT, "payload": None}, {**INIT, "payload": {"a": 1}}])
async def test_an_init_may_have_a_payload(server: Server, message: object) -> None:
    async with server.socket(raw=True) as socket:
        await socket.send(message)
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.subscribe("{ token }")
        expected = {"a": 1} if "payload" in str(message) and "'a'" in str(message) else {}
        assert (await socket.receive())["payload"] == {"data": {"token": expected}}


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"type": "ping"}, {"type": "pong"}),
        ({"type": "ping", "payload": None}, {"type": "pong"}),
        ({"type": "ping", "payload": {"x": 1}}, {"type": "pong", "payload": {"x": 1}}),
    ],
)
async def test_a_ping_is_answered_also_before_the_init(server: Server, message: object, answer: object) -> None:
    async with server.socket(raw=True) as socket:
        await socket.send({"type": "pong"})
        await socket.send(message)
        assert await socket.receive() == answer


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ hello"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query ($n: Int!) { double(number: $n) }"}, "BAD_USER_INPUT"),
        ({"query": "{ hello }", "operationName": "X"}, "BAD_USER_INPUT"),
        ({"query": "subscription { unknown }"}, "NOT_FOUND"),
    ],
)
async def test_a_refused_operation_is_its_own_error_and_the_socket_lives_on(
    server: Server, payload: object, code: str
) -> None:
    async with server.socket() as socket:
        await socket.send({"type": "subscribe", "id": "bad", "payload": payload})
        message = await socket.receive()
        assert (message["id"], message["type"]) == ("bad", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        await socket.subscribe("{ hello }", "bad")
        assert (await socket.receive())["type"] == "next"


async def test_a_subscription_that_breaks_ends_with_a_masked_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.socket() as socket:
        await socket.subscribe("subscription { breaks }")
        assert (await socket.receive())["payload"] == {"data": {"breaks": 1}}
        message = await socket.receive()
    assert message["type"] == "error"
    (error,) = message["payload"]
    assert error["message"] == "Internal error"
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert error["extensions"]["requestId"] == vars(record)["request_id"]


async def test_a_refused_context_is_the_operations_error(server: Server) -> None:
    server.world.refuse_context = RequestError(ErrorCode.FORBIDDEN, "No.")
    async with server.socket() as socket:
        for query in ("{ hello }", "subscription { count(to: 1) }"):
            await socket.subscribe(query)
            assert (await socket.receive())["payload"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_each_operation_has_a_context_of_its_own(server: Server) -> None:
    async with server.socket(init={"token": "t"}) as socket:
        for _ in range(2):
            await socket.subscribe("{ kind }")
            assert (await socket.receive())["payload"] == {"data": {"kind": "websocket"}}
            await socket.receive()
    first, second = server.world.contexts
    assert first.request_id != second.request_id
    assert first.connection_params == {"token": "t"}


@pytest.mark.parametrize("leave", ["complete", "disconnect"])
async def test_leaving_a_subscription_runs_its_finally(server: Server, leave: str) -> None:
    async with server.socket() as socket:
        await socket.subscribe("subscription { feed }")
        await server.world.entered.wait()
        assert (server.transport.fanout.subscribers, server.transport.connections.open) == (1, 1)
        if leave == "complete":
            await socket.send({"type": "complete", "id": "1"})
            async with asyncio.timeout(10):
                await server.world.left.wait()
            await socket.subscribe("{ hello }", "1")
            assert (await socket.receive())["payload"] == {"data": {"hello": "hello world"}}
    async with asyncio.timeout(10):
        await server.world.left.wait()
    await until(lambda: server.transport.connections.open == 0)
    assert server.transport.fanout.subscribers == 0


@pytest.mark.parametrize("leave", ["complete", "disconnect"])
async def test_leaving_a_mutation_only_silences_it(server: Server, leave: str) -> None:
    async with server.socket() as socket:
        await socket.subscribe("mutation { slowlyIncrement }")
        await server.world.entered.wait()
        if leave == "complete":
            await socket.send({"type": "complete", "id": "1"})
            await socket.send({"type": "ping"})
            assert await socket.receive() == {"type": "pong"}
            server.world.proceed.set()
            await until(lambda: server.world.mutations == 1)
            await socket.subscribe("{ hello }", "2")
            assert (await socket.receive())["id"] == "2"
    server.world.proceed.set()
    await until(lambda: server.transport.connections.open == 0)
    assert server.world.mutations == 1


MALFORMED = [
    "",
    "{",
    "[]",
    "5",
    "null",
    '"x"',
    "{}",
    '{"type": 5}',
    '{"type": "start"}',
    '{"type": "connection_init", "payload": []}',
    '{"type": "ping", "payload": 5}',
    '{"type": "pong", "payload": "x"}',
    '{"type": "complete"}',
    '{"type": "complete", "id": {}}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "1", "payload": null}',
    '{"type": "subscribe", "id": "1", "payload": []}',
    '{"type": "subscribe", "id": "1", "payload": {}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 5}}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}}',
    '{"type": "subscribe", "id": {}, "payload": {"query": "{ hello }"}}',
    '{"type": "subscribe", "payload": {"query": "{ hello }"}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": [1]}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "extensions": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "operationName": 1}}',
    '{"type": "ping", "payload": {"x": "\\ud800"}}',
    b'{"type": "ping"}',
]


@pytest.mark.parametrize("message", MALFORMED)
@pytest.mark.parametrize("raw", [True, False])
async def test_a_malformed_message_closes_with_4400(server: Server, message: str | bytes, raw: bool) -> None:
    async with server.socket(raw=raw) as socket:
        await socket.connection.send(message)
        assert await socket.closed() == 4400


async def test_subscribing_before_the_init_closes_with_4401(server: Server) -> None:
    async with server.socket(raw=True) as socket:
        await socket.subscribe("{ hello }")
        assert await socket.closed() == 4401


async def test_refused_credentials_close_with_4403() -> None:
    async def nobody(info: RequestInfo) -> None:
        if info.connection_params.get("authorization") != "Bearer good":
            raise RequestError(ErrorCode.UNAUTHENTICATED, "Bring a token." * 20)

    async with serve(authorize=nobody) as server:
        async with server.socket(raw=True) as socket:
            await socket.send(INIT)
            assert await socket.closed() == 4403
            assert (socket.connection.close_reason or "").startswith("Bring a token.")
        async with server.socket(init={"authorization": "Bearer good"}):
            pass


async def test_an_authorizer_that_breaks_closes_with_1011_and_tells_only_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: RequestInfo) -> None:
        raise RuntimeError("secret")

    async with serve(authorize=broken) as server, server.socket(raw=True) as socket:
        await socket.send(INIT)
        assert await socket.closed() == 1011
        reason = socket.connection.close_reason or ""
    assert "secret" not in reason
    assert [reason.rsplit(" ", 1)[1]] == [vars(record)["request_id"] for record in caplog.records]


@pytest.mark.parametrize("protocols", [None, ["graphql-ws"]])
async def test_without_a_common_subprotocol_it_closes_with_4406(server: Server, protocols: list[str] | None) -> None:
    url = f"ws://127.0.0.1:{server.port}/graphql"
    async with connect(url, subprotocols=protocols) as connection:  # type: ignore[arg-type]
        assert await Socket(connection).closed() == 4406


async def test_without_an_init_in_time_it_closes_with_4408() -> None:
    async with serve(options=TransportOptions(init_timeout=0.02)) as server, server.socket(raw=True) as socket:
        assert await socket.closed() == 4408


async def test_an_id_that_is_in_use_closes_with_4409(server: Server) -> None:
    async with server.socket() as socket:
        await socket.subscribe("subscription { feed }")
        await socket.subscribe("subscription { feed }")
        assert await socket.closed() == 4409
    assert server.world.left.is_set() or server.transport.fanout.subscribers == 0


async def test_a_second_init_closes_with_4429(server: Server) -> None:
    async with server.socket() as socket:
        await socket.send(INIT)
        assert await socket.closed() == 4429


async def test_a_shutdown_closes_with_1012(server: Server) -> None:
    async with server.socket() as idle, server.socket() as busy:
        await busy.subscribe("subscription { feed }")
        await server.world.entered.wait()
        server.transport.shutdown.begin()
        assert await idle.closed() == 1012
        assert await busy.closed() == 1012
    async with asyncio.timeout(10):
        await server.world.left.wait()


async def test_a_client_that_still_talks_while_the_server_ends_is_told_so(server: Server) -> None:
    async with server.socket() as socket:
        stream = socket.connection.transport
        stream.pause_reading()
        server.begin_end()
        for _ in range(20):
            await socket.send({"type": "ping"})
            await asyncio.sleep(0)
        stream.resume_reading()
        assert await socket.closed() == 1012, "and not 1006: the connection was not reset"


async def test_a_message_that_is_too_large_closes_with_1009() -> None:
    async with serve(EngineOptions(limits=Limits(message_bytes=100))) as server, server.socket() as socket:
        await socket.subscribe("{ hello }" + " " * 100)
        assert await socket.closed() == 1009


async def test_a_quiet_socket_is_pinged_and_lives_on_when_it_answers() -> None:
    async with serve(options=TransportOptions(heartbeat=0.02, silence=10)) as server, server.socket() as socket:
        for _ in range(3):
            assert await socket.receive() == {"type": "ping"}
            await socket.send({"type": "pong"})


async def test_a_socket_that_stays_silent_after_a_ping_is_closed() -> None:
    async with serve(options=TransportOptions(heartbeat=0.02, silence=0.02)) as server, server.socket() as socket:
        assert await socket.receive() == {"type": "ping"}
        assert await socket.closed() == 4408


async def test_a_socket_that_takes_nothing_is_given_up_with_1013() -> None:
    options = TransportOptions(send_timeout=0.05, close_timeout=10)
    async with serve(options=options) as server, server.socket() as socket:
        await socket.subscribe("subscription { flood(size: 100000) }")
        async with asyncio.timeout(10):
            await server.world.left.wait()
        assert await socket.closed() == 1013


async def test_a_socket_that_does_not_even_take_the_close_is_dropped() -> None:
    options = TransportOptions(send_timeout=0.05, close_timeout=0.05)
    async with serve(options=options) as server, server.socket() as socket:
        await socket.subscribe("subscription { flood(size: 100000) }")
        await until(lambda: server.transport.connections.open == 0)
        await until(lambda: not server.uvicorn.server_state.connections)


async def test_an_operation_beyond_the_limit_is_refused_and_the_others_live_on() -> None:
    async with serve(EngineOptions(limits=Limits(operations=2))) as server, server.socket() as socket:
        await socket.subscribe("subscription { feed }", "1")
        await socket.subscribe("subscription { feed }", "2")
        await socket.subscribe("subscription { feed }", "3")
        message = await socket.receive()
        assert (message["id"], message["type"]) == ("3", "error")
        assert message["payload"][0]["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": 2, "value": 3}
        server.world.feed.put_nowait(5)
        assert (await socket.receive())["payload"] == {"data": {"feed": 5}}


async def test_connections_beyond_the_limits_are_refused_before_the_handshake() -> None:
    async with serve(options=TransportOptions(connections=2, connections_per_address=1)) as server:
        async with server.socket():
            with pytest.raises(InvalidStatus) as refused:
                async with server.socket():
                    pass
            assert refused.value.response.status_code == 429
            assert b"RATE_LIMITED" in (refused.value.response.body or b"")
        await until(lambda: server.transport.connections.open == 0)
        async with server.socket():
            pass


async def test_a_frame_that_breaks_the_websocket_protocol_ends_operations_quietly(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.socket() as socket:
        await socket.subscribe("subscription { flood(size: 10) }")
        await socket.receive()
        await socket.connection.send(b"\xff", text=True)
        assert await socket.closed() == 1007
        await until(lambda: server.transport.connections.open == 0)
    assert server.world.left.is_set()
    assert [record for record in caplog.records if record.name.startswith(("graph", "asyncio", "uvicorn.error"))] == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.one_of(
    JSON_VALUES,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete", "next"])},
        optional={
            "id": st.sampled_from(["1", "2"]) | JSON_VALUES,
            "payload": JSON_VALUES
            | st.fixed_dictionaries(
                {"query": st.sampled_from(["{ hello }", "{", "subscription { count(to: 2) }", "{ boom }"]) | st.text()},
                optional={"variables": JSON_VALUES, "operationName": JSON_VALUES, "extensions": JSON_VALUES},
            ),
        },
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(MESSAGES, min_size=1, max_size=6), init=st.booleans())
async def test_whatever_is_sent_the_socket_lives_or_closes_with_a_code_of_the_protocol(
    fuzzed: Server, messages: list[object], init: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with fuzzed.socket(raw=not init) as socket:
        for message in messages:
            await socket.send(message)
        # A last message that closes in any state.
        await socket.connection.send("[]")
        assert await socket.closed() in {4400, 4401, 4409, 4429}
    assert [
        record for record in caplog.records if record.name in {"uvicorn.error", "asyncio", "graph.transport.sse"}
    ] == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.binary(max_size=200) | st.text(max_size=200))
async def test_bytes_that_are_no_messages_close_with_4400(fuzzed: Server, message: bytes | str) -> None:
    async with fuzzed.socket() as socket:
        await socket.connection.send(message)
        assert await socket.closed() == 4400
