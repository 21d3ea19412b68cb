"""Samples, and what many of them say together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self, TypeAlias

import strawberry

from domain import model
from domain.errors import InvalidArgumentError
from domain.model import MetricType
from graph.domain_errors import translated
from graph.types.connections import CURSOR, EDGES, NODES, CountedConnection
from graph.types.fields import attribute, edges_of, nodes_of
from graph.types.filters import DateTimeRange, MetricFilter
from graph.types.node import Node
from graph.types.scalars import JSON

DEFAULT_POINTS: Final = 500
MIN_POINTS: Final = 2
MAX_POINTS: Final = 5000

MaxPoints: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description=f"How many buckets at most, {MIN_POINTS}..{MAX_POINTS}."),
]
Over: TypeAlias = Annotated[
    DateTimeRange | None,
    strawberry.argument(name="range", description="Over this time; left out, from the first sample to the last."),
]
Which: TypeAlias = Annotated[MetricFilter | None, strawberry.argument(name="filter", description="Which samples.")]
Name: TypeAlias = Annotated[str, strawberry.argument(description="Name of the metric.")]
Names: TypeAlias = Annotated[list[str] | None, strawberry.argument(description="Only these; left out, all.")]


@strawberry.type(description="One sample, of a task or of one of its runs.")
class Metric(Node, shows=model.Metric):
    """One sample."""

    record: strawberry.Private[model.Metric]
    task_id: strawberry.ID = attribute("The task.")
    run_id: strawberry.ID | None = attribute("The run; null for a sample of the task alone.")
    name: str = attribute("What is measured.")
    type: MetricType = attribute("What the value measures.")
    value: float = attribute("The measured value.")
    unit: str | None = attribute("Such as ms.")
    labels: JSON = attribute("An object of strings.", show=dict)
    timestamp: datetime = attribute("When it was measured.")

    @classmethod
    def from_domain(cls, record: model.Metric) -> Self:
        """Show a sample."""
        return cls(record=record)


@strawberry.type(description="A sample and its place in the list.")
class MetricEdge:
    """A sample and its place in the list."""

    cursor: str = strawberry.field(description=CURSOR)
    node: Metric = strawberry.field(description="The sample.")


@strawberry.type(description="A page of samples, oldest first.")
class MetricConnection(CountedConnection):
    """A page of samples."""

    edges: list[MetricEdge] = edges_of(EDGES, MetricEdge, Metric.from_domain)
    nodes: list[Metric] = nodes_of(NODES, Metric.from_domain)


@strawberry.type(description="All samples of one metric's name, in numbers.")
class MetricSummary:
    """All samples of one metric's name."""

    record: strawberry.Private[model.MetricSummary]
    name: str = attribute("What is measured.")
    unit: str | None = attribute("Of the last sample.")
    count: int = attribute("How many samples.")
    min: float = attribute("The lowest value.")
    max: float = attribute("The highest value.")
    avg: float = attribute("The average.")
    last: float = attribute("The value measured last.")
    last_at: datetime = attribute("When it was measured.")

    @classmethod
    def from_domain(cls, record: model.MetricSummary) -> Self:
        """Show a summary."""
        return cls(record=record)


@strawberry.type(description="The average of a bucket of samples; all buckets of a series are equally wide.")
class MetricPoint:
    """The average of a bucket of samples."""

    record: strawberry.Private[model.MetricPoint]
    timestamp: datetime = attribute("The bucket's start.")
    value: float = attribute("The average.")

    @classmethod
    def from_domain(cls, record: model.MetricPoint) -> Self:
        """Show a point."""
        return cls(record=record)


def summaries(records: Sequence[model.MetricSummary]) -> list[MetricSummary]:
    """Show summaries."""
    return [MetricSummary.from_domain(record) for record in records]


def points(records: Sequence[model.MetricPoint]) -> list[MetricPoint]:
    """Show a series."""
    return [MetricPoint.from_domain(record) for record in records]


def point_limit(max_points: int | None) -> int:
    """Return how many buckets are wanted.

    Raises:
        graph.errors.RequestError: BAD_USER_INPUT when it is out of range.
    """
    limit = DEFAULT_POINTS if max_points is None else max_points
    with translated():
        if not MIN_POINTS <= limit <= MAX_POINTS:
            raise InvalidArgumentError(f"maxPoints must be between {MIN_POINTS} and {MAX_POINTS}.")
    return limit
