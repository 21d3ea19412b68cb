"""Trusted documents over each transport, and what is kept of them."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from graph.execution.documents import Kept, digest
from graph.execution.engine import Engine, EngineOptions, Failure, Operation, Request
from graph.execution.limits import Limits
from tests.transport import schema
from tests.transport.support import EVENTS, GRAPHQL, JSON, Events, Server, serve

HELLO = "query Hello($name: String!) { hello(name: $name) }"
COUNT = "subscription Count($to: Int!) { count(to: $to) }"
INCREMENT = "mutation Increment { increment }"
SEVERAL = "query A { hello } query B { kind }"
TRUSTED = (HELLO, COUNT, INCREMENT, SEVERAL)
UNKNOWN = "sha256:" + "0" * 64


def named(text: str, **more: object) -> dict[str, object]:
    return {"documentId": f"sha256:{digest(text)}", **more}


@asynccontextmanager
async def trusting(*, only: bool = False) -> AsyncIterator[Server]:
    async with serve(EngineOptions(trusted_only=only)) as server:
        for text in TRUSTED:
            server.transport.engine.documents.trust(text)
        yield server


async def by_post(server: Server, fields: dict[str, object]) -> Any:
    answer = await server.http.post(server.url, json=fields, headers={"accept": GRAPHQL})
    return answer.json()


async def by_get(server: Server, fields: dict[str, object]) -> Any:
    params = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    answer = await server.http.get(server.url, params=params, headers={"accept": GRAPHQL})
    return answer.json()


async def by_stream(server: Server, fields: dict[str, object]) -> Any:
    async with server.http.stream("POST", server.url, json=fields, headers={"accept": EVENTS}) as response:
        assert response.status_code == 200
        (kind, answer), (end, _) = await Events(response).all()
    assert (kind, end) == ("next", "complete")
    return answer


async def by_socket(server: Server, fields: dict[str, object]) -> Any:
    """Ask over a socket, and check that it is good for another operation afterwards."""
    async with server.socket() as socket:
        for number in ("1", "2"):
            await socket.send({"type": "subscribe", "id": number, "payload": fields})
            message = await socket.receive()
            assert message["id"] == number
            if message["type"] == "error":
                answer = {"errors": message["payload"]}
            else:
                answer = message["payload"]
                assert await socket.receive() == {"id": number, "type": "complete"}
    return answer


TRANSPORTS = pytest.mark.parametrize("ask", [by_post, by_get, by_stream, by_socket])
Ask = Callable[[Server, dict[str, object]], Awaitable[Any]]


def code(answer: Any) -> str:
    assert "data" not in answer
    (error,) = answer["errors"]
    assert isinstance(error["extensions"]["code"], str)
    return str(error["extensions"]["code"])


@TRANSPORTS
async def test_without_trusted_documents_an_id_alone_is_refused_and_ignored_beside_a_text(
    server: Server, ask: Ask
) -> None:
    answer = await ask(server, named(HELLO, variables={"name": "you"}))
    assert code(answer) == "BAD_REQUEST"
    assert "documentId" in answer["errors"][0]["message"]
    assert await ask(server, {"query": "{ hello }", "documentId": UNKNOWN}) == {"data": {"hello": "hello world"}}


@TRANSPORTS
@pytest.mark.parametrize("only", [False, True])
async def test_a_trusted_document_is_executed_by_its_id_and_by_its_text(ask: Ask, only: bool) -> None:
    async with trusting(only=only) as server:
        expected = {"data": {"hello": "hello you"}}
        variables = {"name": "you"}
        assert await ask(server, named(HELLO, variables=variables)) == expected
        assert await ask(server, {"documentId": digest(HELLO), "variables": variables}) == expected
        # What insists on a query, as the package graphql-ws does, has to send an empty one.
        assert await ask(server, named(HELLO, query="", variables=variables)) == expected
        assert await ask(server, {"query": HELLO, "variables": variables}) == expected
        data = (await ask(server, named(SEVERAL, operationName="A")))["data"]
        assert data == {"hello": "hello world"}


@TRANSPORTS
@pytest.mark.parametrize("only", [False, True])
async def test_an_id_of_no_document_is_not_found(ask: Ask, only: bool) -> None:
    async with trusting(only=only) as server:
        for identifier in (UNKNOWN, "sha256:", "", f"md5:{digest(HELLO)}", digest(HELLO).upper()):
            assert code(await ask(server, {"documentId": identifier})) == "NOT_FOUND"


@TRANSPORTS
@pytest.mark.parametrize("only", [False, True])
async def test_an_id_and_a_text_are_too_much(ask: Ask, only: bool) -> None:
    async with trusting(only=only) as server:
        for query in (HELLO, "{ kind }"):
            answer = await ask(server, named(HELLO, query=query, variables={"name": "you"}))
            assert code(answer) == "BAD_REQUEST"
            assert "either" in answer["errors"][0]["message"]


@TRANSPORTS
async def test_other_documents_are_answered_unless_only_trusted_ones_are(ask: Ask) -> None:
    async with trusting() as server:
        assert await ask(server, {"query": "{ hello }"}) == {"data": {"hello": "hello world"}}
    async with trusting(only=True) as server:
        for text in ("{ hello }", "{ hello", "{ __schema { types { name } } }", f"{HELLO} "):
            assert code(await ask(server, {"query": text})) == "FORBIDDEN"


@pytest.mark.parametrize(
    ("fields", "only", "graphql_status", "json_status"),
    [
        (named(HELLO, variables={"name": "you"}), True, 200, 200),
        ({"documentId": UNKNOWN}, False, 400, 200),
        ({"query": "{ hello }"}, True, 403, 403),
        (named(HELLO, query=HELLO), False, 400, 400),
        (named(HELLO), True, 400, 200),
    ],
)
async def test_status_codes_are_those_of_other_refusals(
    fields: dict[str, object], only: bool, graphql_status: int, json_status: int
) -> None:
    async with trusting(only=only) as server:
        for accept, status in ((GRAPHQL, graphql_status), (JSON, json_status)):
            answer = await server.http.post(server.url, json=fields, headers={"accept": accept})
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith(accept)


async def test_an_id_without_trusted_documents_is_a_bad_request_whatever_is_accepted(server: Server) -> None:
    for accept in (GRAPHQL, JSON):
        answer = await server.http.post(server.url, json={"documentId": UNKNOWN}, headers={"accept": accept})
        assert answer.status_code == 400


async def test_get_answers_queries_only_however_they_are_named() -> None:
    async with trusting() as server:
        answer = await server.http.get(server.url, params={"documentId": digest(INCREMENT)})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert server.world.mutations == 0
        answer = await server.http.get(server.url, params={"documentId": digest(COUNT), "variables": '{"to": 1}'})
        assert answer.status_code == 405


async def test_subscriptions_and_mutations_are_named_as_well() -> None:
    async with trusting(only=True) as server:
        fields = named(COUNT, variables={"to": 2})
        async with server.http.stream("POST", server.url, json=fields, headers={"accept": EVENTS}) as response:
            events = await Events(response).all()
        assert events == [("next", {"data": {"count": 1}}), ("next", {"data": {"count": 2}}), ("complete", None)]
        async with server.socket() as socket:
            await socket.send({"type": "subscribe", "id": "1", "payload": fields})
            messages = [await socket.receive() for _ in range(3)]
        assert [message.get("payload") for message in messages] == [
            {"data": {"count": 1}},
            {"data": {"count": 2}},
            None,
        ]
        assert await by_post(server, named(INCREMENT)) == {"data": {"increment": 1}}


@pytest.mark.parametrize("identifier", [5, True, {}, ["x"]])
async def test_an_id_has_to_be_text(server: Server, identifier: object) -> None:
    answer = await server.http.post(server.url, json={"query": "{ hello }", "documentId": identifier})
    assert (answer.status_code, code(answer.json())) == (400, "BAD_REQUEST")
    async with server.socket() as socket:
        payload = {"query": "{ hello }", "documentId": identifier}
        await socket.send({"type": "subscribe", "id": "1", "payload": payload})
        assert await socket.closed() == 4400


async def test_null_stands_for_nothing(server: Server) -> None:
    fields: dict[str, object] = {"query": "{ hello }", "documentId": None}
    assert (await by_post(server, fields))["data"] == (await by_socket(server, fields))["data"]
    async with trusting() as trusted:
        fields = named(HELLO, query=None, variables={"name": "you"})
        assert (await by_post(trusted, fields))["data"] == (await by_socket(trusted, fields))["data"]


def engine(limits: Limits | None = None, *, only: bool = False) -> Engine:
    return Engine(schema.build(), EngineOptions(limits=limits or Limits(), trusted_only=only))


def prepared(engine: Engine, *, query: str = "", document_id: str | None = None, **variables: object) -> Operation:
    prepared = engine.prepare(Request(query=query, document_id=document_id, variables=variables, request_id="r-1"))
    assert isinstance(prepared, Operation), prepared
    return prepared


def test_the_example_of_the_specification_has_the_digest_that_it_says() -> None:
    text = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"
    assert digest(text) == "7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"


def test_trusted_documents_stay_however_many_others_come() -> None:
    trusting = engine()
    trusting.documents.trust(HELLO)
    document = prepared(trusting, document_id=digest(HELLO), name="you").document
    for number in range(1_100):
        prepared(trusting, query=f"query Q{number} {{ hello }}")
    documents = trusting.documents
    assert documents.recent == Kept(1_000, sum(len(f"query Q{number} {{ hello }}") for number in range(100, 1_100)))
    assert documents.evictions == 100
    assert documents.trusted == Kept(1, len(HELLO))
    assert prepared(trusting, document_id=f"sha256:{digest(HELLO)}", name="you").document is document
    assert prepared(trusting, query=HELLO, name="you").document is document
    assert documents.lookups == {("id", "hit"): 2, ("text", "miss"): 1_100, ("text", "hit"): 1}


def test_what_is_kept_is_counted_in_bytes() -> None:
    counting = engine()
    prepared(counting, query='{ hello(name: "Zoë") }')
    prepared(counting, query="{ hello }")
    assert counting.documents.recent == Kept(2, 23 + 9)
    counting.documents.trust('{ hello(name: "Zoë") }')
    counting.documents.trust('{ hello(name: "Zoë") }')
    assert counting.documents.trusted == Kept(1, 23)


def test_the_text_of_a_trusted_document_has_no_limits_but_its_cost_has() -> None:
    limits = Limits(tokens=50, depth=2, aliases=1, fields=5, overlaps=1, cost=100)
    aliases = " ".join(f"a{number}: id" for number in range(50))
    text = f"query ($n: Int) {{ items(first: $n) {{ id parent {{ parent {{ id }} }} {aliases} }} }}"
    refusing = engine(limits)
    assert isinstance(refusing.prepare(Request(query=text, request_id="r")), Failure)
    trusting = engine(limits)
    trusting.documents.trust(text)
    prepared(trusting, document_id=digest(text), n=100)
    failure = trusting.prepare(Request(document_id=digest(text), variables={"n": 101}, request_id="r"))
    assert isinstance(failure, Failure)
    assert failure.code == "LIMIT_EXCEEDED"
    assert failure.errors[0]["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": 100, "value": 101}
