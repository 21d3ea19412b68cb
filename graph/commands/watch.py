"""`mgx watch`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from rich.console import Console
from rich.live import Live

from graph.client import ApiError, Client, Data
from graph.commands.board import Board
from graph.commands.command import Command
from graph.commands.operations import add_url, client, find_run, run_api, run_events
from graph.commands.show import board_view, event_line, live

_REDRAWS: Final = 10  # a second


def _run(arguments: Namespace) -> int:
    console = Console(highlight=False)
    follow = _on_terminal(arguments, console) if live(console) else _in_lines(arguments)
    return 0 if run_api(follow) == "COMPLETED" else 1


async def _in_lines(arguments: Namespace) -> str:
    """Print a line for each event and return the run's status in the end."""

    def on_cut(error: ApiError) -> None:
        print(f"mgx: {error} Trying again.", file=sys.stderr, flush=True)

    def show(event: Data) -> None:
        print(event_line(event), flush=True)

    return await _follow(client(arguments), arguments.run, show, on_cut)


async def _on_terminal(arguments: Namespace, console: Console) -> str:
    """Redraw the run in place and return its status in the end."""
    server = client(arguments)
    run = await find_run(server, arguments.run)
    title = f"{run['task']['name']}, run {run['number']}"
    board = Board()
    with Live(console=console, refresh_per_second=_REDRAWS) as view:

        def redraw() -> None:
            view.update(board_view(board, title, console.height))

        def on_cut(error: ApiError) -> None:
            board.note = f"{error} Trying again."
            redraw()

        def show(event: Data) -> None:
            board.apply(event)
            redraw()

        redraw()
        return await _follow(server, arguments.run, show, on_cut)


async def _follow(server: Client, run_id: str, show: Callable[[Data], None], on_cut: Callable[[ApiError], None]) -> str:
    status = "PENDING"
    async with aclosing(run_events(server, run_id, on_cut=on_cut)) as events:
        async for event in events:
            status = event["status"]
            show(event)
    return status


def _add_arguments(parser: ArgumentParser) -> None:
    parser.description = (
        "Follow a run until it ends, through restarts of the server: live on a terminal, else a line for each event "
        "with its time, sequence, type and message. Exits with 0 for COMPLETED and 1 for every other end."
    )
    parser.add_argument("run", metavar="RUN", help="id of the run")
    add_url(parser)


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
