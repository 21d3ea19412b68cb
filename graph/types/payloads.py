"""What mutations answer: what they changed, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import strawberry

from domain import model
from graph.types.metrics import Metric
from graph.types.runs import Run
from graph.types.tasks import Task
from graph.types.user_errors import UserError


@strawberry.type
class Payload:
    """Base of the payloads; one that was refused has errors and nothing else."""

    user_errors: list[UserError] = strawberry.field(
        description="Why the mutation was refused; empty when it was done.", default_factory=list
    )

    @classmethod
    def from_domain(cls, record: Any) -> Self:
        """Answer with what the use case returned."""
        raise NotImplementedError

    @classmethod
    def refused(cls, error: UserError) -> Self:
        """Answer with the reason why nothing was done."""
        return cls(user_errors=[error])


@strawberry.type(description="What became of a mutation of a task.")
class TaskPayload(Payload):
    """What became of a mutation of a task."""

    task: Task | None = strawberry.field(description="The task as it is now; null when refused.", default=None)

    @classmethod
    def from_domain(cls, record: model.Task) -> Self:
        """Answer with a task."""
        return cls(task=Task.from_domain(record))


@strawberry.type(description="What became of a mutation of a run.")
class RunPayload(Payload):
    """What became of a mutation of a run."""

    run: Run | None = strawberry.field(description="The run as it is now; null when refused.", default=None)

    @classmethod
    def from_domain(cls, record: model.Run) -> Self:
        """Answer with a run."""
        return cls(run=Run.from_domain(record))


@strawberry.type(description="What became of a mutation of samples.")
class MetricsPayload(Payload):
    """What became of a mutation of samples."""

    metrics: list[Metric] = strawberry.field(
        description="The samples in the order of the input; empty when refused.", default_factory=list
    )

    @classmethod
    def from_domain(cls, record: Sequence[model.Metric]) -> Self:
        """Answer with samples."""
        return cls(metrics=[Metric.from_domain(metric) for metric in record])


@strawberry.type(description="What became of a deletion.")
class DeletePayload(Payload):
    """What became of a deletion."""

    deleted_id: strawberry.ID | None = strawberry.field(description="What is gone; null when refused.", default=None)

    @classmethod
    def from_domain(cls, record: str) -> Self:
        """Answer with the id of what is gone."""
        return cls(deleted_id=strawberry.ID(record))
