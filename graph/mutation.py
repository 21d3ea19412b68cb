"""What can be done. A refusal that a client can expect is in the payload's `userErrors`."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Final, Protocol, TypeVar

import strawberry

from domain.errors import UserFacingError
from graph.context import Info
from graph.domain_errors import translated
from graph.types.connections import given
from graph.types.inputs import (
    ApproveRunInput,
    CancelRunInput,
    CreateMetricsInput,
    CreateRunInput,
    CreateTaskInput,
    RequestPlanChangesInput,
    RetryRunInput,
    UpdateMetricInput,
    UpdateRunInput,
    UpdateTaskInput,
)
from graph.types.payloads import DeletePayload, MetricsPayload, Payload, RunPayload, TaskPayload
from graph.types.user_errors import UserError

R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
P_co = TypeVar("P_co", bound=Payload, covariant=True)

_INPUT: Final = ("input",)


class _Shows(Protocol[R_contra, P_co]):
    """A payload's type, by what it shows; so the type checker knows which use case it fits."""

    def from_domain(self, record: R_contra) -> P_co: ...

    def refused(self, error: UserError) -> P_co: ...


async def _answer(info: Info, payload: _Shows[R, P_co], call: Awaitable[R], within: tuple[str, ...] = _INPUT) -> P_co:
    """Await a use case and answer with what it returned, or with why it refused.

    What is read below the payload is read anew: nothing that was read before the change may be served after it.
    """
    try:
        with translated():
            record = await call
    except UserFacingError as error:
        return payload.refused(UserError.from_domain(error, within))
    finally:
        info.context.refresh()
    return payload.from_domain(record)


async def _alone(call: Awaitable[R]) -> list[R]:
    """Await a use case of one thing for a payload of many."""
    return [await call]


async def create_task(
    info: Info, new: Annotated[CreateTaskInput, strawberry.argument(name="input", description="The task.")]
) -> TaskPayload:
    """Create a task."""
    context = info.context
    return await _answer(info, TaskPayload, context.services.tasks.create(context.principal, new.to_domain()))


async def update_task(
    info: Info, changes: Annotated[UpdateTaskInput, strawberry.argument(name="input", description="The changes.")]
) -> TaskPayload:
    """Change a task."""
    context = info.context
    return await _answer(info, TaskPayload, context.services.tasks.update(context.principal, changes.to_domain()))


async def delete_task(
    info: Info,
    task_id: Annotated[strawberry.ID, strawberry.argument(description="The task.")],
    force: Annotated[bool, strawberry.argument(description="Whether active runs are cancelled first.")] = False,
) -> DeletePayload:
    """Delete a task with everything of it."""
    context = info.context
    call = context.services.tasks.delete(context.principal, task_id, force=force)
    return await _answer(info, DeletePayload, call, ())


async def create_run(
    info: Info, new: Annotated[CreateRunInput, strawberry.argument(name="input", description="The run.")]
) -> RunPayload:
    """Create a run."""
    context = info.context
    return await _answer(info, RunPayload, context.services.runs.create(context.principal, new.to_domain()))


async def update_run(
    info: Info, changes: Annotated[UpdateRunInput, strawberry.argument(name="input", description="The changes.")]
) -> RunPayload:
    """Change a run's labels."""
    context = info.context
    call = context.services.runs.set_labels(context.principal, changes.run_id, changes.new_labels)
    return await _answer(info, RunPayload, call)


async def delete_run(
    info: Info, run_id: Annotated[strawberry.ID, strawberry.argument(description="A run that is final.")]
) -> DeletePayload:
    """Delete a run with its events."""
    context = info.context
    return await _answer(info, DeletePayload, context.services.runs.delete(context.principal, run_id), ())


async def approve_run(
    info: Info, decision: Annotated[ApproveRunInput, strawberry.argument(name="input", description="The decision.")]
) -> RunPayload:
    """Approve or reject a plan."""
    context = info.context
    call = context.services.runs.review(
        context.principal,
        decision.run_id,
        approved=decision.approved,
        feedback=given(decision.feedback),
        plan_version=given(decision.plan_version),
        idempotency_key=given(decision.idempotency_key),
    )
    return await _answer(info, RunPayload, call)


async def request_plan_changes(
    info: Info,
    request: Annotated[RequestPlanChangesInput, strawberry.argument(name="input", description="The feedback.")],
) -> RunPayload:
    """Send a plan back."""
    context = info.context
    call = context.services.runs.request_changes(
        context.principal,
        request.run_id,
        feedback=request.feedback,
        plan_version=given(request.plan_version),
        idempotency_key=given(request.idempotency_key),
    )
    return await _answer(info, RunPayload, call)


async def cancel_run(
    info: Info, request: Annotated[CancelRunInput, strawberry.argument(name="input", description="The run.")]
) -> RunPayload:
    """End a run."""
    context = info.context
    call = context.services.runs.cancel(context.principal, request.run_id, reason=given(request.reason))
    return await _answer(info, RunPayload, call)


async def retry_run(
    info: Info, request: Annotated[RetryRunInput, strawberry.argument(name="input", description="The run.")]
) -> RunPayload:
    """Make a new run of one that did not complete."""
    context = info.context
    call = context.services.runs.retry(
        context.principal,
        request.run_id,
        from_step=given(request.from_step),
        idempotency_key=given(request.idempotency_key),
    )
    return await _answer(info, RunPayload, call)


async def create_metrics(
    info: Info, new: Annotated[CreateMetricsInput, strawberry.argument(name="input", description="The samples.")]
) -> MetricsPayload:
    """Record samples."""
    context = info.context
    return await _answer(info, MetricsPayload, context.services.metrics.create(context.principal, new.to_domain()))


async def update_metric(
    info: Info, changes: Annotated[UpdateMetricInput, strawberry.argument(name="input", description="The changes.")]
) -> MetricsPayload:
    """Change a sample."""
    context = info.context
    call = context.services.metrics.update(context.principal, changes.to_domain())
    return await _answer(info, MetricsPayload, _alone(call))


async def delete_metric(
    info: Info, metric_id: Annotated[strawberry.ID, strawberry.argument(description="The sample.")]
) -> DeletePayload:
    """Delete a sample."""
    context = info.context
    return await _answer(info, DeletePayload, context.services.metrics.delete(context.principal, metric_id), ())


@strawberry.type(
    description=(
        "What can be done. A mutation answers with what it changed, or with userErrors that say why nothing was done. "
        "What is acknowledged is stored and survives a crash."
    )
)
class Mutation:
    """The root of mutations."""

    create_task: TaskPayload = strawberry.mutation(resolver=create_task, description="Creates a task, ready to be run.")
    update_task: TaskPayload = strawberry.mutation(
        resolver=update_task, description="Changes a task; runs that exist keep the rules they were created with."
    )
    delete_task: DeletePayload = strawberry.mutation(
        resolver=delete_task,
        description="Refused while a run is active, unless force: then its runs are cancelled first.",
    )
    create_run: RunPayload = strawberry.mutation(
        resolver=create_run, description="Stores the run and starts it in the background."
    )
    update_run: RunPayload = strawberry.mutation(resolver=update_run, description="Replaces a run's labels.")
    delete_run: DeletePayload = strawberry.mutation(
        resolver=delete_run, description="Removes a final run with its events, logs, metrics and artifacts."
    )
    approve_run: RunPayload = strawberry.mutation(
        resolver=approve_run,
        description=(
            "Approves or rejects a run's plan. The same decision again by the same actor is a success that changes "
            "nothing."
        ),
    )
    request_plan_changes: RunPayload = strawberry.mutation(
        resolver=request_plan_changes,
        description=(
            "Sends the plan back with feedback; the team answers with the next version, at most maxRevisionRounds "
            "times."
        ),
    )
    cancel_run: RunPayload = strawberry.mutation(
        resolver=cancel_run,
        description="Ends a run: at once when nothing works on it, else when its work has stopped.",
    )
    retry_run: RunPayload = strawberry.mutation(
        resolver=retry_run, description="Makes a new run with the same config, labels, priority and autoApprove."
    )
    create_metrics: MetricsPayload = strawberry.mutation(resolver=create_metrics, description="Records samples.")
    update_metric: MetricsPayload = strawberry.mutation(resolver=update_metric, description="Changes a sample.")
    delete_metric: DeletePayload = strawberry.mutation(resolver=delete_metric, description="Removes a sample.")
