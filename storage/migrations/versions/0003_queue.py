"""The work queue of many processes on PostgreSQL: procrastinate's own schema, as of the version that brought it."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    schema = files("storage.migrations").joinpath("queue", "procrastinate_3_10.sql").read_text("utf-8")
    connection.execution_options(no_parameters=True).exec_driver_sql(schema)
