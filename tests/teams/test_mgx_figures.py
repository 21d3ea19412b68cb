"""What `get_all_metrics` may return, and what it means."""

from __future__ import annotations

from typing import Any

import pytest

from domain.model import MetricType
from teams.mgx.figures import MAX_SAMPLES, Figure, read_figure, read_figures


@pytest.mark.parametrize(
    ("told", "figure"),
    [
        (12, Figure(12.0)),
        (0.5, Figure(0.5)),
        ("12.3s", Figure(12.3, "s")),
        ("850 ms", Figure(850.0, "ms")),
        ("45%", Figure(45.0, "%")),
        ("$0.0012", Figure(0.0012, "USD")),
        ("-$1,234.50", Figure(-1234.5, "USD")),
        ("0.5 USD", Figure(0.5, "USD")),
        ("1,234 tokens", Figure(1234.0, "tokens")),
        (" 3.2 req/s ", Figure(3.2, "req/s")),
        ("1e-3", Figure(0.001)),
        (".5", Figure(0.5)),
        ("+7", Figure(7.0)),
        ("12 µs", Figure(12.0, "µs")),
        ("✅", None),
        ("M", None),
        ("", None),
        ("$", None),
        ("s", None),
        ("12:30", None),
        ("1m 30s", None),
        ("3/7", None),
        ("2026-11-23", None),
        ("1,23", None),
        ("two 2", None),
        ("1e999", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_a_figure_is_a_number_and_its_unit(told: object, figure: Figure | None) -> None:
    assert read_figure(told) == figure


@pytest.mark.parametrize(
    ("told", "samples", "cost"),
    [
        ([], {}, 0.0),
        ({}, {}, 0.0),
        (
            [
                {
                    "task_name": "Login",
                    "duration": "12.3s",
                    "success": "✅",
                    "token_usage": 900,
                    "estimated_cost": "$1.5",
                }
            ],
            {"duration": (12.3, "s"), "token_usage": (900.0, None), "estimated_cost": (1.5, "USD")},
            1.5,
        ),
        ({"cost": 0.25, "cost_of_delay": "3 days"}, {"cost": (0.25, None), "cost_of_delay": (3.0, "days")}, 0.25),
        ({"a": "$1", "b": "$2", "total_cost": "$3"}, {"a": (1, "USD"), "b": (2, "USD"), "total_cost": (3, "USD")}, 3.0),
        ({"total": "$3", "by": {"x": "$1"}}, {"total": (3, "USD"), "by.x": (1, "USD")}, 3.0),
        ({"refund": "-$2"}, {"refund": (-2.0, "USD")}, 0.0),
        ({"phases": {"plan": "1s", "run": "2s"}}, {"phases.plan": (1.0, "s"), "phases.run": (2.0, "s")}, 0.0),
        ({"tasks": [{"cost": "$1"}], "profiling": None}, {"tasks.cost": (1.0, "USD")}, 1.0),
        ([{"name": "spent", "value": 0.1, "unit": "USD"}], {"spent": (0.1, "USD")}, 0.1),
        ([{"name": "took", "value": "2s", "type": "TIMER"}], {"took": (2.0, "s")}, 0.0),
        ({"name": "Login", "value": 3, "tests": 4}, {"value": (3.0, None), "tests": (4.0, None)}, 0.0),
        ({"": 1, "  ": 2, "a\0": 3}, {"a\ufffd": (3.0, None)}, 0.0),
    ],
)
def test_figures_are_samples_by_name(told: Any, samples: dict[str, tuple[float, str | None]], cost: float) -> None:
    figures = read_figures(told)
    assert {sample.name: (sample.value, sample.unit) for sample in figures.samples} == samples
    assert figures.cost_usd == pytest.approx(cost)


def test_the_costs_of_several_tasks_are_added() -> None:
    assert read_figures([{"estimated_cost": "$1.5"}, {"estimated_cost": "$0.5"}]).cost_usd == 2.0


def test_durations_are_timers() -> None:
    kinds = {sample.name: sample.type for sample in read_figures({"a": "1s", "b": "1%"}).samples}
    assert kinds == {"a": MetricType.TIMER, "b": MetricType.GAUGE}


def test_what_holds_itself_or_too_much_comes_to_an_end() -> None:
    endless: dict[str, Any] = {"n": 1}
    endless["self"] = endless
    assert len(read_figures(endless).samples) == 6
    assert len(read_figures({str(n): n for n in range(MAX_SAMPLES + 5)}).samples) == MAX_SAMPLES


def test_names_and_units_are_cut_to_what_is_kept() -> None:
    (sample,) = read_figures({"n" * 200: "1 " + "u" * 60}).samples
    assert (len(sample.name), len(sample.unit or "")) == (128, 50)


@pytest.mark.parametrize("told", ["12s", 3, [1], [{"a": 1}, "b"], b"x"])
def test_what_is_no_mapping_is_refused(told: object) -> None:
    with pytest.raises(TypeError, match="a mapping or a list of mappings was expected, not"):
        read_figures(told)
