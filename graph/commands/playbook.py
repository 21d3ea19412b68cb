"""`mgx playbook check`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from graph.commands.command import Command
from teams.playbook.format import check_playbook


def _run(arguments: Namespace) -> int:
    problems = check_playbook(arguments.file)
    for problem in problems:
        print(f"{arguments.file}: {problem}")
    if not problems:
        print(f"{arguments.file}: a playbook that can be run")
    return 1 if problems else 0


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=ArgumentParser)
    check = actions.add_parser("check", help="say what is wrong with a playbook, line by line; exit with 1 if anything")
    check.add_argument("file", type=Path, metavar="FILE", help="such as playbooks/monthly.yaml")


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
