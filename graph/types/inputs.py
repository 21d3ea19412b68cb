"""What mutations are given, turned into what use cases take.

Left out and null are told apart where the domain does. A field that is left out keeps the default of the domain's
record, so that a default is written once for clients, in the schema, and once for everybody else.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import strawberry

from domain.model import ApprovalTimeoutPolicy, ConcurrencyPolicy, MetricType
from domain.services import inputs
from graph.types.scalars import JSON

_KEY: Final = (
    "1..64 characters, kept 24 h: the same key and input give the first result again, and nothing happens twice."
)
_PLAN_VERSION: Final = (
    "The version that the reviewer saw: when it is not the current one, the answer is a ConflictError. "
    "Left out, the current plan is meant."
)


def _given(source: object) -> dict[str, Any]:
    """Return an input's fields by their Python names, without those that were left out."""
    values = {field.name: getattr(source, field.name) for field in fields(source)}  # type: ignore[arg-type]
    return {name: value for name, value in values.items() if value is not strawberry.UNSET}


@strawberry.input(description="A task to create.")
class CreateTaskInput:
    """A task to create."""

    name: str = strawberry.field(description="1..255 characters after trimming.")
    description: str = strawberry.field(description="Up to 20,000 characters.", default="")
    team: str | None = strawberry.field(
        description="One of the names in `teams`; left out, the operator's default.", default=strawberry.UNSET
    )
    config: JSON | None = strawberry.field(
        description="The team's own settings, an object of up to 64 KiB; left out, the operator's default.",
        default=strawberry.UNSET,
    )
    labels: list[str] = strawberry.field(description="At most 50, each of 1..64 characters.", default_factory=list)
    max_rounds: int = strawberry.field(description="Rounds that a team may work, 1..100.", default=5)
    max_revision_rounds: int = strawberry.field(
        description="How often feedback may send a plan back, 0..50.", default=2
    )
    memory_size: int = strawberry.field(description="Messages that a team keeps in memory, 1..1000.", default=50)
    approval_timeout: int | None = strawberry.field(
        description="Seconds that a plan waits for a decision, 1..2592000; null waits for ever.", default=300
    )
    on_approval_timeout: ApprovalTimeoutPolicy = strawberry.field(
        description="What happens when nobody decides in time.", default=ApprovalTimeoutPolicy.REJECT
    )
    concurrency: ConcurrencyPolicy = strawberry.field(
        description="What happens when a run is created while another is active.", default=ConcurrencyPolicy.ALLOW
    )
    idempotency_key: str | None = strawberry.field(description=_KEY, default=strawberry.UNSET)

    def to_domain(self) -> inputs.NewTask:
        """Return the use case's input."""
        return inputs.NewTask(**_given(self))


@strawberry.input(
    description=(
        "Changes to a task; a field that is left out is unchanged. null is refused for all but approvalTimeout, "
        "where it means for ever."
    )
)
class UpdateTaskInput:
    """Changes to a task."""

    task_id: strawberry.ID = strawberry.field(description="The task.")
    name: str | None = strawberry.field(description="1..255 characters after trimming.", default=strawberry.UNSET)
    description: str | None = strawberry.field(description="Up to 20,000 characters.", default=strawberry.UNSET)
    team: str | None = strawberry.field(description="One of the names in `teams`.", default=strawberry.UNSET)
    config: JSON | None = strawberry.field(
        description="The team's own settings, an object of up to 64 KiB.", default=strawberry.UNSET
    )
    labels: list[str] | None = strawberry.field(
        description="At most 50, each of 1..64 characters.", default=strawberry.UNSET
    )
    max_rounds: int | None = strawberry.field(
        description="Rounds that a team may work, 1..100.", default=strawberry.UNSET
    )
    max_revision_rounds: int | None = strawberry.field(
        description="How often feedback may send a plan back, 0..50.", default=strawberry.UNSET
    )
    memory_size: int | None = strawberry.field(
        description="Messages that a team keeps in memory, 1..1000.", default=strawberry.UNSET
    )
    approval_timeout: int | None = strawberry.field(
        description="Seconds that a plan waits for a decision, 1..2592000; null waits for ever.",
        default=strawberry.UNSET,
    )
    on_approval_timeout: ApprovalTimeoutPolicy | None = strawberry.field(
        description="What happens when nobody decides in time.", default=strawberry.UNSET
    )
    concurrency: ConcurrencyPolicy | None = strawberry.field(
        description="What happens when a run is created while another is active.", default=strawberry.UNSET
    )
    expected_version: int | None = strawberry.field(
        description="The version that was read: when it is not the current one, the answer is a ConflictError.",
        default=strawberry.UNSET,
    )

    def to_domain(self) -> inputs.TaskChanges:
        """Return the use case's input."""
        return inputs.TaskChanges(**_given(self))


@strawberry.input(description="A run to create.")
class CreateRunInput:
    """A run to create."""

    task_id: strawberry.ID = strawberry.field(description="The task to run.")
    config: JSON | None = strawberry.field(
        description="Goes on top of the task's config, key by key at the top level.", default=strawberry.UNSET
    )
    labels: list[str] = strawberry.field(description="At most 50, each of 1..64 characters.", default_factory=list)
    auto_approve: bool = strawberry.field(description="Whether the plan is executed without a decision.", default=False)
    priority: int = strawberry.field(
        description="Among runs that wait for a worker the higher goes first; -100..100.", default=0
    )
    idempotency_key: str | None = strawberry.field(description=_KEY, default=strawberry.UNSET)

    def to_domain(self) -> inputs.NewRun:
        """Return the use case's input."""
        return inputs.NewRun(**_given(self))


@strawberry.input(description="Changes to a run: labels only, since its status follows from what happens to it.")
class UpdateRunInput:
    """Changes to a run."""

    run_id: strawberry.ID = strawberry.field(description="The run.")
    labels: list[str] | None = strawberry.field(
        description="At most 50, each of 1..64 characters; left out, they are unchanged.", default=strawberry.UNSET
    )

    @property
    def new_labels(self) -> inputs.Change[list[str]]:
        """The labels as a change."""
        return inputs.UNSET if self.labels is strawberry.UNSET else self.labels


@strawberry.input(description="A decision on a run's plan.")
class ApproveRunInput:
    """A decision on a run's plan."""

    run_id: strawberry.ID = strawberry.field(description="The run.")
    approved: bool = strawberry.field(description="true executes the plan, false rejects it for good.", default=True)
    feedback: str | None = strawberry.field(
        description="Why, in up to 10,000 characters; kept with the decision.", default=strawberry.UNSET
    )
    plan_version: int | None = strawberry.field(description=_PLAN_VERSION, default=strawberry.UNSET)
    idempotency_key: str | None = strawberry.field(description=_KEY, default=strawberry.UNSET)


@strawberry.input(description="Feedback that sends a run's plan back to its team.")
class RequestPlanChangesInput:
    """Feedback that sends a run's plan back."""

    run_id: strawberry.ID = strawberry.field(description="The run.")
    feedback: str = strawberry.field(description="What shall be different, in 1..10,000 characters.")
    plan_version: int | None = strawberry.field(description=_PLAN_VERSION, default=strawberry.UNSET)
    idempotency_key: str | None = strawberry.field(description=_KEY, default=strawberry.UNSET)


@strawberry.input(description="A run to cancel.")
class CancelRunInput:
    """A run to cancel."""

    run_id: strawberry.ID = strawberry.field(description="The run.")
    reason: str | None = strawberry.field(
        description="Why, in up to 2,000 characters; kept with the event.", default=strawberry.UNSET
    )


@strawberry.input(description="A run to retry; a new run is made, this one stays as it is.")
class RetryRunInput:
    """A run to retry."""

    run_id: strawberry.ID = strawberry.field(description="A run that is FAILED, REJECTED, CANCELLED or TIMEOUT.")
    from_step: str | None = strawberry.field(
        description=(
            "Key of the step to begin with: the approved plan is taken over, and the steps before it are skipped with "
            "their outputs. Left out, the new run is planned and approved afresh."
        ),
        default=strawberry.UNSET,
    )
    idempotency_key: str | None = strawberry.field(description=_KEY, default=strawberry.UNSET)


@strawberry.input(description="A sample to record.")
class MetricInput:
    """A sample to record."""

    name: str = strawberry.field(description="1..128 characters.")
    type: MetricType = strawberry.field(description="What the value measures.", default=MetricType.GAUGE)
    value: float = strawberry.field(description="A finite number.")
    unit: str | None = strawberry.field(description="Up to 50 characters, such as ms.", default=strawberry.UNSET)
    labels: JSON | None = strawberry.field(
        description="An object with at most 20 keys, whose values are strings.", default=strawberry.UNSET
    )
    timestamp: datetime | None = strawberry.field(description="Left out, now.", default=strawberry.UNSET)

    def to_domain(self) -> inputs.NewMetric:
        """Return the use case's input."""
        return inputs.NewMetric(**_given(self))


@strawberry.input(description="Samples to record, of a task, or of one of its runs. One of taskId and runId is needed.")
class CreateMetricsInput:
    """Samples to record."""

    task_id: strawberry.ID | None = strawberry.field(description="The task.", default=strawberry.UNSET)
    run_id: strawberry.ID | None = strawberry.field(
        description="The run; with a taskId, one of that task.", default=strawberry.UNSET
    )
    metrics: list[MetricInput] = strawberry.field(description="1..1,000 samples.")
    idempotency_key: str | None = strawberry.field(description=_KEY, default=strawberry.UNSET)

    def to_domain(self) -> inputs.NewMetrics:
        """Return the use case's input."""
        return inputs.NewMetrics(**_given(self) | {"metrics": [metric.to_domain() for metric in self.metrics]})


@strawberry.input(description="Changes to a sample; a field that is left out is unchanged, and null is refused.")
class UpdateMetricInput:
    """Changes to a sample."""

    metric_id: strawberry.ID = strawberry.field(description="The sample.")
    value: float | None = strawberry.field(description="A finite number.", default=strawberry.UNSET)
    unit: str | None = strawberry.field(description="Up to 50 characters.", default=strawberry.UNSET)
    labels: JSON | None = strawberry.field(
        description="An object with at most 20 keys, whose values are strings.", default=strawberry.UNSET
    )

    def to_domain(self) -> inputs.MetricChanges:
        """Return the use case's input."""
        return inputs.MetricChanges(**_given(self))
