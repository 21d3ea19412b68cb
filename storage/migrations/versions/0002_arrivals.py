"""Where events of PostgreSQL wait for their place in the log; SQLite, with its one writer, needs no such thing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.types import Json, Ordered, UtcDateTime, Whole

revision = "0002"
down_revision = "0001"

REFUSE_KNOWN = """
CREATE FUNCTION arrivals_refuse_known() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM events WHERE run_id = NEW.run_id AND sequence = NEW.sequence) THEN
        RAISE unique_violation USING
            MESSAGE = 'the event is in the log: a sequence is unique in its run',
            CONSTRAINT = 'uq_events_run_id_sequence', TABLE = 'events';
    END IF;
    RETURN NULL;
END
$$
"""
"""The log's own constraint would speak too late: when the event gets its place, after the commit of the run.

It looks after the row is inserted. If the same event is just being moved, the insert itself waits for the end of that.
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.create_table(
        "arrivals",
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("timestamp", UtcDateTime(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("task_id", Ordered, nullable=False),
        sa.Column("run_id", Ordered, nullable=True),
        sa.Column("sequence", Whole, nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_arrivals"),
        sa.UniqueConstraint("run_id", "sequence", name="uq_arrivals_run_id_sequence"),
    )
    # Rows come and go all the time: without the dead ones the table is a page or two, which is quickly cleaned.
    op.execute("ALTER TABLE arrivals SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)")
    op.execute(REFUSE_KNOWN)
    op.execute(
        "CREATE TRIGGER arrivals_refuse_known AFTER INSERT ON arrivals FOR EACH ROW WHEN (NEW.sequence IS NOT NULL) "
        "EXECUTE FUNCTION arrivals_refuse_known()"
    )
