"""What Prometheus reads at /metrics."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.errors import StoreError
from domain.model import Principal
from graph.own_operations import OWN_OPERATIONS
from tests.e2e.client import PATIENCE, Api, RefusedError
from tests.e2e.server import serving
from tests.e2e.work import awaiting, ended, new_run, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def scrape(api: Api) -> dict[str, float]:
    """Return every sample, such as {'mgx_runs{status=PENDING}': 0.0}."""
    answer = await api.http.get(f"{api.base}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def until(api: Api, reached: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """Scrape until the samples are as wanted, and return them."""
    async with asyncio.timeout(PATIENCE):
        while not reached(read := await scrape(api)):
            pass
    return read


def operations(type_: str, outcome: str, transport: str = "http") -> str:
    return f"mgx_operations_total{{outcome={outcome}}}{{transport={transport}}}{{type={type_}}}"


async def test_operations_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        api = served.api
        await api.ask("{ teams { name } }")
        await api.ask("{ teams { name } }")
        await api.error("{ teams { nobody } }")
        await api.error('{ teams { name } tasks(after: "?") { totalCount } }')
        run = await ended(api)
        await api.life(run["id"], sse=True)
        waiting = await new_run(api, config={"planSeconds": 3600})
        async with api.following("runEvents", waiting["id"]) as events:
            await anext(events)
        with pytest.raises(RefusedError):
            await api.life("run_01kaq3m8v2t6x9c4n7p1w5r002")
        read = await scrape(api)
        assert read[operations("query", "BAD_USER_INPUT")] == 1
        assert read[operations("unknown", "GRAPHQL_VALIDATION_FAILED")] == 1
        assert read[operations("mutation", "OK")] == 4
        assert read[operations("subscription", "OK", "sse")] == 1
        assert read[operations("subscription", "OK", "websocket")] == 1
        assert read[operations("subscription", "NOT_FOUND", "websocket")] == 1
        await until(api, lambda read: read.get(operations("subscription", "LEFT", "websocket")) == 1)
        assert read["mgx_operation_duration_seconds_count{transport=http}{type=mutation}"] == 4
        assert read["mgx_operation_duration_seconds_bucket{le=+Inf}{transport=http}{type=mutation}"] == 4
        assert not [name for name in read if "duration" in name and "{type=subscription}" in name]
        assert read["mgx_event_duration_seconds_count"] >= read[operations("subscription", "OK", "sse")]
        assert read["mgx_write_duration_seconds_count"] > 2
        assert read["mgx_write_wait_seconds_count"] >= read["mgx_write_duration_seconds_count"]


async def test_runs_are_counted_where_they_are_and_the_queue_with_its_age(tmp_path: Path) -> None:
    async with serving(tmp_path, max_concurrent_runs=1) as served:
        api = served.api
        await awaiting(api)
        await running(api)
        before = await scrape(api)
        assert (before["mgx_runs_active"], before["mgx_slots"]) == (1, 1)
        await new_run(api)
        read = await until(api, lambda read: read["mgx_runs_waiting"] == 1)
        assert read["mgx_run_wait_seconds"] > 0
        counts = {
            status: read[f"mgx_runs{{status={status}}}"] for status in ("AWAITING_APPROVAL", "RUNNING", "PENDING")
        }
        assert counts == {"AWAITING_APPROVAL": 1, "RUNNING": 1, "PENDING": 1}
        assert read["mgx_runs{status=COMPLETED}"] == 0


async def test_connections_are_counted_by_transport(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        api = served.api
        async with api.following("allEvents") as _, api.following("allEvents", sse=True) as _:
            read = await until(api, lambda read: read["mgx_subscribers"] == 2)
            assert read["mgx_connections{transport=websocket}"] == 1
            assert read["mgx_connections{transport=sse}"] == 1
        assert (read["mgx_bell_connected"], read["mgx_bell_rebuilds_total"]) == (1, 0)


async def test_documents_are_counted_by_what_came_of_them(tmp_path: Path) -> None:
    text = "query Teams { teams { name } }"
    identifier = hashlib.sha256(text.encode()).hexdigest()
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({identifier: text}))
    async with serving(tmp_path, trusted_documents=manifest) as served:
        api = served.api
        before = await scrape(api)
        own = before["mgx_cached_documents{kind=trusted}"] - 1
        assert own == len(OWN_OPERATIONS)
        assert before["mgx_cached_document_bytes{kind=trusted}"] == len(text) + sum(map(len, OWN_OPERATIONS))
        assert before["mgx_cached_documents{kind=recent}"] == 0
        for _ in range(3):
            await api.ask("{ teams { name } }")
        await api.ask(text)
        for document_id, times in ((identifier, 5), ("0" * 64, 2)):
            for _ in range(times):
                await api.http.post(api.url, json={"documentId": f"sha256:{document_id}"})
        read = await scrape(api)
        counts = {
            (source, cache): read[f"mgx_documents_total{{cache={cache}}}{{source={source}}}"]
            for source in ("text", "id")
            for cache in ("hit", "miss")
        }
        assert counts == {("text", "miss"): 1, ("text", "hit"): 3, ("id", "hit"): 5, ("id", "miss"): 2}
        assert read["mgx_cached_documents{kind=recent}"] == 1
        assert read["mgx_cached_document_bytes{kind=recent}"] == len("{ teams { name } }")
        assert read["mgx_document_evictions_total"] == 0


async def test_a_database_that_can_not_be_read_hides_only_what_it_would_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Principal, /) -> Any:
        raise StoreError("The database is damaged.")

    async with serving(tmp_path) as served:
        monkeypatch.setattr(served.application.backend.store, "read", refuse)
        read = await scrape(served.api)
        assert read["mgx_store_readable"] == 0
        assert "mgx_runs_waiting" not in read
        assert read["mgx_slots"] == 8


async def test_who_asks_for_open_metrics_gets_them(api: Api) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    answer = await api.http.get(f"{api.base}/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    async with serving(tmp_path, metrics=False) as served:
        assert (await served.api.http.get(f"{served.api.base}/metrics")).status_code == 404
