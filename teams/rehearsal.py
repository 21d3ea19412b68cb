"""The team `rehearsal`: acts out a run by its config, for developers of clients and for benchmarks.

It knows no chance: the same config gives the same signals in the same order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from domain.errors import InvalidInputError
from domain.model import JsonObject, MetricType, PlanStep, Usage
from domain.plan import PlanDraft
from domain.ports import ExecutionContext, PlanContext
from domain.signals import (
    ArtifactMade,
    LineSaid,
    LinesSaid,
    ResultReady,
    SampleTaken,
    Signal,
    StepFailed,
    StepFinished,
    StepMoved,
    StepStarted,
    TokensUsed,
)
from teams.schema import check_config

_LONG_STEP: Final = 1.0
"""Seconds from which a step reports its middle: far enough from its ends that an engine merges none of them."""

_SPENT: Final = TokensUsed(usage=Usage(requests=1, input_tokens=120, output_tokens=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is acted out; names and ranges are those of `Rehearsal.config_schema`, durations are seconds."""

    steps: int = 3
    step_seconds: float = 0.2
    plan_seconds: float = 0.1
    logs_per_step: int = 1
    metrics_per_step: int = 1
    artifacts_per_step: int = 0
    fail_at: int | None = None

    @classmethod
    def of(cls, config: JsonObject) -> Self:
        """Return the script of a valid config."""
        given: dict[str, Any] = {name: config[key] for key, name in _FIELDS.items() if key in config}
        return cls(**{name: int(value) if name in _WHOLE else value for name, value in given.items()})


class Rehearsal:
    """A team that works for as long, says as much and fails as its config asks."""

    description = "Acts out a run of any length with every kind of event; for trying out clients and measuring."
    config_schema: Final[JsonObject] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "steps": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 3},
            "stepSeconds": {"type": "number", "minimum": 0, "maximum": 3600, "default": 0.2},
            "planSeconds": {"type": "number", "minimum": 0, "maximum": 3600, "default": 0.1},
            "logsPerStep": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 1},
            "metricsPerStep": {"type": "integer", "minimum": 0, "maximum": 100, "default": 1},
            "artifactsPerStep": {"type": "integer", "minimum": 0, "maximum": 10, "default": 0},
            "failAt": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 1000,
                "default": None,
                "description": "The step that fails, 1..steps; null: none does.",
            },
        },
    }

    def __init__(self, config: JsonObject) -> None:
        self._script = Script.of(config)

    @staticmethod
    def validate(config: JsonObject) -> None:
        """Check what a schema can't say.

        Raises:
            InvalidInputError: A value is out of range, or `failAt` is beyond the last step.
        """
        check_config(Rehearsal.config_schema, config)
        script = Script.of(config)
        if script.fail_at is not None and script.fail_at > script.steps:
            raise InvalidInputError(
                f"failAt must be one of the {script.steps} steps, or null; it is {script.fail_at}.",
                path=("config", "failAt"),
            )

    async def plan(self, context: PlanContext, /) -> AsyncIterator[Signal]:
        """Think for `planSeconds`, then propose `steps` steps and one more for each feedback."""
        version = len(context.rounds) + 1
        yield LineSaid(message=f"Rehearsing version {version} of the plan for {context.name!r}.")
        await asyncio.sleep(self._script.plan_seconds)
        yield _SPENT
        scripted = [_step(number, f"Scripted step {number}.") for number in range(1, self._script.steps + 1)]
        asked = [_step(number, past.feedback) for number, past in enumerate(context.rounds, self._script.steps + 1)]
        steps = (*scripted, *asked)
        yield PlanDraft(summary=f"A rehearsal of {len(steps)} steps.", complexity="XS", steps=steps)

    async def execute(self, context: ExecutionContext, /) -> AsyncIterator[Signal]:
        """Act out the steps that are not final yet."""
        for number, step in enumerate(context.plan.steps, 1):
            if step.status.is_final:
                continue
            yield StepStarted(key=step.key)
            for signal in self._said(number, step.key):
                yield signal
            if self._script.step_seconds >= _LONG_STEP:
                await asyncio.sleep(self._script.step_seconds / 2)
                yield StepMoved(key=step.key, fraction=0.5)
                await asyncio.sleep(self._script.step_seconds / 2)
            else:
                await asyncio.sleep(self._script.step_seconds)
            if number == self._script.fail_at:
                yield StepFailed(key=step.key, error=f"Step {number} fails because failAt says so.", retryable=False)
                return
            yield StepFinished(key=step.key, output={"step": number})
        yield ResultReady(results={"steps": len(context.plan.steps)})

    def _said(self, number: int, key: str) -> Iterator[Signal]:
        """Yield everything that a step says, in one go, so that no clock decides what ends up in which event."""
        script = self._script
        if script.logs_per_step:
            yield LinesSaid(
                step=key,
                lines=[
                    LineSaid(message=f"Step {number}, line {line} of {script.logs_per_step}.", step=key)
                    for line in range(1, script.logs_per_step + 1)
                ],
            )
        for sample in range(1, script.metrics_per_step + 1):
            yield SampleTaken(
                name=f"rehearsal_{sample}",
                value=float(number * sample),
                type=MetricType.GAUGE,
                unit="points",
                labels={"step": key},
            )
        for file in range(1, script.artifacts_per_step + 1):
            content = f"# Step {number}\n\nFile {file} of {script.artifacts_per_step}.\n"
            yield ArtifactMade(name=f"{key}-{file}.md", media_type="text/markdown", content=content.encode(), step=key)
        yield _SPENT


_FIELDS: Final = {
    "steps": "steps",
    "stepSeconds": "step_seconds",
    "planSeconds": "plan_seconds",
    "logsPerStep": "logs_per_step",
    "metricsPerStep": "metrics_per_step",
    "artifactsPerStep": "artifacts_per_step",
    "failAt": "fail_at",
}
_WHOLE: Final = frozenset({"steps", "logs_per_step", "metrics_per_step", "artifacts_per_step"})


def _step(number: int, detail: str) -> PlanStep:
    return PlanStep(key=f"step-{number}", title=f"Step {number}", detail=detail, assignee="rehearsal")
