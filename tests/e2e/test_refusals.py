"""What is wrong with a request itself: top-level errors and their codes. (userErrors stand with their mutations.)"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from domain.errors import CursorExpiredError, StoreBusyError, StoreFullError
from domain.paging import encode_event_cursor
from graph.loaders import Loaders
from tests.e2e.client import Api, RefusedError
from tests.e2e.server import serving
from tests.e2e.work import new_task

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREATE = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } } }"
METRICS = "mutation ($input: CreateMetricsInput!) { createMetrics(input: $input) { metrics { id } } }"


def code(error: Any) -> str:
    return str(error["extensions"]["code"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ tasks {", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ task { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ('{ tasks(first: "one") { totalCount } }', "GRAPHQL_VALIDATION_FAILED"),
        ('{ tasks(filter: {createdAt: {from: "yesterday"}}) { totalCount } }', "GRAPHQL_VALIDATION_FAILED"),
        ("{ tasks(filter: {status: [SLEEPING]}) { totalCount } }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_document_that_makes_no_sense_is_refused(api: Api, query: str, expected: str) -> None:
    assert code(await api.error(query)) == expected


@pytest.mark.parametrize(
    "time", ["2026-03-01T10:00:00", "2026-03-01", "10:00", "", "1772359200", 1772359200, "2026-02-30T10:00:00Z", True]
)
async def test_a_time_without_an_offset_is_refused(api: Api, time: Any) -> None:
    query = "query ($from: DateTime) { tasks(filter: {createdAt: {from: $from}}) { totalCount } }"
    assert code(await api.error(query, **{"from": time})) == "BAD_USER_INPUT"
    task = await new_task(api)
    given = {"taskId": task["id"], "metrics": [{"name": "x", "value": 1, "timestamp": time}]}
    assert code(await api.error(METRICS, input=given)) == "BAD_USER_INPUT"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_a_number_that_json_does_not_have_is_refused(api: Api, number: str) -> None:
    task = await new_task(api)
    given = {"taskId": task["id"], "metrics": [{"name": "x", "value": "HERE"}]}
    body = json.dumps({"query": METRICS, "variables": {"input": given}}).replace('"HERE"', number)
    answer = await api.http.post(api.url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400}
    assert code(answer.json()["errors"][0]) in {"BAD_REQUEST", "BAD_USER_INPUT"}
    config = json.dumps({"query": CREATE, "variables": {"input": {"name": "x", "config": {"steps": "HERE"}}}})
    answer = await api.http.post(
        api.url, content=config.replace('"HERE"', number), headers={"content-type": "application/json"}
    )
    assert code(answer.json()["errors"][0]) in {"BAD_REQUEST", "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": None},
        {"name": 7},
        {"name": "x", "maxRounds": "five"},
        {"name": "x", "maxRounds": 1.5},
        {"name": "x", "maxRounds": 2**31},
        {"name": "x", "maxRounds": None},
        {"name": "x", "concurrency": "SOMETIMES"},
        {"name": "x", "labels": [None]},
        {"name": "x", "colour": "red"},
    ],
)
async def test_variables_of_another_form_are_refused(api: Api, fields: Any) -> None:
    assert code(await api.error(CREATE, input=fields)) == "BAD_USER_INPUT"


async def test_text_that_is_no_unicode_is_refused_and_not_stored(api: Api) -> None:
    body = json.dumps({"query": CREATE, "variables": {"input": {"name": "\ud800"}}})
    answer = await api.http.post(api.url, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert code(answer.json()["errors"][0]) == "BAD_REQUEST"


async def test_a_config_that_is_nested_too_deeply_is_refused(api: Api) -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"x": deep}
    assert code(await api.error(CREATE, input={"name": "x", "config": deep})) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "query",
    [
        "{ tasks " + "{ nodes { runs { nodes { task " * 4 + "{ id }" + "}}}}" * 4 + "}",
        "{ " + " ".join(f"t{number}: eventCursor" for number in range(31)) + " }",
        "{ " + "eventCursor " * 2001 + "}",
        "{ tasks(first: 100) { nodes { runs(first: 100) { nodes { metrics(first: 2) { nodes { id } } } } } } }",
    ],
    ids=["depth", "aliases", "tokens", "cost"],
)
async def test_a_document_that_asks_for_too_much_is_refused(api: Api, query: str) -> None:
    assert code(await api.error(query)) == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("42", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"variables": {}}', "application/json", 400),
        ('{"query": "{ eventCursor }", "variables": [1]}', "application/json", 400),
        ('{"query": "{ eventCursor }"}', "text/plain", 415),
        ('{"query": "%s"}' % ("x" * 1024 * 1024), "application/json", 413),
    ],
    ids=["cut", "number", "list", "no-query", "variables", "type", "size"],
)
async def test_a_body_that_is_no_request_is_refused_before_graphql(
    api: Api, content: str, kind: str, status: int
) -> None:
    answer = await api.http.post(api.url, content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert code(answer.json()["errors"][0]) == "BAD_REQUEST"


async def test_get_answers_queries_only(api: Api) -> None:
    answer = await api.http.get(api.url, params={"query": "{ eventCursor }"})
    assert (answer.status_code, list(answer.json())) == (200, ["data"])
    refused = await api.http.get(api.url, params={"query": 'mutation { deleteTask(taskId: "x") { deletedId } }'})
    assert (refused.status_code, code(refused.json()["errors"][0])) == (405, "BAD_REQUEST")
    assert (await api.http.put(api.url)).status_code == 405
    subscription = await api.post("subscription { allEvents { id } }")
    assert (subscription.status_code, code(subscription.json()["errors"][0])) == (406, "BAD_REQUEST")


async def test_an_unexpected_error_is_masked_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as served:
        services = served.application.services

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("the password is hunter2")

        monkeypatch.setattr(type(services.tasks), "create", broken)
        answer = await served.api.post(CREATE, {"input": {"name": "x"}}, **{"x-request-id": "from-the-client"})
        (error,) = answer.json()["errors"]
        assert (error["message"], code(error)) == ("Internal error", "INTERNAL")
        assert error["extensions"]["requestId"] == answer.headers["x-request-id"] == "from-the-client"
        assert "hunter2" not in answer.text
        errors = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(errors) == 1
        assert vars(errors[0])["request_id"] == "from-the-client"
        assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (StoreBusyError("busy"), "BUSY"),
        (StoreFullError("full"), "BUSY"),
        (CursorExpiredError("oldest"), "CURSOR_EXPIRED"),
    ],
)
async def test_what_the_store_can_not_do_is_told_by_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: str
) -> None:
    async with serving(tmp_path) as served:

        async def refuse(*_: object, **__: object) -> None:
            raise failure

        monkeypatch.setattr(type(served.application.services.tasks), "create", refuse)
        error = await served.api.error(CREATE, input={"name": "x"})
        assert code(error) == expected
        assert error["extensions"].get("oldestCursor") == ("oldest" if expected == "CURSOR_EXPIRED" else None)


async def test_a_query_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, query_timeout=0.05) as served:
        never = asyncio.Event()

        async def hang(*_: object, **__: object) -> None:
            await never.wait()

        monkeypatch.setattr(Loaders, "read", hang)
        assert code(await served.api.error('{ task(id: "x") { id } }')) == "TIMEOUT"


async def test_more_connections_than_allowed_are_turned_away(tmp_path: Path) -> None:
    async with serving(tmp_path, max_connections_per_address=1) as served:
        api = served.api
        async with api.following("allEvents"):
            body, headers = {"query": "subscription { allEvents { id } }"}, {"accept": "text/event-stream"}
            answer = await api.http.post(api.url, json=body, headers=headers)
            assert (answer.status_code, code(answer.json()["errors"][0])) == (429, "RATE_LIMITED")
            assert await api.ask("{ eventCursor }"), "queries hold no connection"


async def test_a_cursor_beyond_the_log_or_of_another_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
    async with serving(tmp_path / "one") as one, serving(tmp_path / "two") as two:
        await new_task(two.api)
        cursors = [
            (await two.api.ask("{ eventCursor }"))["eventCursor"],
            encode_event_cursor(one.application.services.store.log_id, 1_000),
        ]
        for cursor in cursors:
            query = "query ($after: String) { events(after: $after) { nodes { id } } }"
            assert code(await one.api.error(query, after=cursor)) == "BAD_USER_INPUT"
            async with one.api.following("allEvents", after=cursor) as events:
                with pytest.raises(RefusedError) as refused:
                    await anext(events)
            assert refused.value.code == "BAD_USER_INPUT"


class TestHealth:
    """What a supervisor asks."""

    async def test_a_server_that_serves_is_ready(self, api: Api) -> None:
        assert (await api.http.get(f"{api.base}/healthz")).status_code == 200
        ready = await api.http.get(f"{api.base}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "bell": "connected"})

    async def test_a_server_that_is_about_to_end_is_not_ready(self, tmp_path: Path) -> None:
        async with serving(tmp_path) as served:
            served.application.transport.shutdown.begin()
            answer = await served.api.http.get(f"{served.api.base}/readyz")
            assert (answer.status_code, answer.json()["status"]) == (503, "ending")
            assert (await served.api.http.get(f"{served.api.base}/healthz")).status_code == 200


class TestWhoMayAsk:
    """Which pages and names reach the composed application."""

    async def test_a_page_of_another_origin_is_refused_everywhere(self, api: Api) -> None:
        answer = await api.post("{ eventCursor }", origin="https://evil.example")
        assert (answer.status_code, code(answer.json()["errors"][0])) == (403, "FORBIDDEN")
        assert "access-control-allow-origin" not in answer.headers

    async def test_an_allowed_page_gets_cors_and_its_socket(self, tmp_path: Path) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidStatus
        from websockets.typing import Origin, Subprotocol

        async with serving(tmp_path, allowed_origins=("https://app.example",)) as served:
            api = served.api
            answer = await api.post("{ eventCursor }", origin="https://app.example")
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
            preflight = await api.http.options(api.url, headers=asked)
            assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (204, "GET, POST")
            url, protocols = api.url.replace("http", "ws", 1), [Subprotocol("graphql-transport-ws")]
            async with connect(url, subprotocols=protocols, origin=Origin("https://app.example")) as socket:
                await socket.send('{"type": "connection_init"}')
                assert await socket.recv() == '{"type":"connection_ack"}'
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, subprotocols=protocols, origin=Origin("https://evil.example"))
            assert refused.value.response.status_code == 403

    @pytest.mark.parametrize("path", ["/graphql", "/readyz", "/graphiql", "/artifacts/x"])
    async def test_a_foreign_name_for_this_machine_is_refused(self, api: Api, path: str) -> None:
        answer = await api.http.get(f"{api.base}{path}", headers={"host": "evil.example"})
        assert (answer.status_code, code(answer.json()["errors"][0])) == (403, "FORBIDDEN")

    async def test_graphiql_and_introspection_can_be_turned_off(self, api: Api, tmp_path: Path) -> None:
        asked = "{ __schema { __typename } }"
        assert (await api.http.get(f"{api.base}/graphiql", follow_redirects=True)).status_code == 200
        assert (await api.ask(asked))["__schema"] == {"__typename": "__Schema"}
        assert "Did you mean" in (await api.error("{ task(id: 1) { nam } }"))["message"]
        async with serving(tmp_path, graphiql=False, introspection=False, suggestions=False) as served:
            off = served.api
            assert (await off.http.get(f"{off.base}/graphiql", follow_redirects=True)).status_code == 404
            assert code(await off.error(asked)) == "GRAPHQL_VALIDATION_FAILED"
            assert "Did you mean" not in (await off.error("{ task(id: 1) { nam } }"))["message"]
