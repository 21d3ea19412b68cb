"""Labels with the time by which lists are sorted: a page of a label that many rows have is read in its order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.types import Ordered, UtcDateTime

revision = "0006"
down_revision = "0005"

OWNERS = {"task_labels": ("tasks", "task_id"), "run_labels": ("runs", "run_id")}
"""What a table's labels are of, and its column with the id."""

STATISTICS = {
    "task_labels": {"task_labels": "100000 50000 500 1 1", "ix_task_labels_task_id": "100000 3"},
    "run_labels": {"run_labels": "1000000 500000 2000 1 1", "ix_run_labels_run_id": "1000000 3"},
}
"""As in 0001."""

TIME = """
CREATE FUNCTION created_at_of(id text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT created_at FROM {owners} WHERE {owners}.id = $1
$$
"""

REWRITE = "ALTER TABLE {labels} ALTER created_at TYPE timestamptz USING created_at_of({key})"

FILL = """
CREATE FUNCTION {labels}_fill_created_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT created_at INTO NEW.created_at FROM {owners} WHERE id = NEW.{key};
    RETURN NEW;
END
$$
"""
"""For servers of the revision before, which know nothing of the column."""

TRIGGER = (
    "CREATE TRIGGER {labels}_fill_created_at BEFORE INSERT ON {labels} FOR EACH ROW "
    "WHEN (NEW.created_at IS NULL) EXECUTE FUNCTION {labels}_fill_created_at()"
)

COPY = """
INSERT INTO {labels} (tenant, label, created_at, {key})
SELECT before.tenant, label, created_at, {key} FROM {owners} CROSS JOIN {labels}_before before ON {key} = id
ORDER BY 1, 2, 3, 4
"""
"""Labels are looked up in the order in which their owners were created, which is that of the ids but for moments: each
page of the two indexes is read about once."""


def upgrade() -> None:
    change = _change if op.get_bind().dialect.name == "postgresql" else _make_anew
    for labels, (owners, key) in OWNERS.items():
        change(labels, owners, key)


def _change(labels: str, owners: str, key: str) -> None:
    """Change a table of PostgreSQL by writing it anew: an UPDATE would leave as many dead rows, and index them."""
    names = {"labels": labels, "owners": owners, "key": key}
    op.add_column(labels, sa.Column("created_at", UtcDateTime(), nullable=True))
    op.drop_constraint(f"pk_{labels}", labels)
    op.drop_index(f"ix_{labels}_{key}", labels)
    op.execute(TIME.format(**names))
    op.execute(REWRITE.format(**names))
    op.execute("DROP FUNCTION created_at_of")
    op.create_primary_key(f"pk_{labels}", labels, ["tenant", "label", "created_at", key])
    op.create_index(f"ix_{labels}_{key}", labels, [key])
    op.execute(FILL.format(**names))
    op.execute(TRIGGER.format(**names))
    op.execute(f"ANALYZE {labels}")


def _make_anew(labels: str, owners: str, key: str) -> None:
    """Make a table of SQLite anew, which is its key and so can't get another one."""
    op.rename_table(labels, f"{labels}_before")
    op.create_table(
        labels,
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column(key, Ordered, nullable=False),
        sa.ForeignKeyConstraint([key], [f"{owners}.id"], name=f"fk_{labels}_{key}", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "label", "created_at", key, name=f"pk_{labels}"),
        sqlite_with_rowid=False,
    )
    op.execute(COPY.format(labels=labels, owners=owners, key=key))
    op.drop_table(f"{labels}_before")
    op.create_index(f"ix_{labels}_{key}", labels, [key])
    rows = [{"tbl": labels, "idx": index, "stat": stat} for index, stat in STATISTICS[labels].items()]
    op.get_bind().execute(sa.text("DELETE FROM sqlite_stat1 WHERE tbl LIKE :labels || '%'"), {"labels": labels})
    op.get_bind().execute(sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"), rows)
