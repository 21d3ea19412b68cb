"""The command line `mgx`: finds the command, and turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

from graph.commands.command import Command, CommandError, tell
from graph.packages import ForeignPackageError, check_packages

_INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "serve": ("serve:COMMAND", "serve the API and execute runs"),
        "worker": ("worker:COMMAND", "execute runs of a database in PostgreSQL, beside others"),
        "demo": ("demo:COMMAND", "show the product at work: a task, its plan, your decision, its result"),
        "watch": ("watch:COMMAND", "follow a run until it ends"),
        "approve": ("decisions:APPROVE", "approve the plan of a run"),
        "reject": ("decisions:REJECT", "reject the plan of a run, which ends it"),
        "request-changes": ("decisions:REQUEST_CHANGES", "send the plan of a run back with feedback"),
        "cancel": ("decisions:CANCEL", "cancel a run"),
        "schema": ("schema:COMMAND", "print the GraphQL schema"),
        "migrate": ("migrate:COMMAND", "bring a database to this version's schema, which serve does as well"),
        "db": ("db:COMMAND", "back up, restore or check a database in SQLite"),
        "playbook": ("playbook:COMMAND", "check playbooks"),
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: What follows `mgx`; by default what the process was started with.

    Returns:
        The exit code: 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks, no traceback
    try:
        check_packages()
        arguments = _parser().parse_args(argv)
        code: int = arguments.perform(arguments)
    except (CommandError, ForeignPackageError) as error:
        tell(error)
        return error.exit_code if isinstance(error, CommandError) else 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has left, as `head` does; Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


class _LazyParser(ArgumentParser):
    """Imports its command when it is the one to be run: the others need not be fast to import."""

    place: str

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Declare the command's flags, then parse."""
        module, _, name = self.place.partition(":")
        with _collecting_later():
            command: Command = getattr(importlib.import_module(f"graph.commands.{module}"), name)
        command.add_arguments(self)
        parsed: tuple[Namespace, list[str]] = super().parse_known_args(args, namespace)
        parsed[0].perform = command.run
        return parsed


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Import without the garbage collector: what modules make stays, and to look through it again and again is slow."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="mgx", description="GraphQL control plane for agent runs.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"mgx-graph {version('mgx-graph')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_LazyParser)
    for name, (place, summary) in _COMMANDS.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        commands.add_parser(name, help=summary, description=description, allow_abbrev=False).place = place
    return parser


if __name__ == "__main__":
    sys.exit(main())
