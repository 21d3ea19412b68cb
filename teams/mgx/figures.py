"""Reads the figures that `get_all_metrics` returns: numbers, and texts such as "12.3s", "45 %" and "$0.0012"."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeGuard

from domain.model import MetricType
from domain.signals import SampleTaken
from domain.validation import MAX_METRIC_NAME, MAX_UNIT
from teams.mgx.output import clean

MAX_SAMPLES: Final = 1_000
"""Samples that are kept of one answer."""

_MAX_DEPTH: Final = 5
_DOLLARS: Final = "USD"
_DURATIONS: Final = frozenset({"ns", "us", "µs", "ms", "s", "sec", "seconds", "min", "h"})
_FIGURE: Final = re.compile(
    r"(?P<sign>[-+]?)\s*(?P<dollar>\$?)\s*"
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)"
    r"\s*(?P<unit>(?:[^\W\d_]|[%°])[^\s\d]*)?"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and its unit, None where it has none."""

    value: float
    unit: str | None = None


@dataclass(slots=True)
class Figures:
    """What an answer holds: samples, and the dollars that they tell of together."""

    samples: list[SampleTaken] = field(default_factory=list)
    cost_usd: float = 0.0


def read_figure(told: object) -> Figure | None:
    """Return the figure that a value tells, None where it tells none, as a word or a truth value does."""
    match told:
        case bool():
            return None
        case int() | float():
            return _finite(told, None)
        case str() if match := _FIGURE.fullmatch(told.strip()):
            unit = _DOLLARS if match["dollar"] else match["unit"]
            return _finite(match["sign"] + match["number"].replace(",", ""), unit)
        case _:
            return None


def read_figures(told: object) -> Figures:
    """Return the figures of a mapping by name, or of a list of mappings; in nested ones names are joined by a dot.

    A mapping of `name`, `value` and perhaps `unit` is one figure. What tells no figure is passed over. Costs are texts
    with a dollar sign, figures in USD, and plain numbers with "cost" in their name; where one of a mapping is a total,
    it stands for all others within the mapping.

    Raises:
        TypeError: It is neither a mapping nor a list of mappings.
    """
    entries = [told] if isinstance(told, Mapping) else told
    if not _is_list(entries) or len(mappings := _mappings(entries)) < len(entries):
        raise TypeError(f"a mapping or a list of mappings was expected, not {type(told).__name__}")
    figures = Figures()
    figures.cost_usd = sum(_gather(mapping, "", 0, figures.samples) for mapping in mappings)
    return figures


def _gather(told: Mapping[object, object], prefix: str, depth: int, samples: list[SampleTaken]) -> float:
    """Add the samples of a mapping and return what it cost."""
    costs: list[tuple[str, float]] = []
    inner = 0.0
    for name, value, unit in _entries(told):
        label = _label(prefix, name)
        figure = read_figure(value)
        if figure is not None and label:
            figure = replace(figure, unit=unit or figure.unit)
            if len(samples) < MAX_SAMPLES:
                samples.append(_sample(label, figure))
            if _is_cost(label, figure):
                costs.append((str(name), figure.value))
        elif depth < _MAX_DEPTH:
            inner += sum(_gather(entry, label, depth + 1, samples) for entry in _mappings(value))
    totals = [cost for name, cost in costs if "total" in name.casefold()]
    return max(totals) if totals else sum(cost for _, cost in costs) + inner


def _entries(told: Mapping[object, object]) -> Iterator[tuple[object, object, str | None]]:
    """Yield name, value and, where it stands apart, unit."""
    match told:
        case {"name": str() as name, "value": value, **others} if others.keys() <= {"unit", "type"}:
            unit = others.get("unit")
            yield name, value, unit if isinstance(unit, str) else None
        case _:
            yield from ((name, value, None) for name, value in told.items())


def _mappings(value: object) -> list[Mapping[object, object]]:
    entries = value if _is_list(value) else [value]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _label(prefix: str, name: object) -> str:
    return clean(f"{prefix}.{name}" if prefix else str(name)).strip()[:MAX_METRIC_NAME].strip()


def _sample(name: str, figure: Figure) -> SampleTaken:
    kind = MetricType.TIMER if figure.unit in _DURATIONS else MetricType.GAUGE
    unit = None if figure.unit is None else clean(figure.unit)[:MAX_UNIT]
    return SampleTaken(name=name, value=figure.value, unit=unit, type=kind)


def _is_cost(name: str, figure: Figure) -> bool:
    named = figure.unit is None and "cost" in name.casefold()
    return figure.value >= 0 and (named or (figure.unit or "").upper() == _DOLLARS)


def _finite(number: float | str, unit: str | None) -> Figure | None:
    try:
        value = float(number)
    except OverflowError:
        return None
    return Figure(value, unit) if math.isfinite(value) else None


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
