"""A run as its events tell it: what a live view shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from graph.client import Data

_KEPT_LINES: Final = 200
_ENDS: Final = frozenset({"COMPLETED", "FAILED", "REJECTED", "CANCELLED", "TIMEOUT"})
_RED_ENDS: Final = frozenset({"FAILURE", "CANCELLED", "TIMEOUT"})


@dataclass(slots=True)
class Step:
    """A step of the plan; `fraction` is how much of it is done, 0..1."""

    key: str
    title: str
    status: str = "PENDING"
    fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the run's log."""

    level: str
    step: str | None
    message: str


@dataclass(slots=True)
class Board:
    """A run so far; `apply` each event in order.

    Attributes:
        note: The sentence of the latest event that was neither log nor metric.
        metrics: The latest value and unit by name, in order of appearance.
        started: When the run was created, by the server's clock.
    """

    status: str = "PENDING"
    progress: float = 0.0
    note: str = ""
    steps: list[Step] = field(default_factory=list)
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    metrics: dict[str, tuple[float, str]] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    started: datetime | None = None
    now: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether the run is final."""
        return self.status in _ENDS

    @property
    def seconds(self) -> float:
        """From the first event to the latest."""
        return (self.now - self.started).total_seconds() if self.now and self.started else 0.0

    def apply(self, event: Data) -> None:
        """Take in the next event."""
        self.status = event["status"]
        self.now = datetime.fromisoformat(event["timestamp"])
        self.started = self.started or self.now
        match event["type"]:
            case "LOG":
                self.lines.extend(Line(line["level"], line["step"], line["message"]) for line in event["lines"])
                return
            case "METRIC":
                self.metrics.update({m["name"]: (m["value"], m["unit"] or "") for m in event["metrics"]})
                return
            case "PLAN_READY":
                self.steps = [Step(step["key"], step["title"], step["status"]) for step in event["plan"]["steps"]]
            case "PROGRESS":
                self._progress(event)
            case "ARTIFACT":
                self.artifacts.append(event["artifact"]["name"])
            case "COMPLETION":
                self.progress = 1.0
            case type_ if type_ in _RED_ENDS:
                self._stop()
        self.note = event["message"]

    def _progress(self, event: Data) -> None:
        self.progress = event["progress"]
        step = next((step for step in self.steps if step.key == event["step"]), None)
        if step is None:
            return
        step.status = event["stepStatus"]
        done = sum(other.status in {"COMPLETED", "SKIPPED"} for other in self.steps)
        if step.status == "RUNNING":
            # The run's progress is steps done, and of the one under way its part.
            step.fraction = min(max(self.progress * event["totalSteps"] - done, 0.0), 1.0)
        elif step.status == "COMPLETED":
            step.fraction = 1.0

    def _stop(self) -> None:
        """Do as the server does with steps whose run has ended."""
        for step in self.steps:
            step.status = {"RUNNING": "FAILED", "PENDING": "SKIPPED"}.get(step.status, step.status)


def around(steps: Sequence[Step], count: int) -> Sequence[Step]:
    """Return at most that many steps in a row, those under way among them."""
    current = next((number for number, step in enumerate(steps) if step.status in {"RUNNING", "PENDING"}), len(steps))
    first = max(0, min(current - count // 2, len(steps) - count))
    return steps[first : first + count]
