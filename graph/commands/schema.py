"""`mgx schema`."""

from __future__ import annotations

import difflib
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from graph.commands.command import Command, CommandError
from graph.schema import sdl


def _run(arguments: Namespace) -> int:
    if arguments.check is None:
        sys.stdout.write(sdl())
        return 0
    return _check(arguments.check)


def _check(path: Path) -> int:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} can't be read: {error}.") from error
    difference = difflib.unified_diff(
        text.splitlines(keepends=True), sdl().splitlines(keepends=True), str(path), "mgx schema"
    )
    lines = list(difference)
    sys.stdout.writelines(lines)
    return 1 if lines else 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="print nothing but how FILE differs, and exit with 1 if it does"
    )


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
