"""Status codes, media types and bodies of GraphQL over HTTP."""

import asyncio
import json
import logging

import httpx
import pytest

from graph.errors import ErrorCode, RequestError
from graph.execution.engine import EngineOptions
from graph.execution.limits import Limits
from graph.transport.shared import TransportOptions
from tests.transport.support import EVENTS, GRAPHQL, JSON, Server, serve

URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)


def code(response: httpx.Response) -> str:
    body = response.json()
    assert "data" not in body
    found = body["errors"][0]["extensions"]["code"]
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (URQL, GRAPHQL),
        (f"{GRAPHQL},{JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5,{JSON}", JSON),
        (f"{JSON}, {EVENTS}", JSON),
        (f"{JSON};q=0, */*", GRAPHQL),
        ("application/*", JSON),
        (f"{EVENTS}, {JSON}", EVENTS),
        (f"{JSON};q=0.5, {EVENTS}", EVENTS),
    ],
)
async def test_a_query_is_answered_in_the_media_type_the_client_prefers(
    server: Server, accept: str | None, media: str
) -> None:
    request = server.http.build_request("POST", server.url, json={"query": "{ hello }"})
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = await server.http.send(request)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media}; charset=utf-8"
    assert "accept" in response.headers["vary"]
    assert "hello world" in response.text


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ hello", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ double(number: true) }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { double(number: $n) }", {"n": "x"}, "BAD_USER_INPUT"),
        ("query ($n: Int!) { double(number: $n) }", {}, "BAD_USER_INPUT"),
        ("query A { hello } query B { hello }", None, "BAD_USER_INPUT"),
        ("fragment F on Query { hello }", None, "BAD_USER_INPUT"),
        ("{" + " hello" * 2_001 + "}", None, "LIMIT_EXCEEDED"),
    ],
)
@pytest.mark.parametrize("media", [(GRAPHQL, 400), (JSON, 200)])
async def test_a_refused_document_has_a_code_and_no_data(
    server: Server, query: str, variables: object, expected: str, media: tuple[str, int]
) -> None:
    accept, status = media
    response = await server.post(query, variables, accept=accept)
    assert response.status_code == status
    assert code(response) == expected
    assert server.world.contexts == []


async def test_an_unknown_operation_name_is_bad_user_input(server: Server) -> None:
    response = await server.http.post(server.url, json={"query": "query A { hello }", "operationName": "B"})
    assert code(response) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"42",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"{}",
        b'{"query": 5}',
        b'{"query": "{ hello }", "variables": []}',
        b'{"query": "{ hello }", "variables": ""}',
        b'{"query": "{ hello }", "extensions": 0}',
        b'{"query": "{ hello }", "operationName": {}}',
        b'{"query": "{ hello }", "variables": {"x": NaN}}',
    ],
)
async def test_a_malformed_body_is_a_bad_request(server: Server, body: bytes) -> None:
    response = await server.http.post(server.url, content=body, headers={"content-type": JSON})
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", f"{JSON}; charset=latin-1"],
)
async def test_only_json_in_utf8_is_taken(server: Server, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await server.http.post(server.url, content=b'{"query": "{ hello }"}', headers=headers)
    assert (response.status_code, code(response)) == (415, "BAD_REQUEST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_refused(server: Server, method: str) -> None:
    response = await server.http.request(method, server.url)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST, OPTIONS"


async def test_get_answers_queries(server: Server) -> None:
    query = {"query": "query ($n: Int!) { double(number: $n) }", "variables": '{"n": 4}', "extensions": ""}
    response = await server.http.get(server.url, params=query)
    assert response.json() == {"data": {"double": 8}}


@pytest.mark.parametrize("query", ["mutation { increment }", "subscription { count(to: 1) }"])
@pytest.mark.parametrize("accept", [JSON, EVENTS])
async def test_get_changes_and_follows_nothing(server: Server, query: str, accept: str) -> None:
    response = await server.http.get(server.url, params={"query": query}, headers={"accept": accept})
    assert (response.status_code, code(response)) == (405, "BAD_REQUEST")
    assert response.headers["allow"] == "POST"
    assert server.world.mutations == 0


@pytest.mark.parametrize(
    "query", ["", "?query=%ff", "?query=%7Bhello%7D&variables=%7B", "?query=%7Bhello%7D&variables=5"]
)
async def test_a_malformed_query_string_is_a_bad_request(server: Server, query: str) -> None:
    response = await server.http.get(server.url + query)
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/*", f"{JSON};q=0"])
async def test_what_nobody_can_serve_is_not_acceptable(server: Server, accept: str) -> None:
    response = await server.post("{ hello }", accept=accept)
    assert (response.status_code, code(response)) == (406, "BAD_REQUEST")


@pytest.mark.parametrize("accept", [None, "*/*", JSON, URQL])
async def test_a_subscription_by_plain_post_is_not_acceptable(server: Server, accept: str | None) -> None:
    response = await server.post("subscription { count(to: 1) }", accept=accept)
    assert (response.status_code, code(response)) == (406, "BAD_REQUEST")


async def test_a_body_beyond_the_limit_is_refused_with_and_without_a_length() -> None:
    async def chunks() -> object:
        for _ in range(20):
            yield b"x" * 100

    async with serve(EngineOptions(limits=Limits(body_bytes=1_000))) as server:
        headers = {"content-type": JSON}
        for body in (b"x" * 1_001, chunks()):
            response = await server.http.post(server.url, content=body, headers=headers)  # type: ignore[arg-type]
            assert (response.status_code, code(response)) == (413, "BAD_REQUEST")
            assert "1000 bytes" in response.text


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async with serve(options=TransportOptions(body_timeout=0.05)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: 10\r\n\r\n"
        writer.write(head.encode())
        assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: 10\r\n\r\n"
    writer.write(head.encode() + b"{")
    writer.close()
    await writer.wait_closed()
    assert (await server.post("{ hello }")).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_an_unexpected_exception_is_masked_and_logged_once_with_the_request_id(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    response = await server.post("{ hello boom }", headers={"x-request-id": "r-1"})
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "r-1"
    body = response.json()
    assert body["data"] == {"hello": "hello world", "boom": None}
    (error,) = body["errors"]
    assert error["message"] == "Internal error"
    assert error["path"] == ["boom"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "r-1"}
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert vars(record)["request_id"] == "r-1"
    assert record.exc_info
    assert "secret" in str(record.exc_info[1])


async def test_a_request_id_unfit_for_a_log_is_replaced(server: Server) -> None:
    response = await server.post("{ hello }", headers={"x-request-id": "a b"})
    assert len(response.headers["x-request-id"]) == 32


async def test_a_coded_error_reaches_the_client_and_no_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    body = (await server.post("{ refuse }")).json()
    assert body["data"] == {"refuse": None}
    assert body["errors"][0]["extensions"] == {"code": "CURSOR_EXPIRED", "oldestCursor": "c1"}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (RequestError(ErrorCode.UNAUTHENTICATED, "Who?"), 401, "UNAUTHENTICATED"),
        (RequestError(ErrorCode.FORBIDDEN, "No."), 403, "FORBIDDEN"),
        (RequestError(ErrorCode.RATE_LIMITED, "Slower."), 429, "RATE_LIMITED"),
        (RequestError(ErrorCode.BUSY, "Later."), 503, "BUSY"),
        (RuntimeError("secret"), 500, "INTERNAL"),
    ],
)
async def test_a_context_that_cannot_be_made_refuses_the_operation(
    server: Server, error: Exception, status: int, expected: str
) -> None:
    server.world.refuse_context = error
    response = await server.post("{ hello }", accept=JSON)
    assert (response.status_code, code(response)) == (status, expected)
    assert "secret" not in response.text


async def test_a_query_that_takes_too_long_is_cut_and_a_mutation_is_not() -> None:
    async with serve(EngineOptions(query_timeout=0.05)) as server:
        response = await server.post("{ hang }")
        assert (response.status_code, code(response)) == (503, "TIMEOUT")
        assert server.world.left.is_set()
        mutation = asyncio.create_task(server.post("mutation { slowlyIncrement }"))
        await server.post("{ hang }")
        server.world.proceed.set()
        assert (await mutation).json() == {"data": {"slowlyIncrement": 1}}


async def test_every_answer_is_json_that_any_client_can_read(server: Server) -> None:
    response = await server.post("{ notANumber }")
    assert response.json()["data"]["notANumber"] == {"nan": None, "big": 2**70}
    assert "NaN" not in response.text
    lone = '{"query": "{ echo(value: \\"\\\\ud800\\") }"}'
    echoed = await server.http.post(server.url, content=lone, headers={"content-type": JSON})
    json.loads(echoed.content)
    assert echoed.status_code == 200


async def test_a_literal_that_only_execution_can_refuse_is_bad_user_input(server: Server) -> None:
    response = await server.post("query ($n: Int = 1) { double(number: $n) }", {"n": None})
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_each_operation_has_a_context_of_its_own(server: Server) -> None:
    for _ in range(2):
        assert (await server.post("{ kind }")).json() == {"data": {"kind": "http"}}
    first, second = server.world.contexts
    assert first.request_id != second.request_id
    assert first.address == "127.0.0.1"


async def test_a_context_is_made_of_headers_as_text_the_first_of_each_name(server: Server) -> None:
    headers = [(b"X-Tenant", "caf\xe9".encode("latin-1")), (b"x-tenant", b"other")]
    await server.http.post(server.url, json={"query": "{ kind }"}, headers=headers)
    assert server.world.contexts[0].headers["x-tenant"] == "caf\xe9"


async def test_introspection_and_suggestions_can_be_off() -> None:
    async with serve(EngineOptions()) as server:
        response = await server.post("{ __schema { types { name } } }")
        assert code(response) == "GRAPHQL_VALIDATION_FAILED"
        assert "Did you mean" not in (await server.post("{ helo }")).text
    async with serve() as server:
        assert "Did you mean" in (await server.post("{ helo }")).text
