"""What a run keeps for the traces of its work: the traceparents of the requests that asked for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.types import Strings

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # With a default of the database's, so that a server of the revision before can add runs.
    op.add_column("runs", sa.Column("traces", Strings(), nullable=False, server_default="[]"))
