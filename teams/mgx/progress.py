"""How far one `execute()` is in the steps of its plan, as far as `get_progress` tells."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from domain.model import PlanStep
from domain.signals import Signal, StepFinished, StepMoved, StepStarted

_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_OF: Final = re.compile(r"(\d+)\s*/\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """The step that is under way, counted from 0, and the fraction of it that is done, 0..1."""

    index: int
    part: float = 0.0


def read_progress(told: object, steps: Sequence[PlanStep]) -> Place | None:
    """Return where a value says that the plan is, None where it doesn't tell.

    A number up to 1 is a fraction of the plan, one up to 100 a percentage, as is "45%"; "3/7" is three of seven parts.
    A mapping may hold `current_step` (the step's number from 1, key or title), and how much of the plan is done as
    `progress`, `percent`, or `completed` of `total`.
    """
    if isinstance(told, Mapping):
        return _mapped(told, steps)
    fraction = _fraction(told)
    return None if fraction is None else _at(fraction, len(steps))


class Track:
    """The steps of a plan as they are told; those that are final already are not told again.

    The first of the others starts at once. A step is finished when a later one is under way; the last only by `finish`,
    since work that is all but done can still fail.
    """

    def __init__(self, steps: Sequence[PlanStep]) -> None:
        self._steps = steps
        self._finished = {step.key for step in steps if step.status.is_final}
        self._part = 0.0
        self.current: str | None = None

    def begin(self) -> list[Signal]:
        """Start the first step that is not final."""
        return self._start(next((step for step in self._steps if step.key not in self._finished), None))

    def reach(self, place: Place) -> list[Signal]:
        """Go on to a place; what it says of steps that are behind is passed over."""
        step = self._steps[place.index]
        if step.key in self._finished:
            return []
        said = [signal for earlier in self._steps[: place.index] for signal in self._finish(earlier)]
        if step.key != self.current:
            said += self._start(step)
        if place.part > self._part:
            self._part = place.part
            said.append(StepMoved(key=step.key, fraction=place.part))
        return said

    def finish(self) -> list[Signal]:
        """Finish all steps that are not, in order."""
        return [signal for step in self._steps for signal in self._finish(step)]

    def _start(self, step: PlanStep | None) -> list[Signal]:
        if step is None:
            return []
        self.current, self._part = step.key, 0.0
        return [StepStarted(key=step.key)]

    def _finish(self, step: PlanStep) -> list[Signal]:
        if step.key in self._finished:
            return []
        self._finished.add(step.key)
        started: list[Signal] = [] if step.key == self.current else self._start(step)
        return [*started, StepFinished(key=step.key)]


def _mapped(told: Mapping[Any, Any], steps: Sequence[PlanStep]) -> Place | None:
    fraction = _fraction(told.get("progress"))
    if fraction is None:
        fraction = _ratio(told.get("percent"), 100)
    if fraction is None:
        fraction = _ratio(told.get("completed"), told.get("total"))
    index = _index(told.get("current_step"), steps)
    if index is None:
        return None if fraction is None else _at(fraction, len(steps))
    part = 0.0 if fraction is None else fraction * len(steps) - index
    return Place(index, min(max(part, 0.0), 1.0))


def _index(told: object, steps: Sequence[PlanStep]) -> int | None:
    if isinstance(told, int) and not isinstance(told, bool):
        return told - 1 if 1 <= told <= len(steps) else None
    return next((place for place, step in enumerate(steps) if told in (step.key, step.title)), None)


def _fraction(told: object) -> float | None:
    if isinstance(told, str):
        if percent := _PERCENT.fullmatch(told.strip()):
            return _ratio(float(percent[1]), 100)
        parts = _OF.fullmatch(told.strip())
        return _ratio(int(parts[1]), int(parts[2])) if parts else None
    whole = _ratio(told, 1)
    return whole if whole is not None else _ratio(told, 100)


def _ratio(part: object, whole: object) -> float | None:
    """Return a part of a whole, None unless both are numbers that make a fraction from 0 to 1."""
    if not (_is_number(part) and _is_number(whole)) or whole <= 0:
        return None
    ratio = part / whole
    return ratio if 0 <= ratio <= 1 else None


def _at(fraction: float, count: int) -> Place:
    index = min(int(fraction * count), count - 1)
    return Place(index, min(fraction * count - index, 1.0))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
