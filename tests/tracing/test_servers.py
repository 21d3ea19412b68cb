"""One trace joins a request, the work that it causes, each step and each event, also across a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.e2e.client import Api
from tests.e2e.server import serving
from tests.e2e.work import awaiting, ended, new_task
from tests.tracing.spans import Collected, about, id_of, linked, outcome, parent_of, sequences, trace_of, wrote

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT = "00f067aa0ba902b7"


def traceparent(*, sampled: bool = True) -> str:
    return f"00-{TRACE}-{CLIENT}-{int(sampled):02x}"


def positions(spans: list[ReadableSpan]) -> list[Any]:
    return sorted((event.attributes or {})["mgx.event.pos"] for span in spans for event in span.events)


async def test_a_run_is_one_trace_from_its_creation_to_its_completion(tmp_path: Path, collected: Collected) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        run = await awaiting(served.api)
        await served.api.do("approveRun", {"runId": run["id"], "approved": True})
        events = await served.api.life(run["id"])
    created, decided = collected.one("mutation createRun"), collected.one("mutation approveRun")
    spans = [span for span in collected.spans if trace_of(span) == trace_of(created)]
    assert sorted(span.name for span in spans) == [
        "mutation createRun",
        "run.analysis_start",
        "run.execute",
        "run.plan",
        "run.step",
        "run.step",
    ]
    assert {parent_of(span) for span in spans if span.name != "run.step"} == {None, id_of(created)}
    assert linked(collected.one("run.execute")) == [id_of(decided)]
    told = [*spans, decided]
    assert wrote(decided) == ["APPROVED"]
    assert sequences(told) == [event["sequence"] for event in events]
    assert positions(told) == sorted(positions(told)) != [0] * len(events)
    assert len(set(positions(told))) == len(events)


async def test_the_trace_goes_on_after_a_restart(tmp_path: Path, collected: Collected) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        run = await awaiting(served.api)
    async with serving(tmp_path, traces="otlp") as served:
        await served.api.do("approveRun", {"runId": run["id"], "approved": True})
        await served.api.life(run["id"])
    before, after = collected.exporters
    created, work = collected.one("mutation createRun"), collected.one("run.execute")
    assert created in before.get_finished_spans()
    assert work in after.get_finished_spans()
    assert (trace_of(work), parent_of(work)) == (trace_of(created), id_of(created))
    assert (
        before.get_finished_spans()[0].resource.attributes["service.instance.id"]
        != (after.get_finished_spans()[0].resource.attributes["service.instance.id"])
    )


async def test_a_request_goes_on_with_the_trace_of_its_client(tmp_path: Path, collected: Collected) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        task = await new_task(served.api)
        document = """mutation Start($input: CreateRunInput!) { first: createRun(input: $input) { run { id } } }"""
        variables = {"input": {"taskId": task["id"], "autoApprove": True, "labels": ["classified"]}}
        headers = {"traceparent": traceparent(), "x-request-id": "ours-1"}
        answer = await served.api.post(document, variables, **headers)
        await served.api.life(answer.json()["data"]["first"]["run"]["id"])
    created = collected.one("mutation createRun")
    assert (f"{trace_of(created):032x}", f"{parent_of(created):016x}") == (TRACE, CLIENT)
    assert trace_of(collected.one("run.execute")) == trace_of(created)
    assert about(created) == {
        "graphql.operation.type": "mutation",
        "graphql.operation.name": "Start",
        "mgx.graphql.fields": ("createRun",),
        "mgx.request.id": "ours-1",
        "mgx.transport": "http",
        "mgx.outcome": "OK",
    }
    assert "classified" not in "".join(span.to_json() for span in collected.spans)


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-{CLIENT}-01", f"00-{TRACE}-{CLIENT}-01" + "x" * 600])
async def test_a_traceparent_that_is_none_begins_a_trace(tmp_path: Path, collected: Collected, given: str) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        assert (await served.api.post("{ __typename }", traceparent=given)).status_code == 200
    assert collected.one("query __typename").parent is None


async def test_what_a_client_does_not_sample_is_not_told(tmp_path: Path, collected: Collected) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        task = await new_task(served.api)
        document = "mutation ($input: CreateRunInput!) { createRun(input: $input) { run { id } } }"
        variables = {"input": {"taskId": task["id"], "autoApprove": True}}
        answer = await served.api.post(document, variables, traceparent=traceparent(sampled=False))
        await served.api.life(answer.json()["data"]["createRun"]["run"]["id"])
    assert {span.name for span in collected.spans} == {"mutation createTask", "subscription runEvents"}


async def test_the_standard_sampler_is_obeyed(
    tmp_path: Path, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    async with serving(tmp_path, traces="otlp") as served:
        assert (await ended(served.api))["status"] == "COMPLETED"
    assert collected.spans == []


async def test_fields_of_fragments_are_named_and_their_aliases_are_not(tmp_path: Path, collected: Collected) -> None:
    document = """
        query { ...Roots ... on Query { mine: runs(first: 1) { totalCount } } }
        fragment Roots on Query { a: tasks(first: 1) { totalCount } b: tasks(first: 1) { totalCount } }
    """
    async with serving(tmp_path, traces="otlp") as served:
        await served.api.ask(document)
    assert about(collected.one("query"))["mgx.graphql.fields"] == ("tasks", "runs")


async def test_a_subscription_is_one_span_whatever_happens_meanwhile(tmp_path: Path, collected: Collected) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        run = await ended(served.api)
        seen = await _life_in_trace(served.api, run["id"])
    followed = [span for span in collected.named("subscription runEvents") if span.parent is not None]
    assert len(followed) == 1
    assert len(seen) > 1
    assert f"{trace_of(followed[0]):032x}" == TRACE
    assert (outcome(followed[0]), wrote(followed[0])) == ("OK", [])


async def _life_in_trace(api: Api, run_id: str) -> list[Any]:
    """Follow a run to its end over a socket whose `connection_init` names a trace."""
    url = api.url.replace("http", "ws", 1)
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"traceparent": traceparent()}}))
        await socket.recv()
        payload = {"query": "subscription ($id: ID!) { runEvents(runId: $id) { type } }", "variables": {"id": run_id}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        messages = []
        while (message := json.loads(await socket.recv()))["type"] != "complete":
            messages.append(message)
        return messages


async def test_the_code_of_an_error_is_told(tmp_path: Path, collected: Collected) -> None:
    async with serving(tmp_path, traces="otlp") as served:
        error = await served.api.error("{ tasks(first: 1000) { totalCount } }")
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert outcome(collected.one("query tasks")) == "BAD_USER_INPUT"
