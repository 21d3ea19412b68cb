"""Brings a database to the schema that this version of the code needs; safe to repeat.

Alembic is configured here and not by a file, so that it works from an installed package.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError

from storage.errors import StorageError

HEAD: Final = "0006"
"""The newest revision, which a database of this version has; a test holds it to the migrations."""


def migrate(path: Path) -> None:
    """Upgrade a database file, all of it or nothing; make the schema in an empty one.

    Raises:
        StorageError: It was written by a newer version, or can't be written.
    """
    if _revision(path) == HEAD:
        return  # Alembic takes longer to import than the rest of the start.
    with _transaction(path) as connection:
        upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Apply the migrations that a database lacks, within the connection's transaction.

    Raises:
        StorageError: It was written by a newer version.
    """
    from alembic import command  # noqa: PLC0415  # see migrate
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(
            f"The database was written by a newer version of mgx; start that one, or use another database: {error}."
        ) from None


def _revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None  # no such table: an empty database
    return None if row is None else str(row[0])


@contextmanager
def _transaction(path: Path) -> Iterator[Connection]:
    """Open a transaction that holds the whole upgrade; the driver's own begins would leave DDL out of it."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path, isolation_level=None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise StorageError(f"The database {path} can't be upgraded: {error.orig}.") from error
    finally:
        engine.dispose()
