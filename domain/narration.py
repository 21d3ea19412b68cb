"""What an event's message says to people."""

from __future__ import annotations

from typing import assert_never

from domain import events as e


def describe(payload: e.RunPayload) -> str:
    """Say in one sentence what happened."""
    match payload:
        case e.RunCreated():
            return f"Run {payload.number} was created."
        case e.AnalysisStarted():
            return "The team began to analyse the task."
        case e.PlanReady():
            return f"Version {payload.plan.version} of the plan is ready: {_count(len(payload.plan.steps), 'step')}."
        case e.ApprovalRequired():
            return f"Version {payload.plan.version} of the plan waits for a decision."
        case e.Approved() | e.Rejected() | e.ChangesRequested():
            kind = payload.decision.kind.lower().replace("_", " ")
            return f"Version {payload.decision.plan_version} of the plan: {kind} by {payload.decision.actor}."
        case e.Progressed():
            return f"Step {payload.step_index} of {payload.total_steps}, {payload.step}: {payload.step_status.lower()}."
        case e.Logged():
            return payload.lines[0].message[:200] if len(payload.lines) == 1 else f"{len(payload.lines)} log lines."
        case e.MetricsRecorded():
            names = ", ".join(sorted({metric.name for metric in payload.metrics}))
            return f"{_count(len(payload.metrics), 'metric')}: {names[:200]}."
        case e.ArtifactStored():
            return f"Artifact {payload.artifact.name}, {_count(payload.artifact.size, 'byte')}."
        case e.Resumed():
            return f"The work goes on, attempt {payload.attempt}."
        case e.CancelRequested():
            return f"{payload.actor} asked to cancel the run."
        case e.Completed():
            return "The run is completed."
        case e.Failed():
            return payload.failure.message[:500]
        case e.Cancelled():
            return "The run was cancelled by force." if payload.forced else "The run was cancelled."
        case e.TimedOut():
            return "Nobody decided on the plan in time."
        case _:
            assert_never(payload)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
