"""How runs look: one plain line for each event, or colour, bars and tables on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from graph.client import Data
from graph.commands.board import Board, Line, Step, around

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_STATUS_STYLES: Final[Mapping[str, str]] = {
    "PENDING": "cyan",
    "ANALYZING": "cyan",
    "AWAITING_APPROVAL": "bold yellow",
    "RUNNING": "bold blue",
    "CANCELLING": "yellow",
    "COMPLETED": "bold green",
    "FAILED": "bold red",
    "REJECTED": "red",
    "CANCELLED": "yellow",
    "TIMEOUT": "red",
}
_EVENT_STYLES: Final[Mapping[str, str]] = {
    "PLAN_READY": "magenta",
    "APPROVAL_REQUIRED": "bold yellow",
    "APPROVED": "green",
    "REJECTED": "red",
    "CHANGES_REQUESTED": "yellow",
    "PROGRESS": "blue",
    "LOG": "dim",
    "METRIC": "cyan",
    "ARTIFACT": "magenta",
    "RESUMED": "yellow",
    "CANCEL_REQUESTED": "yellow",
    "COMPLETION": "bold green",
    "FAILURE": "bold red",
    "CANCELLED": "yellow",
    "TIMEOUT": "red",
}
_STEP_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "PENDING": ("·", "dim"),
    "COMPLETED": ("✓", "green"),
    "FAILED": ("✗", "red"),
    "SKIPPED": ("-", "dim"),
}
_LEVEL_STYLES: Final[Mapping[str, str]] = {"DEBUG": "dim", "WARNING": "yellow", "ERROR": "red"}
_TYPE_WIDTH: Final = max(map(len, _EVENT_STYLES))

# Around steps and log: heading, bar, blank lines, titles, metrics.
_FRAME_LINES: Final = 12
_FEWEST_LINES: Final = 3


def live(console: Console) -> bool:
    """Whether a view can be redrawn in place."""
    return console.is_terminal and not console.is_dumb_terminal


def printable(text: str) -> str:
    """Return a text on one line that can't steer a terminal: it may come from anywhere."""
    return _CONTROL.sub(" ", text).strip()


def event_line(event: Data) -> str:
    """Return time, sequence, type and message, with a space between: good for grep and cut."""
    return f"{event['timestamp']} {event['sequence']} {event['type']} {printable(event['message'])}"


def event_text(event: Data) -> RenderableType:
    """Return an event for people: sequence, type and message, and the lines of a log."""
    style = _EVENT_STYLES.get(event["type"], "")
    row = Table.grid(padding=(0, 1))
    row.add_column(width=5, justify="right", style="dim", no_wrap=True)
    row.add_column(width=_TYPE_WIDTH, style=style, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(str(event["sequence"]), event["type"], _event_message(event))
    return row


def board_view(board: Board, title: str, height: int) -> RenderableType:
    """Return the whole of a run for a live view.

    Args:
        board: The run so far.
        title: Of the run.
        height: Of the terminal, in lines.
    """
    room = max(height - _FRAME_LINES, 2 * _FEWEST_LINES)
    shown = around(board.steps, max(room // 2, room - 10, _FEWEST_LINES))
    parts: list[RenderableType] = [_heading(board, title), _bar(board)]
    if shown:
        parts += [Text(), _steps(shown)]
    if board.lines:
        last = list(board.lines)[-max(room - len(shown), _FEWEST_LINES) :]
        parts += [Text(), Text("Log", style="bold"), *(_log_line(line) for line in last)]
    if board.metrics:
        parts += [Text(), _metrics_line(board)]
    return Group(*parts)


def progress_view(board: Board) -> RenderableType:
    """Return a run's steps with their bars, and how far the whole is."""
    return Group(_bar(board), _steps(around(board.steps, 12)))


def plan_panel(plan: Data) -> Panel:
    """Return what a plan is about to do."""
    steps = Table.grid(padding=(0, 1))
    steps.add_column(justify="right", style="dim")
    steps.add_column(overflow="fold")
    several = len({step["assignee"] for step in plan["steps"]}) > 1
    for place, step in enumerate(plan["steps"], 1):
        steps.add_row(str(place), _planned_step(step, assignee=several))
    parts: list[RenderableType] = [Text(printable(plan["summary"])), Text(), steps]
    if plan["feedback"]:
        parts.insert(0, Text(f"Answers: {printable(plan['feedback'])}\n", style="yellow"))
    complexity = f", complexity {plan['complexity']}" if plan["complexity"] else ""
    return Panel(
        Group(*parts),
        title=Text(f"Plan, version {plan['version']}{complexity}", style="bold magenta"),
        title_align="left",
        subtitle=Text(f"digest {plan['digest'][:12]}", style="dim"),
        subtitle_align="right",
        box=box.ROUNDED,
        border_style="magenta",
        padding=(1, 2),
    )


def metrics_table(summaries: Iterable[Data]) -> Table:
    """Return what was measured."""
    table = Table(box=box.SIMPLE_HEAD, title="Metrics", title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("last", "min", "avg", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", style="dim", no_wrap=True)
    for summary in summaries:
        spread = [number(summary[name]) if summary["count"] > 1 else "" for name in ("min", "avg", "max")]
        unit = printable(summary["unit"] or "")
        table.add_row(printable(summary["name"]), number(summary["last"]), *spread, unit)
    return table


def number(value: float) -> str:
    """Return a number as people read it: 1,234 or 0.0123, never 1e+06."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _event_message(event: Data) -> Text:
    match event["type"]:
        case "LOG":
            return Text("\n".join(printable(line["message"]) for line in event["lines"]), style="dim")
        case "PROGRESS":
            return Text.assemble(printable(event["message"]), (f"  {event['progress']:.0%}", "dim"))
        case _:
            return Text(printable(event["message"]))


def _planned_step(step: Data, *, assignee: bool) -> Text:
    """Return a step's title and the first paragraph of its detail, which says what is done; the rest says how."""
    text = Text(printable(step["title"]), style="bold")
    if assignee and step["assignee"]:
        text.append(f"  {printable(step['assignee'])}", style="dim not bold")
    what = printable(step["detail"].split("\n\n", maxsplit=1)[0])
    if what:
        text.append(f"\n{what}", style="cyan not bold")
    return text


def _heading(board: Board, title: str) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    row.add_row(Text(printable(title), style="bold"), status_text(board.status))
    note = Text(printable(board.note), style="dim", no_wrap=True, overflow="ellipsis")
    row.add_row(note, Text(f"{board.seconds:.1f} s", style="dim"))
    return row


def _bar(board: Board) -> RenderableType:
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(ratio=1)
    row.add_column(width=5, justify="right")
    done = "green" if board.status == "COMPLETED" else "blue"
    bar = ProgressBar(total=1.0, completed=board.progress, complete_style=done, finished_style="green")
    row.add_row(bar, f"{board.progress:.0%}")
    return row


def _steps(steps: Iterable[Step]) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(width=2)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1, min_width=10)
    for step in steps:
        dim = "dim" if step.status in {"PENDING", "SKIPPED"} else ""
        bar = ProgressBar(total=1.0, completed=step.fraction, complete_style="blue", finished_style="green")
        table.add_row(_mark(step), Text(printable(step.title), style=dim), bar)
    return table


def _mark(step: Step) -> RenderableType:
    if step.status == "RUNNING":
        return Spinner("dots", style="blue")
    mark, style = _STEP_MARKS.get(step.status, ("?", ""))
    return Text(mark, style=style)


def _log_line(line: Line) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    if line.step:
        text.append(f"{printable(line.step)}  ", style="dim")
    text.append(printable(line.message), style=_LEVEL_STYLES.get(line.level, ""))
    return text


def _metrics_line(board: Board) -> Text:
    text = Text(overflow="ellipsis")
    for name, (value, unit) in list(board.metrics.items())[-8:]:
        text.append(f"{printable(name)} ", style="dim")
        text.append(f"{number(value)}{' ' + unit if unit else ''}   ", style="cyan")
    return text
