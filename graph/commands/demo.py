"""`mgx demo`: the whole product in one minute, through nothing but its public API."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graph.client import Client
from graph.commands.child import child_server
from graph.commands.command import Command, CommandError
from graph.commands.flags import add_settings, read_settings
from graph.commands.signals import await_signal
from graph.commands.story import Story
from graph.settings import Settings

_LOOK_SECONDS: Final = 0.5
"""How often we look whether the server still runs."""


def _run(arguments: Namespace) -> int:
    settings = read_settings(arguments)
    console = Console(highlight=False)
    interactive = sys.stdin.isatty() and console.is_terminal
    with _ending_on_signals(), tempfile.TemporaryDirectory(prefix="mgx-demo-") as folder:
        temporary = "database_url" not in settings.model_fields_set
        database = f"sqlite+aiosqlite:///{Path(folder) / 'mgx.db'}" if temporary else settings.database_url
        flags = [f"--database-url={database}", f"--port={_port(settings)}"]
        _greet(console)
        with child_server(flags, Path(folder) / "server.log") as (url, process), asyncio.Runner() as runner:
            story = Story(Client(url), console, runner, interactive=interactive)
            completed = story.tell("on a temporary database" if temporary else "on your database")
            _farewell(console, url, story.run_id, settings)
            if not interactive:
                return 0 if completed else 1
            return _serve_on(console, process)


def _port(settings: Settings) -> int:
    """Return the port to use: the one that was asked for, else the default, else any that is free."""
    if "port" in settings.model_fields_set:
        return settings.port
    try:
        with socket.create_server((settings.host, settings.port)):
            return settings.port
    except OSError:
        return 0


@contextmanager
def _ending_on_signals() -> Generator[None]:
    """Leave by an exception, so that whatever was started is ended, also when we are told to go."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _greet(console: Console) -> None:
    console.print()
    console.print(Text.assemble(("mgx-graph", "bold"), "  a task, its plan, your decision, its execution, live"))
    console.print()


def _farewell(console: Console, url: str, run_id: str, settings: Settings) -> None:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(style="cyan", overflow="fold")
    if settings.serves_graphiql:
        rows.add_row("GraphiQL", f"{url}/graphiql")
    rows.add_row("API", f"{url}/graphql")
    rows.add_row("This run", f"{_program()} watch {run_id} --url {url}")
    console.print(Text("\nGo on from here", style="bold"))
    console.print(rows)


def _program() -> str:
    """Return how to call us from here: `make setup` puts nobody's shell on our path."""
    return "mgx" if shutil.which("mgx") else os.path.relpath(sys.argv[0])


def _serve_on(console: Console, process: subprocess.Popen[str]) -> int:
    try:
        console.print(Text("\nThe server goes on; Ctrl-C ends it.", style="dim"))
        while process.poll() is None:
            await_signal(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return 0
    raise CommandError("The server has ended.")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.description = (
        "Start a server, have a year of sales analysed and show everything on the way. Without a terminal the plan is "
        "approved and everything ends with the report; on one you decide, and the server goes on until Ctrl-C. "
        "The database is a temporary one unless MGX_DATABASE_URL is set."
    )
    add_settings(parser, only={"port", "database_url"})


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
