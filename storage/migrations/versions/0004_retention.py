"""Up to where history was removed: of a run, of a task, of a tenant; and which runs still have some."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

REMEMBERED = sa.text("completed_at IS NOT NULL AND NOT forgotten")


def upgrade() -> None:
    op.create_table(
        "horizons",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_horizons"),
    )
    op.add_column("tasks", sa.Column("horizon", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("horizon", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("forgotten", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_runs_remembered",
        "runs",
        ["completed_at", "id"],
        sqlite_where=REMEMBERED,
        postgresql_where=REMEMBERED,
    )
