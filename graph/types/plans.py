"""Plans, decisions on them, and what executing them led to."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from domain import model
from domain.model import ChangeKind, DecisionKind, StepStatus
from graph.types.fields import attribute
from graph.types.scalars import JSON


@strawberry.type(description="One step: what will be done, and how far it is.")
class PlanStep:
    """One step of a plan."""

    record: strawberry.Private[model.PlanStep]
    key: str = attribute("Stable across versions.")
    title: str = attribute("What is done, in a few words.")
    detail: str = attribute("What exactly is done.")
    assignee: str | None = attribute("Who of the team does it.")
    status: StepStatus = attribute("Where it stands.")
    started_at: datetime | None = attribute("When it was started last.")
    completed_at: datetime | None = attribute("When it came to its end.")
    output: JSON | None = attribute("What it led to.")
    error: str | None = attribute("Why it failed.")

    @classmethod
    def from_domain(cls, record: model.PlanStep) -> Self:
        """Show a step."""
        return cls(record=record)


@strawberry.type(description="How one step differs from the version before, as texts to show.")
class PlanChange:
    """How one step differs from the version before."""

    record: strawberry.Private[model.PlanChange]
    kind: ChangeKind = attribute("In which way.")
    step_key: str = attribute("The step's key.")
    before: str | None = attribute("What the version before said; null for a step that is new.")
    after: str | None = attribute("What this version says; null for a step that is gone.")

    @classmethod
    def from_domain(cls, record: model.PlanChange) -> Self:
        """Show a change."""
        return cls(record=record)


@strawberry.type(
    description=(
        "A version of what a team wants to do. Its content is immutable: a change makes a new version, and only how "
        "far its steps are moves on."
    )
)
class Plan:
    """A version of a plan."""

    record: strawberry.Private[model.Plan]
    version: int = attribute("1, 2, 3 ... within the run.")
    digest: str = attribute("SHA-256 of the plan's canonical JSON: what a reviewer saw is what runs.")
    summary: str = attribute("What will be done, in a few sentences.")
    complexity: str | None = attribute("XS, S, M, L or XL, as the team judged it.")
    steps: list[PlanStep] = attribute(
        "In the order in which they are done.",
        show=lambda steps: [PlanStep.from_domain(step) for step in steps],
    )
    changes: list[PlanChange] = attribute(
        "What changed from the version before.",
        show=lambda changes: [PlanChange.from_domain(change) for change in changes],
    )
    feedback: str | None = attribute("The feedback that this version answers.")
    created_by: str = attribute("The team.")
    created_at: datetime = attribute("When it was delivered.")

    @classmethod
    def from_domain(cls, record: model.Plan) -> Self:
        """Show a plan."""
        return cls(record=record)


@strawberry.type(description="What was decided on a version of the plan, and by whom.")
class Decision:
    """What was decided on a plan."""

    record: strawberry.Private[model.Decision]
    kind: DecisionKind = attribute("What was decided.")
    plan_version: int = attribute("On which version.")
    feedback: str | None = attribute("What the reviewer said about it.")
    actor: str = attribute("Who decided; `policy` when nobody did.")
    decided_at: datetime = attribute("When.")

    @classmethod
    def from_domain(cls, record: model.Decision) -> Self:
        """Show a decision."""
        return cls(record=record)


@strawberry.type(description="Tokens and money spent by the run's team; zeros when it reports none.")
class Usage:
    """Tokens and money that a team spent."""

    record: strawberry.Private[model.Usage]
    requests: int = attribute("Requests to models.")
    input_tokens: int = attribute("Tokens sent.")
    output_tokens: int = attribute("Tokens received.")
    cost_usd: float = attribute("US dollars.")

    @classmethod
    def from_domain(cls, record: model.Usage) -> Self:
        """Show what was spent."""
        return cls(record=record)


@strawberry.type(description="Why a run failed.")
class RunFailure:
    """Why a run failed."""

    record: strawberry.Private[model.RunFailure]
    code: str = attribute("Stable, e.g. TEAM_ERROR, STEP_FAILED, WORKER_LOST, BUDGET.")
    message: str = attribute("One sentence for people.")
    step: str | None = attribute("Key of the step at fault.")
    retryable: bool = attribute("Whether a retry may end otherwise.")

    @classmethod
    def from_domain(cls, record: model.RunFailure) -> Self:
        """Show a failure."""
        return cls(record=record)
