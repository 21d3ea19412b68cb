"""`mgx migrate`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from graph.commands.command import Command, CommandError
from graph.commands.flags import add_settings, read_settings
from storage import database
from storage.errors import StorageError
from storage.migrate import HEAD, migrate
from storage.postgres_schema import migrate_postgres, postgres_url


def _run(arguments: Namespace) -> int:
    settings = read_settings(arguments)
    try:
        name = _migrate(settings.database_url)
    except StorageError as error:
        raise CommandError(str(error)) from error
    print(f"{name} is at revision {HEAD}.")
    return 0


def _migrate(url: str) -> str:
    """Upgrade a database; return what to call it."""
    if (server := postgres_url(url)) is not None:
        migrate_postgres(server)
        return server.render_as_string()
    with database.locate(url) as path, database.owned(path):
        database.check(path)
        migrate(path)
        return str(path)


def _add_arguments(parser: ArgumentParser) -> None:
    add_settings(parser, only={"database_url"})


COMMAND: Final = Command(add_arguments=_add_arguments, run=_run)
