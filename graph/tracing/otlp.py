"""Sends spans to a collector over OTLP, as the standard `OTEL_*` variables say; the SDK reads these itself.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from graph.tracing.spans import OtelTracer

_FLUSH_SECONDS: Final = 2.0
"""How long an end may wait for a collector."""


@asynccontextmanager
async def open_otlp(instance: str) -> AsyncGenerator[OtelTracer]:
    """Send while the block runs; teams that use OpenTelemetry themselves find the same provider."""
    provider = TracerProvider(resource=_resource(instance), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield OtelTracer(provider)
    finally:
        # Not asyncio's own threads: the end of the loop would wait for a collector that takes its time.
        flush = threading.Thread(target=provider.shutdown, daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, _FLUSH_SECONDS)


def _resource(instance: str) -> Resource:
    """Return who we are; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word."""
    ours = {
        "service.name": "mgx-graph",
        "service.version": version("mgx-graph"),
        "service.instance.id": instance,
    }
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())
