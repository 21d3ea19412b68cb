"""Traces of whole servers, told to exporters in memory."""

from __future__ import annotations

import pytest

from graph.tracing import otlp
from tests.tracing.spans import Collected


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Collected:
    """Have servers with `traces="otlp"` tell their spans here; all of them are there once a server has ended."""
    spans = Collected()
    monkeypatch.setattr(otlp, "OTLPSpanExporter", spans.exporter)
    return spans
