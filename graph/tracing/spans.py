"""`domain.tracing` by the OpenTelemetry SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Final

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.events import Event
from domain.tracing import Attribute, Span, SpanKind

_KINDS: Final = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CONSUMER: trace.SpanKind.CONSUMER,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}
_W3C: Final = TraceContextTextMapPropagator()


class OtelTracer:
    """Implements `domain.tracing.Tracer`.

    Args:
        provider: Samples spans and exports them.
    """

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("mgx")

    def start(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        links: Sequence[str] = (),
        attributes: Mapping[str, Attribute] = MappingProxyType({}),
    ) -> Span:
        """Begin a span."""
        return _OtelSpan(
            self._tracer.start_span(
                name,
                None if parent is None else _context(parent),
                _KINDS[kind],
                attributes,
                [trace.Link(trace.get_current_span(_context(link)).get_span_context()) for link in links],
            )
        )


class _OtelSpan:
    """Implements `domain.tracing.Span`."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """The span's name in the form of W3C; one that is not sampled has one, so that what follows is not either."""
        known = self._span.get_span_context()
        if not known.is_valid:
            return None
        ids = f"{trace.format_trace_id(known.trace_id)}-{trace.format_span_id(known.span_id)}"
        return f"00-{ids}-{known.trace_flags:02x}"

    def attached(self) -> AbstractContextManager[None]:
        """Make it OpenTelemetry's own current span."""
        return _attached(self._span)

    def set(self, **attributes: Attribute) -> None:
        """Set attributes."""
        self._span.set_attributes(attributes)

    def wrote(self, events: Sequence[Event], /) -> None:
        """Add an event for each, without its data."""
        if not self._span.is_recording():
            return
        for event in events:
            self._span.add_event(event.type.value, _of_event(event))

    def fail(self, reason: str, /) -> None:
        """Set the status."""
        self._span.set_status(trace.StatusCode.ERROR, reason)

    def end(self) -> None:
        """End the span."""
        self._span.end()


def _context(traceparent: str) -> context.Context:
    """Read a traceparent in an empty context: what is malformed begins a trace of its own."""
    return _W3C.extract({"traceparent": traceparent}, context.Context())


@contextmanager
def _attached(span: trace.Span) -> Iterator[None]:
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        context.detach(token)


def _of_event(event: Event) -> dict[str, str | int]:
    known = {
        "mgx.event.id": event.id,
        "mgx.event.pos": event.pos or None,
        "mgx.event.sequence": event.sequence,
        "mgx.run.id": event.run_id,
        "mgx.task.id": event.task_id,
    }
    return {name: value for name, value in known.items() if value is not None}
