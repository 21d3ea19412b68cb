"""Databases as an earlier version left them: real runs, multiplied, at the schema revision before the newest."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    TableClause,
    column,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.pool import NullPool

from storage.tables import metadata

_ID: Final = re.compile(
    r"(?P<head>\b(?:task|run|metric|artifact)_[0-9a-z]{12})(?P<some>[0-9a-z]{4})(?P<tail>[0-9a-z]{10})"
)
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ONCE: Final = ("log", "artifact_chunks", "idempotency_keys")
"""Tables that are not multiplied: what they hold is shared, or names a client's key."""

_BATCH: Final = 1_000


def previous_revision() -> str:
    """Return the schema revision before the newest."""
    script = ScriptDirectory.from_config(_config())
    head = script.get_revision("head")
    assert head is not None
    assert isinstance(head.down_revision, str), "the newest revision is the first"
    return head.down_revision


def engine_of(url: str) -> Engine:
    """Return an engine for a URL, whose transactions on SQLite hold all that is done in them."""
    engine = create_engine(url.replace("+aiosqlite", ""), poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda link, _: setattr(link, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def multiply(path: Path, events: int) -> int:
    """Make a database of SQLite hold at least so many events, by copies of its runs under ids of their own.

    Returns:
        How many of each there are then.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        (have, last) = connection.execute("SELECT count(*), max(pos) FROM events").fetchone()
        names = [table.name for table in metadata.sorted_tables if table.name not in _ONCE]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        columns = {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}
        times = -(-events // have)
        for number in range(1, times):
            for name in names:
                place = columns[name].index("pos") if name == "events" else None
                marks = ", ".join("?" * len(columns[name]))
                copies = (_copy(row, number, place, number * last) for row in rows[name])
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", copies)
    return int(times)


def fill(path: Path, url: str, *, at: str | None = None) -> None:
    """Make the schema of an earlier revision in an empty database, and copy another one's data there.

    Args:
        path: A database of SQLite, of the newest revision.
        url: Where to.
        at: The revision; the one before the newest if None.
    """
    source, target = engine_of(f"sqlite:///{path}"), engine_of(url)
    with source.connect() as reading, target.begin() as writing:
        config = _config()
        config.attributes["connection"] = writing
        command.upgrade(config, at or previous_revision())
        for table in _tables(writing):
            columns = _columns(writing, table)
            old = TableClause(table.name, *(column(each.name, each.type) for each in columns))
            writing.execute(delete(old))
            rows = iter(reading.execute(select(*columns)).mappings())
            while batch := list(islice(rows, _BATCH)):
                writing.execute(insert(old), [dict(row) for row in batch])
        if target.dialect.name == "postgresql":
            writing.execute(text("SELECT setval('events_pos_seq', (SELECT max(pos) FROM events))"))


def revision(url: str) -> str:
    """Return the schema revision of a database."""
    with engine_of(url).connect() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


Shape: TypeAlias = Mapping[str, Sequence[str]]
"""Columns of each table."""


def shape(url: str) -> Shape:
    """Return the tables and columns of the data that a database has now."""
    with engine_of(url).connect() as connection:
        return {table.name: [column.name for column in _columns(connection, table)] for table in _tables(connection)}


def digests(url: str, of: Shape) -> Mapping[str, str]:
    """Return the SHA-256 of the rows of each table, in the order of their keys."""
    with engine_of(url).connect() as connection:
        return {name: _digest(connection, metadata.tables[name], columns) for name, columns in of.items()}


def _copy(row: Sequence[Any], number: int, place: int | None, offset: int) -> list[Any]:
    """Return a row with other ids, and with another place if it has one."""
    copy = list(row)
    for index, value in enumerate(row):
        if isinstance(value, str):
            copy[index] = _ID.sub(lambda found: _numbered(found, number), value)
        elif index == place:
            copy[index] = value + offset
    return copy


def _numbered(found: re.Match[str], number: int) -> str:
    """Return an id that differs from those of all other copies, in some of the characters that are drawn."""
    value = sum(_ALPHABET.index(letter) << 5 * place for place, letter in enumerate(reversed(found["some"])))
    some = "".join(_ALPHABET[(value ^ number) >> 5 * place & 31] for place in (3, 2, 1, 0))
    return found["head"] + some + found["tail"]


def _tables(connection: Connection) -> list[Table]:
    there = set(inspect(connection).get_table_names())
    return [table for table in metadata.sorted_tables if table.name in there]


def _columns(connection: Connection, table: Table) -> list[Any]:
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    return [column for column in table.columns if column.name in there]


def _digest(connection: Connection, table: Table, columns: Sequence[str]) -> str:
    digest = sha256()
    key = [column for column in table.primary_key.columns if column.name in columns]
    rows = select(*(table.c[name] for name in columns)).order_by(*key)
    for row in connection.execute(rows):
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
