"""Which record lies in which table."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from domain.events import Event
from domain.model import Artifact, Decision, LogLine, Metric, Plan, PlanStep, Run, Task
from storage import tables
from storage.session import Shape


def _names(record: Any, *left_out: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record) if field.name not in left_out)


TASK: Final = Shape(Task, tables.tasks, *_names(Task))
RUN: Final = Shape(Run, tables.runs, *_names(Run))
PLAN: Final = Shape(Plan, tables.plans, *_names(Plan, "steps"))
STEP: Final = Shape(PlanStep, tables.steps, *_names(PlanStep))
DECISION: Final = Shape(Decision, tables.decisions, *_names(Decision))
LOG_LINE: Final = Shape(LogLine, tables.logs, *_names(LogLine))
METRIC: Final = Shape(Metric, tables.metrics, *_names(Metric))
ARTIFACT: Final = Shape(Artifact, tables.artifacts, *_names(Artifact))
EVENT: Final = Shape(Event, tables.events, *_names(Event))

TASK.related["latest_run_id"] = RUN
RUN.related |= {"task_id": TASK, "retry_of": RUN}
