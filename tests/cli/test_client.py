"""Our GraphQL client against a server that plays a script: pings, cuts and refusals, word by word."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from graph.client import ApiError, Client, ConnectionCutError, Data, OperationError, UnreachableError

PROTOCOL = Subprotocol("graphql-transport-ws")
QUERY = "subscription($after: String) { events(after: $after) { cursor } }"


@dataclass
class Script:
    """What the server does with its connections, one after the other, and what it was asked."""

    scenes: list[Callable[["Stage"], Awaitable[None]]]
    afters: list[str | None] = field(default_factory=list)
    port: int = 0

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}")

    async def follow(self, on_cut: Callable[[ApiError], None] = lambda _: None) -> list[str]:
        async with aclosing(self.client.follow(QUERY, {}, "events", on_cut)) as events:
            return [event["cursor"] async for event in events]


@dataclass
class Stage:
    """One connection, from the server's side."""

    socket: ServerConnection

    async def read(self) -> Any:
        return json.loads(await self.socket.recv())

    async def say(self, type_: str, **rest: object) -> None:
        await self.socket.send(json.dumps({"type": type_, **rest}))

    async def next(self, cursor: str) -> None:
        await self.say("next", id="1", payload={"data": {"events": {"cursor": cursor}}})


@asynccontextmanager
async def playing(*scenes: Callable[[Stage], Awaitable[None]], port: int = 0) -> AsyncIterator[Script]:
    script = Script(list(scenes))

    async def handle(connection: ServerConnection) -> None:
        stage = Stage(connection)
        assert (await stage.read())["type"] == "connection_init"
        await stage.say("connection_ack")
        asked = await stage.read()
        assert asked["type"] == "subscribe"
        script.afters.append(asked["payload"]["variables"].get("after"))
        await script.scenes.pop(0)(stage)

    async with serve(handle, "127.0.0.1", port, subprotocols=[PROTOCOL]) as server:
        script.port = next(iter(server.sockets)).getsockname()[1]
        yield script


def events(*cursors: str, close: int | None = None) -> Callable[[Stage], Awaitable[None]]:
    """Send events; then close with a code, or complete."""

    async def scene(stage: Stage) -> None:
        for cursor in cursors:
            await stage.next(cursor)
        if close is None:
            await stage.say("complete", id="1")
            await stage.socket.wait_closed()
        elif close == 1006:
            stage.socket.transport.abort()
        else:
            await stage.socket.close(close, "as the script says")

    return scene


async def test_an_answer_is_returned() -> None:
    async def answer(stage: Stage) -> None:
        await stage.say("next", id="1", payload={"data": {"one": 1}})
        await stage.socket.wait_closed()

    async with playing(answer) as script:
        assert await script.client.execute("{ one }") == {"one": 1}


async def test_pings_are_answered() -> None:
    pongs: list[object] = []

    async def pinging(stage: Stage) -> None:
        await stage.say("ping")
        pongs.append(await stage.read())
        await stage.say("complete", id="1")
        await stage.socket.wait_closed()

    async with playing(pinging) as script:
        assert await script.follow() == []
    assert pongs == [{"type": "pong"}]


@pytest.mark.parametrize("code", [1006, 1001, 1011, 1012, 1013, 4408])
async def test_after_a_cut_it_goes_on_behind_the_last_event(code: int) -> None:
    cuts: list[ApiError] = []
    async with playing(events("a", "b", close=code), events(close=code), events("c")) as script:
        assert await script.follow(cuts.append) == ["a", "b", "c"]
    assert script.afters == [None, "b", "b"]
    assert [type(cut) for cut in cuts] == [ConnectionCutError, ConnectionCutError]


async def test_it_waits_for_a_server_that_comes_back() -> None:
    cut, refused = asyncio.Event(), asyncio.Event()

    def on_cut(error: ApiError) -> None:
        (refused if isinstance(error, UnreachableError) else cut).set()

    async with playing(events("a", close=1012)) as before:
        reading = asyncio.create_task(before.follow(on_cut))
        await cut.wait()
    await refused.wait()
    async with playing(events("b"), port=before.port) as after:
        assert await reading == ["a", "b"]
    assert after.afters == ["a"]


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4406, 4429])
async def test_a_refusal_of_the_connection_is_not_tried_again(code: int) -> None:
    async with playing(events("a", close=code)) as script:
        with pytest.raises(OperationError, match=f"{code} as the script says"):
            await script.follow()


async def test_a_refused_operation_says_why() -> None:
    async def refuse(stage: Stage) -> None:
        error = {"message": "There is no run.", "extensions": {"code": "NOT_FOUND"}}
        await stage.say("error", id="1", payload=[error])
        await stage.socket.wait_closed()

    async with playing(refuse) as script:
        with pytest.raises(OperationError, match=r"^There is no run\.$") as caught:
            await script.follow()
    assert caught.value.codes == ("NOT_FOUND",)


async def test_an_answer_with_errors_is_a_refusal() -> None:
    async def answer(stage: Stage) -> None:
        await stage.say("next", id="1", payload={"data": None, "errors": [{"message": "It broke."}]})
        await stage.socket.wait_closed()

    async with playing(answer) as script:
        with pytest.raises(OperationError, match="It broke"):
            await script.client.execute("{ one }")


async def test_a_query_that_is_cut_is_not_repeated() -> None:
    async with playing(events(close=1012)) as script:
        with pytest.raises(ConnectionCutError):
            await script.client.execute("mutation { one }")


async def test_nobody_listening_at_first_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{port}"):
        async for _ in client.follow(QUERY, {}, "events"):
            pass


@pytest.mark.parametrize(
    ("status", "error"), [(HTTPStatus.FORBIDDEN, ApiError), (HTTPStatus.TOO_MANY_REQUESTS, UnreachableError)]
)
async def test_a_refused_handshake_says_why(status: HTTPStatus, error: type[ApiError]) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(status, "Not you.\n")

    async def never(_: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ApiError, match=f"{status.value}.*Not you") as caught:
            await Client(f"http://127.0.0.1:{port}").execute("{ one }")
    assert type(caught.value) is error


async def test_the_path_of_the_address_is_kept() -> None:
    paths: list[str] = []

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.close(4403)

    async with serve(handle, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(OperationError):
            await Client(f"http://127.0.0.1:{port}/mgx/").execute("{ one }")
    assert paths == ["/mgx/graphql"]


async def test_leaving_early_closes_the_connection() -> None:
    left = asyncio.Event()

    async def endless(stage: Stage) -> None:
        await stage.next("a")
        await stage.socket.wait_closed()
        left.set()

    async with playing(endless) as script:
        seen: list[Data] = []
        async with aclosing(script.client.follow(QUERY, {}, "events")) as following:
            async for event in following:
                seen.append(event)
                break
        await left.wait()
    assert seen == [{"cursor": "a"}]


@pytest.mark.parametrize("path", ["", "/", "/graphql", "/graphql/"])
async def test_the_address_of_the_api_names_its_server_too(path: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.next("c1")
        await stage.say("complete", id="1")

    async with playing(scene) as script:
        client = Client(f"{script.client.url}{path}")
        assert client.url == script.client.url
        assert await client.execute(QUERY) == {"events": {"cursor": "c1"}}
