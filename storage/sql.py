"""The few SQL constructs that the databases spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, TableValuedAlias, Text, bindparam, column, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement, GenericFunction

from storage.types import Listed


class _Texts(GenericFunction[str]):
    """A JSON list of strings as rows with the column `value`."""

    name = "texts"
    inherit_cache = True


@compiles(_Texts, "sqlite")
def _texts_sqlite(element: FunctionElement[str], compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Texts, "postgresql")
def _texts_postgresql(element: FunctionElement[str], compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array_elements_text({compiler.process(element.clauses, **kw)})"


class Micros(GenericFunction[int]):
    """A time as microseconds since the epoch."""

    name = "micros"
    inherit_cache = True


@compiles(Micros, "sqlite")
def _micros_sqlite(element: FunctionElement[int], compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(Micros, "postgresql")
def _micros_postgresql(element: FunctionElement[int], compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(extract(epoch FROM {compiler.process(element.clauses, **kw)}) * 1000000 AS bigint)"


def texts(values: BindParameter[Any]) -> TableValuedAlias:
    """Return a table with the column `value` of a parameter that holds a JSON list of strings.

    One parameter however long the list is: the statement's text stays the same, and no limit of variables is met.
    """
    return _Texts(values).table_valued(column("value", Text)).alias("listed")


def listed(name: str) -> BindParameter[Any]:
    """Return a named parameter for a list of strings."""
    return bindparam(name, type_=Listed())


def one_of(value: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a value is in the list that a named parameter holds."""
    return value.in_(select(texts(listed(name)).c.value))


def owned(tenant: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether a row found by its id belongs to the parameter `tenant`; None owns all.

    For lookups only: the condition has two sides, so that no index on the tenant would serve it.
    """
    owner = bindparam("tenant", type_=Text())
    return or_(owner.is_(None), tenant == owner)
