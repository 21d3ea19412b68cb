"""A client of the API that knows the schema alone: HTTP POST, graphql-transport-ws and server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

PATIENCE: Final = 30
"""Seconds until a test that waits for an event gives up."""

TASK: Final = """
  id name description status team config labels maxRounds maxRevisionRounds memorySize approvalTimeout
  onApprovalTimeout concurrency totalRuns successfulRuns failedRuns successRate lastRunAt lastRunDuration lastError
  version createdAt updatedAt
"""
PLAN: Final = """
  version digest summary complexity feedback createdBy createdAt
  steps { key title detail assignee status startedAt completedAt output error }
  changes { kind stepKey before after }
"""
RUN: Final = f"""
  id number taskId status allowedActions labels config autoApprove priority approvalExpiresAt progress currentStep
  results roundCount createdAt startedAt completedAt duration
  plan {{ {PLAN} }}
  decisions {{ kind planVersion feedback actor decidedAt }}
  failure {{ code message step retryable }}
  retryOf {{ id }}
"""
METRIC: Final = "id taskId runId name type value unit labels timestamp"
USER_ERRORS: Final = """
  userErrors {
    __typename code message path
    ... on NotFoundError { id }
    ... on ConflictError { expectedVersion actualVersion }
    ... on InvalidStateError { currentStatus allowedActions }
    ... on ApprovalExpiredError { expiredAt currentStatus }
  }
"""
EVENT: Final = """
  __typename id cursor type timestamp message data taskId
  ... on RunEvent { runId sequence status }
"""

_ENTITY: Final[Mapping[str, tuple[str, str]]] = {
    "createTask": ("task", TASK),
    "updateTask": ("task", TASK),
    "createRun": ("run", RUN),
    "updateRun": ("run", RUN),
    "approveRun": ("run", RUN),
    "requestPlanChanges": ("run", RUN),
    "cancelRun": ("run", RUN),
    "retryRun": ("run", RUN),
    "createMetrics": ("metrics", METRIC),
    "updateMetric": ("metrics", METRIC),
    "deleteTask": ("deletedId", ""),
    "deleteRun": ("deletedId", ""),
    "deleteMetric": ("deletedId", ""),
}
_ARGUMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "deleteTask": {"taskId": "ID!", "force": "Boolean!"},
    "deleteRun": {"runId": "ID!"},
    "deleteMetric": {"metricId": "ID!"},
}


class RefusedError(Exception):
    """A subscription was answered with errors.

    Attributes:
        errors: As the server sent them.
    """

    def __init__(self, errors: list[Any]) -> None:
        super().__init__(errors)
        self.errors = errors

    @property
    def code(self) -> str:
        return str(self.errors[0]["extensions"]["code"])


@dataclass(frozen=True)
class Api:
    """Operations against one server."""

    http: httpx.AsyncClient
    base: str

    @property
    def url(self) -> str:
        return f"{self.base}/graphql"

    async def post(self, query: str, variables: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        body = {"query": query, "variables": dict(variables or {})}
        return await self.http.post(self.url, json=body, headers={"accept": "application/json", **headers})

    async def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of an operation that has no errors."""
        answer = (await self.post(query, variables)).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def error(self, query: str, **variables: Any) -> Any:
        """Return the one error of an operation that is refused."""
        answer = (await self.post(query, variables)).json()
        assert len(answer.get("errors", ())) == 1, answer
        return answer["errors"][0]

    async def mutate(self, name: str, fields: Mapping[str, Any], select: str | None = None) -> Any:
        """Return a mutation's payload; `fields` are its input's, or its arguments where it has no input."""
        entity, selection = _ENTITY[name]
        selection = selection if select is None else select
        shown = f"{entity} {{ {selection} }}" if selection else entity
        arguments = {key: type_ for key, type_ in _ARGUMENTS.get(name, {}).items() if key in fields}
        variables: dict[str, Any] = dict(fields)
        if name not in _ARGUMENTS:
            arguments, variables = {"input": f"{name[0].upper()}{name[1:]}Input!"}, {"input": dict(fields)}
        declared = ", ".join(f"${key}: {type_}" for key, type_ in arguments.items())
        passed = ", ".join(f"{key}: ${key}" for key in arguments)
        document = f"mutation ({declared}) {{ {name}({passed}) {{ {shown} {USER_ERRORS} }} }}"
        return (await self.ask(document, **variables))[name]

    async def do(self, name: str, fields: Mapping[str, Any] | None = None, /, **more: Any) -> Any:
        """Return what a mutation made or changed."""
        payload = await self.mutate(name, {**(fields or {}), **more})
        assert payload["userErrors"] == []
        return payload[_ENTITY[name][0]]

    async def refusal(self, name: str, fields: Mapping[str, Any] | None = None, /, **more: Any) -> Any:
        """Return the one userError of a mutation that did nothing."""
        payload = await self.mutate(name, {**(fields or {}), **more})
        assert not payload[_ENTITY[name][0]]
        assert len(payload["userErrors"]) == 1, payload["userErrors"]
        error = payload["userErrors"][0]
        assert error["message"].endswith((".", ")")), "a message is a sentence"
        return error

    async def invalid(self, name: str, fields: Mapping[str, Any] | None = None, /, **more: Any) -> list[str]:
        """Return the path of a mutation's one INVALID error."""
        error = await self.refusal(name, fields, **more)
        assert (error["code"], error["__typename"]) == ("INVALID", "InvalidInputError"), error
        path: list[str] = error["path"]
        return path

    # Reading

    async def run(self, run_id: str, select: str = RUN) -> Any:
        return (await self.ask(f"query ($id: ID!) {{ run(id: $id) {{ {select} }} }}", id=run_id))["run"]

    async def task(self, task_id: str, select: str = TASK) -> Any:
        return (await self.ask(f"query ($id: ID!) {{ task(id: $id) {{ {select} }} }}", id=task_id))["task"]

    # Following

    @asynccontextmanager
    async def subscribe(self, query: str, **variables: Any) -> AsyncIterator[AsyncGenerator[Any, None]]:
        """Follow a subscription over its own WebSocket; items are its data, and the end is its completion."""
        url = self.url.replace("http", "ws", 1)
        async with connect(
            url, subprotocols=[Subprotocol("graphql-transport-ws")], max_size=None, open_timeout=PATIENCE
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            payload = {"query": query, "variables": variables}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            async with aclosing(_messages(socket)) as messages:
                yield messages

    @asynccontextmanager
    async def stream(self, query: str, **variables: Any) -> AsyncIterator[AsyncGenerator[Any, None]]:
        """Follow a subscription as server-sent events; as `subscribe`."""
        body = {"query": query, "variables": variables}
        headers = {"accept": "text/event-stream"}
        async with self.http.stream("POST", self.url, json=body, headers=headers, timeout=PATIENCE) as response:
            assert response.status_code == 200
            async with aclosing(_events(response)) as events:
                yield events

    @asynccontextmanager
    async def following(
        self,
        field: str,
        subject: str | None = None,
        *,
        after: str | None = None,
        types: list[str] | None = None,
        select: str = EVENT,
        sse: bool = False,
    ) -> AsyncIterator[AsyncGenerator[Any, None]]:
        """Follow runEvents, taskEvents or allEvents; items are events."""
        declared, passed = {
            "runEvents": ("$id: ID!, ", "runId: $id, "),
            "taskEvents": ("$id: ID!, ", "taskId: $id, "),
        }.get(field, ("", ""))
        query = (
            f"subscription ({declared}$after: String, $types: [EventType!]) "
            f"{{ {field}({passed}after: $after, types: $types) {{ {select} }} }}"
        )
        variables: dict[str, Any] = {"after": after} if after is not None else {}
        if types is not None:
            variables["types"] = types
        if subject is not None:
            variables["id"] = subject
        follow = self.stream if sse else self.subscribe
        async with follow(query, **variables) as items, aclosing(_below(items, field)) as events:
            yield events

    async def life(self, run_id: str, **how: Any) -> list[Any]:
        """Return all events of a run, to its end."""
        async with asyncio.timeout(PATIENCE), self.following("runEvents", run_id, **how) as events:
            return [event async for event in events]

    async def until(self, run_id: str, reached: str | Callable[[Any], bool]) -> Any:
        """Wait until a run has a status, or an event of it is as wanted; return the run."""
        is_it = reached if callable(reached) else lambda event: event["status"] == reached
        async with asyncio.timeout(PATIENCE), self.following("runEvents", run_id) as events:
            async for event in events:
                if is_it(event):
                    return await self.run(run_id)
        raise AssertionError(f"The run ended otherwise: {await self.run(run_id)}")


async def _messages(socket: Any) -> AsyncGenerator[Any, None]:
    async for text in socket:
        message = json.loads(text)
        match message["type"]:
            case "next":
                if "errors" in message["payload"]:
                    raise RefusedError(message["payload"]["errors"])
                yield message["payload"]["data"]
            case "error":
                raise RefusedError(message["payload"])
            case "complete":
                return
            case "ping":
                await socket.send('{"type":"pong"}')
    raise AssertionError("The socket closed before the subscription completed.")


async def _events(response: httpx.Response) -> AsyncGenerator[Any, None]:
    kind = ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(":")
        if field == "event":
            kind = value.strip()
        if field == "event" and kind == "complete":
            return
        if field == "data" and kind == "next":
            answer = json.loads(value)
            if "errors" in answer:
                raise RefusedError(answer["errors"])
            yield answer["data"]
    raise AssertionError("The stream ended before the subscription completed.")


async def _below(items: AsyncGenerator[Any, None], field: str) -> AsyncGenerator[Any, None]:
    async for item in items:
        yield item[field]
