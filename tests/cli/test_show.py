"""What a live view says about a run, and that nothing in it can steer a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from graph.commands.board import Board, Step, around
from graph.commands.show import board_view, event_line, event_text, number, plan_panel, printable, progress_view

PLAN = {
    "version": 2,
    "digest": "0ee8dbcf125e" * 5,
    "summary": "Do it.",
    "complexity": "S",
    "feedback": "Shorter, please",
    "steps": [
        {"key": "one", "title": "First", "detail": "run one\n\nAt most 5 s.", "assignee": "Alex", "status": "PENDING"},
        {"key": "two", "title": "Second", "detail": "run two", "assignee": "Bob", "status": "PENDING"},
    ],
}


def event(type_: str, status: str = "RUNNING", **rest: Any) -> dict[str, Any]:
    fixed = {"type": type_, "status": status, "sequence": 7, "timestamp": "2026-11-24T10:00:00.500000Z"}
    return {**fixed, "message": f"{type_} it is.", **rest}


def board(*happened: dict[str, Any]) -> Board:
    made = Board()
    for each in happened:
        made.apply(each)
    return made


def progress(step: str, status: str, share: float) -> dict[str, Any]:
    return event("PROGRESS", step=step, stepStatus=status, progress=share, totalSteps=2)


def text_of(renderable: Any, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


READY = event("PLAN_READY", "AWAITING_APPROVAL", plan=PLAN)


def test_a_board_follows_its_steps() -> None:
    made = board(
        READY, progress("one", "RUNNING", 0.0), progress("one", "COMPLETED", 0.5), progress("two", "RUNNING", 0.75)
    )
    assert [(step.key, step.status, step.fraction) for step in made.steps] == [
        ("one", "COMPLETED", 1.0),
        ("two", "RUNNING", 0.5),
    ]
    assert made.progress == 0.75
    assert not made.ended


@pytest.mark.parametrize("end", ["FAILURE", "CANCELLED", "TIMEOUT"])
def test_an_end_stops_the_steps(end: str) -> None:
    status = {"FAILURE": "FAILED"}.get(end, end)
    made = board(READY, progress("one", "RUNNING", 0.1), event(end, status))
    assert [step.status for step in made.steps] == ["FAILED", "SKIPPED"]
    assert made.ended


def test_a_completed_run_is_full() -> None:
    made = board(READY, event("COMPLETION", "COMPLETED"))
    assert made.progress == 1.0
    assert made.ended


def test_the_latest_log_lines_and_metrics_are_shown() -> None:
    lines = [{"level": "INFO", "step": "one", "message": f"line {number}"} for number in range(300)]
    made = board(
        READY,
        event("LOG", lines=lines),
        event("METRIC", metrics=[{"name": "rows", "value": 1234.0, "unit": "rows"}]),
    )
    shown = text_of(board_view(made, "Sales, run 1", 30))
    assert "line 299" in shown
    assert "line 1\n" not in shown
    assert "1,234 rows" in shown
    assert "Sales, run 1" in shown


@pytest.mark.parametrize("height", [10, 24, 60])
def test_a_view_grows_with_the_terminal_and_not_with_the_run(height: int) -> None:
    steps = [{"key": str(number), "title": f"Step {number}", "status": "PENDING"} for number in range(500)]
    lines = [{"level": "INFO", "step": None, "message": "line"}] * 100
    made = board(event("PLAN_READY", plan={"steps": steps}), event("LOG", lines=lines))
    assert len(text_of(board_view(made, "Many", height)).splitlines()) <= max(height, 20)


def test_the_step_under_way_is_among_those_shown() -> None:
    steps = [Step(str(number), "", "COMPLETED") for number in range(50)] + [Step("50", "", "RUNNING")]
    steps += [Step(str(number), "") for number in range(51, 100)]
    shown = around(steps, 10)
    assert len(shown) == 10
    assert "50" in {step.key for step in shown}
    assert around(steps[:3], 10) == steps[:3]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    made = board(READY, progress("one", "RUNNING", 0.2))
    for view in (board_view(made, "A name that goes on and on " * 5, 24), progress_view(made), plan_panel(PLAN)):
        assert max(len(line) for line in text_of(view, width).splitlines()) <= width


def test_a_plan_shows_what_each_step_does_and_what_it_answers() -> None:
    shown = text_of(plan_panel(PLAN))
    for part in ("version 2", "complexity S", "Shorter, please", "First", "Alex", "run one", "run two", "0ee8dbcf125e"):
        assert part in shown
    assert "At most 5 s." not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two lines"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("bell\x07 and \x9b2J", "bell  and  2J"),
        ("line\u2028separator", "line separator"),
    ],
)
def test_control_characters_never_reach_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert event_line(event("LOG", message=text)) == f"2026-11-24T10:00:00.500000Z 7 LOG {shown}"
    line = {"level": "INFO", "step": text, "message": text}
    assert "\x1b" not in text_of(event_text(event("LOG", lines=[line])))
    assert "\x1b" not in text_of(board_view(board(event("LOG", lines=[line])), text, 24))


def test_markup_in_a_message_is_text() -> None:
    assert "[bold]not bold[/bold]" in text_of(event_text(event("FAILURE", message="[bold]not bold[/bold]")))


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (12.0, "12"), (1234567.0, "1,234,567"), (3.14159, "3.14"), (0.00123, "0.00123")]
)
def test_numbers_are_written_as_people_read_them(value: float, shown: str) -> None:
    assert number(value) == shown
