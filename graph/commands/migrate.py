"""`mgx migrate`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from graph.commands.command import Command, CommandError
from graph.commands.flags import add_settings, read_settings
from storage import database
from storage.errors import StorageError
from storage.migrate import HEAD, migrate


def _run(arguments: Namespace) -> int:
    settings = read_settings(arguments)
    try:
        with database.locate(settings.database_url) as path, database.owned(path):
            database.check(path)
            migrate(path)
    except StorageError as error:
        raise CommandError(str(error)) from error
    print(f"{path} is at revision {HEAD}.")
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    add_settings(parser, only={"database_url"})


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
