"""`mgx db backup`, `restore` and `check`."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from graph.commands.command import Command, CommandError
from graph.commands.flags import add_settings, read_settings
from storage import database
from storage.backup import back_up, restore
from storage.errors import StorageError
from storage.inspection import inspect
from storage.postgres_schema import postgres_url


def _back_up(arguments: Namespace) -> int:
    with _database(arguments) as path:
        back_up(path, arguments.file)
    print(f"{arguments.file} is a backup of {path}.")
    return 0


def _restore(arguments: Namespace) -> int:
    with _database(arguments) as path:
        replaced = restore(arguments.file, path)
    print(f"{path} is what {arguments.file} holds.")
    if replaced is not None:
        print(f"What was there before is {replaced} now.")
    return 0


def _check(arguments: Namespace) -> int:
    with _database(arguments) as path:
        return asyncio.run(_print_checks(path, all_runs=arguments.all))


async def _print_checks(path: Path, *, all_runs: bool) -> int:
    found = 0
    async for check in inspect(path, all_runs=all_runs):
        print(f"{check.name}: {len(check.problems) or 'no'} problems in {check.extent}")
        for problem in check.problems:
            print(f"  {problem}")
        found += len(check.problems)
    return 1 if found else 0


@contextmanager
def _database(arguments: Namespace) -> Iterator[Path]:
    url = read_settings(arguments).database_url
    try:
        if postgres_url(url) is not None:
            raise CommandError(
                "`mgx db` is for SQLite; PostgreSQL has tools of its own, such as pg_dump and pg_restore."
            )
        with database.locate(url) as path:
            yield path
    except StorageError as error:
        raise CommandError(str(error)) from error


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=ArgumentParser)
    backup = _action(
        actions.add_parser, "backup", "copy the database to a new file, also while a server works", _back_up
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="such as backups/monday.db; must not exist")
    restored = _action(actions.add_parser, "restore", "put a backup in the place of the database", _restore)
    restored.add_argument("file", type=Path, metavar="FILE", help="what `mgx db backup` made")
    check = _action(actions.add_parser, "check", "look whether all is as it should be; exit with 1 if not", _check)
    check.add_argument(
        "--all", action="store_true", help="rebuild every run from its events, not the newest 1000 alone"
    )


def _action(
    add: Callable[..., ArgumentParser], name: str, summary: str, perform: Callable[[Namespace], int]
) -> ArgumentParser:
    parser = add(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False)
    add_settings(parser, only={"database_url"})
    parser.usage = None
    parser.set_defaults(act=perform)
    return parser


def _run(arguments: Namespace) -> int:
    code: int = arguments.act(arguments)
    return code


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
