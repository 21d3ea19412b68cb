"""Which part of a list is wanted: ranges, filters and orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import strawberry

from domain import paging, store
from domain.model import MetricType, RunStatus, TaskStatus
from domain.paging import Direction, RunOrderField, TaskOrderField

T = TypeVar("T")


def any_of(values: Sequence[T] | None) -> tuple[T, ...] | None:
    """Return a list as a condition: None, or an argument that was left out, is none; an empty list matches nothing."""
    return None if values is None or values is strawberry.UNSET else tuple(values)


@strawberry.input(description="A half-open range of time: from <= t < to. A side that is left out is open.")
class DateTimeRange:
    """A half-open range of time."""

    from_: datetime | None = strawberry.field(name="from", description="The first moment.", default=strawberry.UNSET)
    to: datetime | None = strawberry.field(description="The first moment after.", default=strawberry.UNSET)

    def to_domain(self) -> paging.TimeRange:
        """Return the domain's range."""
        return paging.TimeRange(self.from_ or None, self.to or None)


def time_range(value: DateTimeRange | None) -> paging.TimeRange | None:
    """Return a range as a condition, None for one that was left out."""
    return value.to_domain() if value else None


@strawberry.input(description="Which tasks. Fields are ANDed; a list means any of, an empty one matches nothing.")
class TaskFilter:
    """Which tasks."""

    ids: list[strawberry.ID] | None = strawberry.field(description="With one of these ids.", default=strawberry.UNSET)
    status: list[TaskStatus] | None = strawberry.field(description="In one of these states.", default=strawberry.UNSET)
    labels: list[str] | None = strawberry.field(
        description="With at least one of these labels.", default=strawberry.UNSET
    )
    teams: list[str] | None = strawberry.field(description="Of one of these teams.", default=strawberry.UNSET)
    query: str | None = strawberry.field(
        description="Case-insensitive substring of the name.", default=strawberry.UNSET
    )
    created_at: DateTimeRange | None = strawberry.field(description="Created then.", default=strawberry.UNSET)

    def to_domain(self) -> store.TaskFilter:
        """Return the domain's filter."""
        return store.TaskFilter(
            ids=any_of(self.ids),
            status=any_of(self.status),
            labels=any_of(self.labels),
            teams=any_of(self.teams),
            query=self.query or None,
            created_at=time_range(self.created_at),
        )


@strawberry.input(description="How tasks are sorted; the id breaks ties.")
class TaskOrder:
    """How tasks are sorted."""

    field: TaskOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.DESC)

    def to_domain(self) -> paging.TaskOrder:
        """Return the domain's order."""
        return paging.TaskOrder(self.field, self.direction)


@strawberry.input(description="Which runs. Fields are ANDed; a list means any of, an empty one matches nothing.")
class RunFilter:
    """Which runs."""

    task_ids: list[strawberry.ID] | None = strawberry.field(
        description="Of one of these tasks.", default=strawberry.UNSET
    )
    status: list[RunStatus] | None = strawberry.field(description="In one of these statuses.", default=strawberry.UNSET)
    labels: list[str] | None = strawberry.field(
        description="With at least one of these labels.", default=strawberry.UNSET
    )
    created_at: DateTimeRange | None = strawberry.field(description="Created then.", default=strawberry.UNSET)
    needs_approval: bool | None = strawberry.field(
        description="true: those whose plan waits for a decision; false: all others.", default=strawberry.UNSET
    )

    def to_domain(self) -> store.RunFilter:
        """Return the domain's filter."""
        return store.RunFilter(
            task_ids=any_of(self.task_ids),
            status=any_of(self.status),
            labels=any_of(self.labels),
            created_at=time_range(self.created_at),
            needs_approval=None if self.needs_approval is strawberry.UNSET else self.needs_approval,
        )


@strawberry.input(description="How runs are sorted; runs without a value come last, the id breaks ties.")
class RunOrder:
    """How runs are sorted."""

    field: RunOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.DESC)

    def to_domain(self) -> paging.RunOrder:
        """Return the domain's order."""
        return paging.RunOrder(self.field, self.direction)


@strawberry.input(description="Which samples. Fields are ANDed; a list means any of, an empty one matches nothing.")
class MetricFilter:
    """Which samples."""

    task_ids: list[strawberry.ID] | None = strawberry.field(
        description="Of one of these tasks or their runs.", default=strawberry.UNSET
    )
    run_ids: list[strawberry.ID] | None = strawberry.field(
        description="Of one of these runs.", default=strawberry.UNSET
    )
    names: list[str] | None = strawberry.field(description="With one of these names.", default=strawberry.UNSET)
    types: list[MetricType] | None = strawberry.field(description="Of one of these types.", default=strawberry.UNSET)
    range: DateTimeRange | None = strawberry.field(description="Taken then.", default=strawberry.UNSET)

    def to_domain(self) -> store.MetricFilter:
        """Return the domain's filter."""
        return store.MetricFilter(
            task_ids=any_of(self.task_ids),
            run_ids=any_of(self.run_ids),
            names=any_of(self.names),
            types=any_of(self.types),
            range=time_range(self.range),
        )


def task_filter(value: TaskFilter | None) -> store.TaskFilter:
    """Return the domain's filter; one that was left out lets everything through."""
    return value.to_domain() if value else store.TaskFilter()


def run_filter(value: RunFilter | None) -> store.RunFilter:
    """Return the domain's filter; one that was left out lets everything through."""
    return value.to_domain() if value else store.RunFilter()


def metric_filter(value: MetricFilter | None) -> store.MetricFilter:
    """Return the domain's filter; one that was left out lets everything through."""
    return value.to_domain() if value else store.MetricFilter()


def task_order(value: TaskOrder | None) -> paging.TaskOrder:
    """Return the domain's order; newest first when it was left out."""
    return value.to_domain() if value else paging.TaskOrder()


def run_order(value: RunOrder | None) -> paging.RunOrder:
    """Return the domain's order; newest first when it was left out."""
    return value.to_domain() if value else paging.RunOrder()
