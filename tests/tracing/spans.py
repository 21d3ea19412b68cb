"""Spans as tests look at them: by name, and by what they hang on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graph.tracing.spans import OtelTracer


@dataclass(frozen=True)
class Collected:
    """What the exporters of one or more processes were told, in the order in which spans ended."""

    exporters: list[InMemorySpanExporter] = field(default_factory=list)

    def exporter(self) -> InMemorySpanExporter:
        """Make the exporter of one more process."""
        self.exporters.append(InMemorySpanExporter())
        return self.exporters[-1]

    def tracer(self) -> OtelTracer:
        """Make the tracer of one more process, which exports each span as it ends."""
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter()))
        return OtelTracer(provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        return [span for exporter in self.exporters for span in exporter.get_finished_spans()]

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def step(self, key: str) -> ReadableSpan:
        (span,) = (span for span in self.named("run.step") if about(span)["mgx.step.key"] == key)
        return span


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def outcome(span: ReadableSpan) -> Any:
    return about(span)["mgx.outcome"]


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.trace_id)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def linked(span: ReadableSpan) -> list[int]:
    return [link.context.span_id for link in span.links]


def wrote(span: ReadableSpan) -> list[str]:
    return [event.name for event in span.events]


def sequences(spans: Sequence[ReadableSpan]) -> list[Any]:
    return sorted((event.attributes or {})["mgx.event.sequence"] for span in spans for event in span.events)
