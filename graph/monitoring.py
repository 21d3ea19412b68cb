"""What Prometheus is told: the numbers that the parts of this process keep, and a count of the runs.

Labels take few values, all of them ours: nothing that a client sends becomes one.
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, TypeVar, get_args

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from domain.crew import Crew
from domain.durations import BOUNDS, Durations
from domain.errors import StoreError
from domain.feed import Feed
from domain.model import ENGINE, RunStatus
from domain.ports import Bell, BellState, Clock
from domain.store import RunCensus
from domain.timed_store import TimedStore
from graph.execution.documents import Documents, Outcome, Source
from graph.transport.shared import Transport

Key = TypeVar("Key", bound=tuple[str, ...])

CENSUS_SECONDS: Final = 1.0
"""How long a count of the runs is good: however many ask, the database is asked once a second at most."""

_BUCKETS: Final = (*map(str, BOUNDS), "+Inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """The parts of the application that keep numbers."""

    store: TimedStore
    feed: Feed
    bell: Bell
    crew: Crew
    transport: Transport
    clock: Clock


class Monitoring:
    """Answers Prometheus.

    Args:
        parts: Where the numbers come from.
    """

    def __init__(self, parts: Monitored) -> None:
        self._parts = parts
        self._process = ProcessCollector(registry=None)
        self._counting = asyncio.Lock()
        self._counted: RunCensus | None = None
        self._counted_until = 0.0

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all numbers as they are now, and their media type.

        Args:
            accept: Of the request; OpenMetrics is written for those who ask for it.
        """
        census = await self._census()
        encode, media_type = choose_encoder(accept)
        families = [
            *_runs(self._parts, census),
            *_feed(self._parts),
            *_operations(self._parts.transport),
            *_documents(self._parts.transport.engine.documents),
            *_writes(self._parts.store),
            _info(),
            *self._process.collect(),
        ]
        return encode(_Collected(families)), media_type

    async def _census(self) -> RunCensus | None:
        """Return the latest count of the runs, None when the store can't be read."""
        async with self._counting:
            if time.monotonic() >= self._counted_until:
                try:
                    async with self._parts.store.read(ENGINE) as tx:
                        self._counted = await tx.runs.census(self._parts.clock.now())
                except StoreError:
                    self._counted = None
                self._counted_until = time.monotonic() + CENSUS_SECONDS
            return self._counted


class _Collected(Collector):
    """Families as the encoders want them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


def _runs(parts: Monitored, census: RunCensus | None) -> Iterator[Metric]:
    yield _gauge("mgx_store_readable", "Whether the database could be read: 1, or 0.", census is not None)
    if census is not None:
        runs = GaugeMetricFamily("mgx_runs", "Runs in each state, in the whole database.", labels=["status"])
        for status in RunStatus:
            runs.add_metric([status], census.by_status.get(status, 0))
        yield runs
        since, now = census.waiting_since, parts.clock.now()
        age = max((now - since).total_seconds(), 0.0) if since else 0.0
        yield _gauge("mgx_runs_waiting", "Runs that wait for a worker, in the whole database.", census.waiting)
        yield _gauge("mgx_run_wait_seconds", "Age of the newest event of the run that has waited longest.", age)
    yield _gauge("mgx_runs_active", "Runs that are worked on here.", parts.crew.active)
    yield _gauge("mgx_slots", "Runs that can be worked on here at once.", parts.crew.slots)


def _feed(parts: Monitored) -> Iterator[Metric]:
    feed, bell = parts.feed.statistics(), parts.bell.status
    yield _gauge("mgx_subscribers", "Subscriptions that are followed here.", feed.subscribers)
    yield _gauge("mgx_subscribers_catching_up", "Those of them that read the log now.", feed.catching_up)
    yield _counter("mgx_events_delivered", "Events handed to subscribers.", feed.delivered)
    yield _gauge("mgx_event_lag_seconds", "From the newest event's time to its publication here.", feed.lag_ms / 1000)
    yield _gauge(
        "mgx_bell_connected",
        "Whether news of other processes come at once: 1, or 0.",
        bell.state is BellState.CONNECTED,
    )
    yield _counter("mgx_bell_rebuilds", "How often the bell came back.", bell.rebuilds)
    connections = GaugeMetricFamily("mgx_connections", "Connections that stay open.", labels=["transport"])
    by_transport = parts.transport.connections.by_transport
    connections.add_metric(["websocket"], by_transport.get("websocket", 0))
    connections.add_metric(["sse"], by_transport.get("sse", 0))
    yield connections


def _operations(transport: Transport) -> Iterator[Metric]:
    labels = ["transport", "type"]
    outcomes = CounterMetricFamily(
        "mgx_operations", "Operations that came to an end, by outcome.", labels=[*labels, "outcome"]
    )
    for key, count in transport.tally.outcomes.items():
        outcomes.add_metric(key, count)
    yield outcomes
    yield _histogram("mgx_operation_duration_seconds", "Queries and mutations.", labels, transport.tally.durations)
    engine = transport.engine
    yield _histogram(
        "mgx_event_duration_seconds", "Executing a subscription for one event.", [], {(): engine.event_durations}
    )


def _documents(documents: Documents) -> Iterator[Metric]:
    lookups = CounterMetricFamily(
        "mgx_documents", "Documents that were asked for, by whether they were known.", labels=["source", "cache"]
    )
    for source in get_args(Source):
        for outcome in get_args(Outcome):
            lookups.add_metric([source, outcome], documents.lookups[source, outcome])
    yield lookups
    yield _counter("mgx_document_evictions", "Documents given up for more recent ones.", documents.evictions)
    kept = {"recent": documents.recent, "trusted": documents.trusted}
    counts = GaugeMetricFamily("mgx_cached_documents", "Documents that are kept ready.", labels=["kind"])
    sizes = GaugeMetricFamily("mgx_cached_document_bytes", "Their texts together.", labels=["kind"])
    for kind, each in kept.items():
        counts.add_metric([kind], each.documents)
        sizes.add_metric([kind], each.text_bytes)
    yield counts
    yield sizes


def _writes(store: TimedStore) -> Iterator[Metric]:
    yield _histogram("mgx_write_wait_seconds", "Waiting for the turn to write.", [], {(): store.waits})
    yield _histogram("mgx_write_duration_seconds", "Write transactions that were committed.", [], {(): store.writes})


def _info() -> Metric:
    info = GaugeMetricFamily("mgx_build_info", "What runs here; always 1.", labels=["version", "python"])
    info.add_metric([version("mgx-graph"), platform.python_version()], 1)
    return info


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value=value)


def _histogram(name: str, meaning: str, labels: Sequence[str], durations: Mapping[Key, Durations]) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=labels)
    for key, kept in durations.items():
        family.add_metric(key, list(zip(_BUCKETS, kept.cumulated, strict=True)), kept.seconds)
    return family
