"""Traces by OpenTelemetry; imported only where they are asked for, since its library takes a tenth of a start."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

from domain.tracing import NO_TRACER, Tracer


@asynccontextmanager
async def open_tracer(traces: Literal["off", "otlp"], *, instance: str) -> AsyncGenerator[Tracer]:
    """Have a tracer while the block runs; what it was told by then is sent, as far as that is possible in short time.

    Args:
        traces: Where they go; `graph.settings` has seen to it that what is needed is installed.
        instance: Name of this process among others.
    """
    if traces == "off":
        yield NO_TRACER
        return
    from graph.tracing.otlp import open_otlp  # noqa: PLC0415  # see above

    async with open_otlp(instance) as tracer:
        yield tracer
