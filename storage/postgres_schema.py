"""A PostgreSQL database: how its URL is written, that it can be reached, and its schema."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from storage.errors import StorageError
from storage.locks import MIGRATE
from storage.migrate import HEAD, upgrade

_SCHEMES: Final = ("postgresql", "postgresql+psycopg", "postgres")
_REVISION: Final = text("SELECT version_num FROM alembic_version")
CONNECT_SECONDS: Final = 10


def postgres_url(url: str) -> URL | None:
    """Return the URL of a PostgreSQL database, for the driver that we use; None where it is not one.

    Raises:
        StorageError: It is one, and the driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    if parsed.drivername not in _SCHEMES:
        return None
    if find_spec("psycopg") is None:
        raise StorageError("PostgreSQL needs the extra `postgres`: install mgx-graph[postgres].")
    return parsed.set(drivername="postgresql+psycopg")


def migrate_postgres(url: URL) -> None:
    """Upgrade a database, all of it or nothing; make the schema in an empty one.

    Several processes may do so at once: one does, the others wait. A schema that is one revision ahead is left alone,
    so that servers can be replaced one by one: a revision only adds to what the one before it needs.

    Raises:
        StorageError: It was written by a version that is newer than that, or can't be reached or changed.
    """
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        with engine.connect() as connection:
            if _revision(connection) in {HEAD, _next(HEAD)}:
                return  # Alembic takes longer to import than the rest of the start
            connection.rollback()
            connection.execute(text(MIGRATE))
            if _revision(connection) not in {HEAD, _next(HEAD)}:
                upgrade(connection)
            connection.commit()
    except DBAPIError as error:
        raise unreachable(url, error) from None
    finally:
        engine.dispose()


def unreachable(url: URL, error: DBAPIError) -> StorageError:
    """Return what to tell the operator of a database that does not do what it is asked for at the start."""
    reason = " ".join(str(error.orig).split())
    return StorageError(f"The database {url.render_as_string()} can't be used: {reason}.")


def _revision(connection: Connection) -> str | None:
    try:
        with connection.begin_nested():
            return connection.execute(_REVISION).scalar_one_or_none()
    except ProgrammingError:
        return None  # no such table: an empty database


def _next(revision: str) -> str:
    return f"{int(revision) + 1:04d}"
