"""Statements written in SQLAlchemy Core, compiled once and then left to the driver.

Executing one through SQLAlchemy costs several times what the driver and the database need for it: it looks the
statement up in its cache, makes a context, a cursor and a result, and crosses a greenlet for each. Ours are constants,
or kept by whoever makes them; so each is compiled when it is first used, and what is left is to put values in order and
to read rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import Boolean, ClauseElement, Dialect, Executable, UpdateBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

from storage.types import Stored

Params: TypeAlias = Mapping[str, Any]
AnyRow: TypeAlias = Sequence[Any]
Codes: TypeAlias = Sequence[int]
"""The type of each column of a result, as the driver numbers them."""

Query: TypeAlias = "tuple[Statement, Params]"
Reader: TypeAlias = Callable[[Any], Any]
Readers: TypeAlias = "tuple[Reader | None, ...]"
Writer: TypeAlias = Callable[[Any], Any]

_KEPT: Final = 2048
"""Compiled statements; lists alone have some hundred shapes."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query found.

    Attributes:
        rows: As the driver gave them.
        readers: What reads a value of ours from one of the driver's that is not null, for each column; None where they
            are the same.
    """

    rows: Sequence[AnyRow]
    readers: Readers

    def values(self, row: AnyRow, places: Sequence[int]) -> tuple[Any, ...]:
        """Return our values of some of a row's columns."""
        readers = self.readers
        return tuple(
            [
                value if (value := row[place]) is None or (read := readers[place]) is None else read(value)
                for place in places
            ]
        )

    def first(self) -> AnyRow | None:
        """Return the first row with our values, None where there is none."""
        return next(iter(self.read()), None)

    def read(self) -> Sequence[AnyRow]:
        """Return the rows with our values."""
        readers = [(place, read) for place, read in enumerate(self.readers) if read is not None]
        return [_read_row(list(row), readers) for row in self.rows] if readers else self.rows


@lru_cache(_KEPT)
def _reader(type_: TypeEngine[Any], dialect: Dialect, code: int | None) -> Reader | None:
    """Return what reads a column's values that are not null, the same for all statements that select it."""
    return type_.reader(dialect) if isinstance(type_, Stored) else type_.result_processor(dialect, code)


@lru_cache(_KEPT)
def _writer(type_: TypeEngine[Any], dialect: Dialect) -> Writer | None:
    """Return what makes the driver's value of one of ours that is not null; None where they are the same."""
    if isinstance(type_, Boolean):
        return None  # both drivers take True and False as they are; SQLAlchemy's own checks that it is one of them
    return type_.writer(dialect) if isinstance(type_, Stored) else type_.bind_processor(dialect)


def _read_row(row: list[Any], readers: Iterable[tuple[int, Reader]]) -> AnyRow:
    for place, read in readers:
        value = row[place]
        if value is not None:
            row[place] = read(value)
    return row


class Statement:
    """A statement as the driver takes it, with what turns our values into its values and back.

    Attributes:
        text: The SQL; its parameters have the order that `bind` gives.
    """

    def __init__(self, compiled: SQLCompiler, types: Sequence[TypeEngine[Any]]) -> None:
        """Take a compiled statement and the types of the columns that it returns."""
        self.text: str = compiled.string
        self._dialect = compiled.dialect
        self._types = [type_.dialect_impl(self._dialect) for type_ in types]
        self._readers: Readers | None = None
        parameters = [compiled.binds[name] for name in compiled.positiontup or ()]
        self._names = [parameter.key for parameter in parameters]
        writers = [_writer(parameter.type.dialect_impl(self._dialect), self._dialect) for parameter in parameters]
        self._writers = [(place, write) for place, write in enumerate(writers) if write is not None]
        self._constants = {parameter.key: parameter.value for parameter in parameters if not parameter.required}

    def bind(self, values: Params) -> list[Any]:
        """Return the values of the parameters in the statement's order, as the driver takes them."""
        if self._constants:
            values = {**self._constants, **values}
        bound = [*map(values.__getitem__, self._names)]
        for place, write in self._writers:
            value = bound[place]
            if value is not None:
                bound[place] = write(value)
        return bound

    def result(self, rows: Sequence[AnyRow], codes: Codes | None = None) -> Result:
        """Return what was found, of the driver's rows."""
        if self._readers is None:
            self._readers = tuple(
                _reader(type_, self._dialect, None if codes is None else codes[place])
                for place, type_ in enumerate(self._types)
            )
        return Result(rows, self._readers)


class Statements:
    """Compiles statements for one dialect, each once.

    A list of values can only be a parameter of a type that keeps it as one (`storage.sql.one_of`): the text of a
    statement is the same whatever its values are.
    """

    def __init__(self, dialect: Dialect) -> None:
        """Take a dialect whose parameters go by position."""
        self.dialect = dialect
        self._compiled = lru_cache(_KEPT)(self._compile)

    def __call__(self, statement: Executable, names: Iterable[str] = ()) -> Statement:
        """Return the compiled statement; what changes rows is compiled for the names of the values that are given."""
        return self._compiled(statement, tuple(names) if isinstance(statement, UpdateBase) else ())

    def _compile(self, statement: Executable, names: tuple[str, ...]) -> Statement:
        # As for many rows, so that an INSERT does not ask for the key that the database gave.
        element = cast("ClauseElement", statement)
        compiled = element.compile(dialect=self.dialect, column_keys=names or None, for_executemany=True)
        returned = statement.exported_columns if isinstance(statement, ReturnsRows) else ()
        return Statement(cast("SQLCompiler", compiled), [column.type for column in returned])
