"""What a team says in small pieces, collected to be written together: lines, samples and progress within a step."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from domain import commands as c
from domain import signals as s
from domain import validation as check
from domain.errors import InvalidInputError, InvalidSignalError
from domain.ids import IdFactory, Kind
from domain.model import LogLevel, Metric
from domain.ports import Clock
from domain.services.work import Assignment

WINDOW: Final = 0.25
"""Seconds that a piece waits for others at most; progress moves at most as often."""

EVENT_SIZE: Final = 100
"""Lines or samples that one event holds at most."""

STEP_LINES: Final = 10_000
"""Lines that are kept of a step."""


class Batch:
    """Pieces of one claim that are not written yet."""

    def __init__(self, clock: Clock, ids: IdFactory, assignment: Assignment) -> None:
        self._clock = clock
        self._ids = ids
        self._run = assignment.state.run
        self._since: float | None = None
        self._lines: list[c.NewLine] = []
        self._metrics: list[Metric] = []
        self._moved: dict[str, float] = {}
        self._kept: dict[str | None, int] = {}
        self._dropped: dict[str | None, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether there is enough for an event."""
        return len(self._lines) >= EVENT_SIZE or len(self._metrics) >= EVENT_SIZE

    def due_in(self) -> float:
        """Return the seconds until what is collected should be written; infinite when there is nothing."""
        if self._since is None:
            return math.inf
        return max(self._since + WINDOW - asyncio.get_running_loop().time(), 0.0)

    def add_lines(self, said: s.LineSaid | s.LinesSaid) -> None:
        """Collect lines; those beyond what is kept of their step are counted."""
        lines = [said] if isinstance(said, s.LineSaid) else said.lines
        for line in lines:
            self._add_line(line)
        if isinstance(said, s.LinesSaid) and said.dropped:
            self._dropped[said.step] = self._dropped.get(said.step, 0) + said.dropped

    def add_sample(self, sample: s.SampleTaken) -> None:
        """Collect a sample.

        Raises:
            InvalidSignalError: Its value is not finite, or a name, unit or label breaks the rules of input.
        """
        try:
            name = check.text(sample.name, "name", minimum=1, maximum=check.MAX_METRIC_NAME)
            value = check.finite(sample.value, "value")
            unit = None if sample.unit is None else check.text(sample.unit, "unit", maximum=check.MAX_UNIT)
            labels = check.metric_labels(dict(sample.labels), "labels")
        except (InvalidInputError, TypeError, ValueError, AttributeError) as error:
            raise InvalidSignalError(f"The team took a sample that can't be kept: {error}") from error
        self._touch()
        self._metrics.append(
            Metric(
                id=self._ids.new(Kind.METRIC),
                tenant=self._run.tenant,
                task_id=self._run.task_id,
                run_id=self._run.id,
                name=name,
                type=sample.type,
                value=value,
                unit=unit,
                labels=labels,
                timestamp=self._clock.now(),
            )
        )

    def move(self, moved: s.StepMoved) -> None:
        """Remember how far a step is; only the last counts."""
        self._touch()
        self._moved[moved.key] = moved.fraction

    def end_step(self, key: str | None) -> list[c.WriteLog]:
        """Return the line that counts what was not kept of a step (None: of what is said outside steps)."""
        if key is not None:
            self._moved.pop(key, None)
        self._kept.pop(key, None)
        dropped = self._dropped.pop(key, 0)
        if not dropped:
            return []
        message = f"{dropped} further lines of this step were not kept."
        line = c.NewLine(message=message, level=LogLevel.WARNING, step=key, timestamp=self._clock.now())
        return [c.WriteLog(lines=(line,))]

    def take(self) -> list[c.WorkerCommand]:
        """Return everything collected as commands, and start anew."""
        commands: list[c.WorkerCommand] = [
            c.WriteLog(lines=tuple(self._lines[i : i + EVENT_SIZE])) for i in range(0, len(self._lines), EVENT_SIZE)
        ]
        commands += [
            c.RecordMetrics(metrics=tuple(self._metrics[i : i + EVENT_SIZE]), by_team=True)
            for i in range(0, len(self._metrics), EVENT_SIZE)
        ]
        commands += [c.AdvanceStep(key=key, fraction=fraction) for key, fraction in self._moved.items()]
        self._since = None
        self._lines, self._metrics, self._moved = [], [], {}
        return commands

    def _add_line(self, line: s.LineSaid) -> None:
        kept = self._kept.get(line.step, 0)
        if kept >= STEP_LINES:
            self._dropped[line.step] = self._dropped.get(line.step, 0) + 1
            return
        self._touch()
        self._kept[line.step] = kept + 1
        timestamp = line.timestamp or self._clock.now()
        self._lines.append(c.NewLine(message=line.message, level=line.level, step=line.step, timestamp=timestamp))

    def _touch(self) -> None:
        if self._since is None:
            self._since = asyncio.get_running_loop().time()
