"""Makes signals of what a command prints: log lines, and the lines that report metrics and progress.

    ::metric {"name": "rows", "value": 480, "unit": "rows"}
    ::progress 0.4

Memory stays bounded whatever a command prints: a line is cut, a step keeps only so many, and the rest is counted.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from domain.model import LogLevel, MetricType
from domain.signals import LineSaid, LinesSaid, SampleTaken, Signal, StepMoved

MAX_LINE: Final = 8 * 1024
MAX_LINES: Final = 10_000
MAX_SAMPLES: Final = 1_000
LAST_LINES: Final = 5
STDOUT: Final = 1
STDERR: Final = 2

_METRIC: Final = b"::metric "
_PROGRESS: Final = b"::progress "


class LineSplitter:
    """Cuts a stream of bytes into lines, none longer than a limit; what is beyond it in a line is forgotten."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._open = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = self._open + lines[0]
            self._open = b""
        self._open = (self._open + rest)[: self._limit + 1]
        return lines

    def end(self) -> list[bytes]:
        """Return the last line if it lacks its end."""
        line, self._open = self._open, b""
        return [line] if line else []


class Transcript:
    """What one step says, over all its attempts.

    Attributes:
        samples: The last value of each metric without labels.
    """

    def __init__(self, step: str) -> None:
        self._step = step
        self._lines_left = MAX_LINES
        self._samples_left = MAX_SAMPLES
        self._splitters = {STDOUT: LineSplitter(), STDERR: LineSplitter()}
        self._errors: deque[bytes] = deque(maxlen=LAST_LINES)
        self.samples: dict[str, float] = {}

    @property
    def last_errors(self) -> list[str]:
        """The last lines of standard error of the current attempt."""
        return [to_text(raw) for raw in self._errors]

    def begin(self) -> None:
        """Say that another attempt begins."""
        self._errors.clear()

    def feed(self, channel: int, data: bytes) -> list[Signal]:
        """Return what these bytes of a channel mean, the samples first, then the lines, then how far the step is."""
        return list(self._signals(channel, self._splitters[channel].feed(data)))

    def end(self) -> list[Signal]:
        """Return what is left when an attempt has ended."""
        return [
            signal for channel, splitter in self._splitters.items() for signal in self._signals(channel, splitter.end())
        ]

    def note(self, message: str) -> LineSaid:
        """Return a line of our own, which counts against no limit."""
        return LineSaid(message=message, level=LogLevel.WARNING, step=self._step, timestamp=datetime.now(UTC))

    def _signals(self, channel: int, raw_lines: list[bytes]) -> Iterator[Signal]:
        now = datetime.now(UTC)
        level = LogLevel.WARNING if channel == STDERR else LogLevel.INFO
        kept: list[LineSaid] = []
        dropped = 0
        moved: StepMoved | None = None
        for raw in raw_lines:
            if channel == STDOUT and raw.startswith(b"::"):
                if (sample := self._sample(raw)) is not None:
                    yield sample
                    continue
                if (fraction := _fraction(raw)) is not None:
                    moved = StepMoved(key=self._step, fraction=fraction)
                    continue
            if channel == STDERR:
                self._errors.append(raw[: MAX_LINE + 1])
            if self._lines_left:
                self._lines_left -= 1
                kept.append(LineSaid(message=to_text(raw), level=level, step=self._step, timestamp=now))
            else:
                dropped += 1
        if kept or dropped:
            yield LinesSaid(lines=kept, dropped=dropped, step=self._step)
        if moved is not None:
            yield moved

    def _sample(self, raw: bytes) -> SampleTaken | None:
        if not (raw.startswith(_METRIC) and self._samples_left and len(raw) <= MAX_LINE):
            return None
        sample = read_sample(raw[len(_METRIC) :])
        if sample is not None:
            self._samples_left -= 1
            if not sample.labels:
                self.samples[sample.name] = sample.value
        return sample


def read_sample(raw: bytes) -> SampleTaken | None:
    """Return the sample that a JSON object describes, None where it describes none."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    match told:
        case {"name": str() as name, "value": int() | float() as value} if _is_fine(name, value, told):
            return SampleTaken(
                name=name,
                value=float(value),
                type=MetricType(told.get("type", MetricType.GAUGE)),
                unit=told.get("unit"),
                labels=told.get("labels", {}),
            )
        case _:
            return None


def to_text(raw: bytes) -> str:
    """Return a line as text of at most 8 KiB, an ellipsis where it was cut."""
    text = raw.removesuffix(b"\r").decode("utf-8", "replace").replace("\0", "\ufffd")
    if len(text.encode()) <= MAX_LINE:
        return text
    return text.encode()[: MAX_LINE - 3].decode("utf-8", "ignore") + "…"


def _is_fine(name: str, value: Any, told: dict[str, Any]) -> bool:
    unit, labels = told.get("unit"), told.get("labels", {})
    return (
        told.keys() <= {"name", "value", "type", "unit", "labels"}
        and 1 <= len(name.strip()) <= 128
        and not isinstance(value, bool)
        and _is_finite(value)
        and told.get("type", "GAUGE") in list(MetricType)
        and (unit is None or (isinstance(unit, str) and len(unit) <= 50))
        and isinstance(labels, dict)
        and len(labels) <= 20
        and all(isinstance(label, str) for label in labels.values())
    )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _fraction(raw: bytes) -> float | None:
    if not raw.startswith(_PROGRESS):
        return None
    try:
        fraction = float(raw[len(_PROGRESS) :])
    except ValueError:
        return None
    return fraction if 0 <= fraction <= 1 else None
