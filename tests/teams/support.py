"""Runs, contexts and listening for tests of teams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from domain.model import JsonObject, JsonValue, Plan, Run, RunStatus, StepStatus
from domain.plan import PlanDraft, number
from domain.ports import ExecutionContext, PlanContext, Round, Team
from domain.signals import ArtifactMade, LineSaid, LinesSaid, Signal

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
S = TypeVar("S")


def run_of(team: str, config: JsonObject) -> Run:
    return Run(
        id="run-1",
        tenant="default",
        task_id="task-1",
        number=1,
        team=team,
        config=config,
        status=RunStatus.ANALYZING,
        created_at=NOW,
    )


def to_plan(run: Run, rounds: Sequence[Round] = ()) -> PlanContext:
    return PlanContext(run=run, name="Analyze Sales Data", description="By month and region.", rounds=rounds)


def to_execute(run: Run, plan: Plan, stored: Mapping[str, bytes] | None = None) -> ExecutionContext:
    async def artifacts(name: str) -> bytes | None:
        return (stored or {}).get(name)

    return ExecutionContext(
        run=run, name="Analyze Sales Data", description="By month and region.", plan=plan, artifacts=artifacts
    )


async def heard(signals: AsyncIterator[Signal]) -> list[Signal]:
    return [signal async for signal in signals]


async def planned(team: Team, context: PlanContext) -> tuple[list[Signal], PlanDraft]:
    """Return what a team said while it planned, and the draft that it ended with."""
    signals = await heard(team.plan(context))
    draft = signals[-1]
    assert isinstance(draft, PlanDraft)
    return signals, draft


def numbered(draft: PlanDraft, previous: Plan | None = None, feedback: str | None = None) -> Plan:
    return number(draft, previous=previous, feedback=feedback, created_by="team", now=NOW)


def done(plan: Plan, outputs: Mapping[str, JsonValue]) -> Plan:
    """Return the plan with some steps recorded complete."""
    steps = tuple(
        replace(step, status=StepStatus.COMPLETED, output=outputs[step.key]) if step.key in outputs else step
        for step in plan.steps
    )
    return replace(plan, steps=steps)


def only(kind: type[S], signals: Sequence[Signal]) -> list[S]:
    return [signal for signal in signals if isinstance(signal, kind)]


def lines(signals: Sequence[Signal]) -> list[LineSaid]:
    """Return all log lines, said alone or together."""
    said: list[LineSaid] = []
    for signal in signals:
        if isinstance(signal, LineSaid):
            said.append(signal)
        elif isinstance(signal, LinesSaid):
            said.extend(signal.lines)
    return said


def files(signals: Sequence[Signal]) -> dict[str, bytes]:
    return {artifact.name: artifact.content for artifact in only(ArtifactMade, signals)}
