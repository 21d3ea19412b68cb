"""Ariadne on `sqlite3`: what its documentation leads to.

https://ariadnegraphql.org/docs/intro, https://ariadnegraphql.org/docs/scalars
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from ariadne import QueryType, ScalarType, load_schema_from_path, make_executable_schema
from ariadne.asgi import GraphQL

from benchmarks.peers.rows import Json, Runs
from benchmarks.peers.serving import database, serve


def main() -> None:
    runs = Runs(database())
    query, time = QueryType(), ScalarType("DateTime")

    @query.field("run")
    def run(_: Any, info: Any, id: str) -> Json | None:  # noqa: A002  # the argument's name
        return runs.one(id)

    @query.field("runs")
    def page(_: Any, info: Any, first: int, after: str | None = None) -> Json:
        return runs.page(first, after)

    @time.serializer
    def serialize(value: datetime) -> str:
        return value.isoformat()

    schema = load_schema_from_path(str(Path(__file__).with_name("schema.graphql")))
    serve(GraphQL(make_executable_schema(schema, query, time)))


if __name__ == "__main__":
    main()
