"""The first schema: tasks, runs and what they lead to, and the log of events with its name."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

from storage.types import Json, Ordered, Serial, UtcDateTime, Whole

revision = "0001"
down_revision = None

WORKABLE = sa.text("status IN ('PENDING', 'ANALYZING', 'RUNNING', 'CANCELLING') AND NOT held")
WAITING = sa.text("status IN ('AWAITING_APPROVAL', 'CANCELLING') AND deadline IS NOT NULL")

STATISTICS = {
    "tasks": {
        "sqlite_autoindex_tasks_1": "100000 1",
        "ix_tasks_tenant_created_at_id": "100000 50000 1 1",
        "ix_tasks_tenant_updated_at_id": "100000 50000 1 1",
        "ix_tasks_tenant_folded_name_id": "100000 50000 2 1",
        "ix_tasks_tenant_status_created_at_id": "100000 50000 10000 1 1",
    },
    "task_labels": {"task_labels": "100000 50000 500 1", "ix_task_labels_task_id": "100000 3"},
    "runs": {
        "sqlite_autoindex_runs_1": "1000000 1",
        "sqlite_autoindex_runs_2": "1000000 100 1",
        "ix_runs_tenant_created_at_id": "1000000 500000 1 1",
        "ix_runs_tenant_started_at_id": "1000000 500000 1000 1",
        "ix_runs_tenant_completed_at_id": "1000000 500000 1000 1",
        "ix_runs_tenant_duration_id": "1000000 500000 1000 1",
        "ix_runs_tenant_status_created_at_id": "1000000 500000 50000 1 1",
        "ix_runs_task_id_created_at_id": "1000000 100 1 1",
        "ix_runs_task_id_started_at_id": "1000000 100 10 1",
        "ix_runs_task_id_completed_at_id": "1000000 100 10 1",
        "ix_runs_task_id_duration_id": "1000000 100 10 1",
        "ix_runs_workable": "1000 500 1 1",
        "ix_runs_waiting": "1000 1 1",
    },
    "run_labels": {"run_labels": "1000000 500000 2000 1", "ix_run_labels_run_id": "1000000 3"},
    "plans": {"sqlite_autoindex_plans_1": "1000000 1 1"},
    "steps": {"sqlite_autoindex_steps_1": "10000000 10 10 1"},
    "decisions": {"sqlite_autoindex_decisions_1": "1000000 1 1"},
    "logs": {"logs": "50000000 50 1"},
    "metrics": {
        "sqlite_autoindex_metrics_1": "10000000 1",
        "ix_metrics_tenant_timestamp_id": "10000000 5000000 2 1",
        "ix_metrics_run_id_timestamp_id": "10000000 10 2 1",
        "ix_metrics_run_id_name_timestamp_id": "10000000 10 4 1 1",
        "ix_metrics_task_id_timestamp_id": "10000000 1000 2 1",
        "ix_metrics_task_id_name_timestamp_id": "10000000 1000 200 2 1",
    },
    "artifacts": {
        "sqlite_autoindex_artifacts_1": "1000000 1",
        "ix_artifacts_run_id_created_at_id": "1000000 5 2 1",
        "ix_artifacts_task_id": "1000000 500",
        "ix_artifacts_tenant_sha256": "1000000 500000 2",
    },
    "events": {
        "sqlite_autoindex_events_1": "30000000 30 1",
        "ix_events_tenant_pos": "30000000 15000000 1",
        "ix_events_task_id_pos": "30000000 3000 1",
        "ix_events_run_id_pos": "30000000 30 1",
    },
}
"""Rows of a large table, then how many share an index's first column, its first two ... (SQLite's sqlite_stat1).

Of the columns that may be null most rows share the null, which is what those indexes are searched for."""


def upgrade() -> None:
    _log()
    _tasks()
    _task_labels()
    _runs()
    _run_labels()
    _plans()
    _steps()
    _decisions()
    _logs()
    _metrics()
    _artifacts()
    _artifact_chunks()
    _events()
    _idempotency_keys()
    _statistics()


def _log() -> None:
    op.create_table(
        "log", sa.Column("log_id", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("log_id", name="pk_log")
    )
    op.execute(sa.text("INSERT INTO log (log_id) VALUES (:id)").bindparams(id=secrets.token_hex(16)))


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", Ordered, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("labels", Json(), nullable=False),
        sa.Column("settings", Json(), nullable=False),
        sa.Column("concurrency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("latest_run_id", sa.Text(), nullable=True),
        sa.Column("total_runs", Whole, nullable=False),
        sa.Column("successful_runs", Whole, nullable=False),
        sa.Column("failed_runs", Whole, nullable=False),
        sa.Column("finished_runs", Whole, nullable=False),
        sa.Column("last_run_at", UtcDateTime(), nullable=True),
        sa.Column("last_run_duration", sa.Double(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("version", Whole, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("folded_name", Ordered, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_tenant_created_at_id", "tasks", ["tenant", "created_at", "id"])
    op.create_index("ix_tasks_tenant_folded_name_id", "tasks", ["tenant", "folded_name", "id"])
    op.create_index("ix_tasks_tenant_status_created_at_id", "tasks", ["tenant", "status", "created_at", "id"])
    op.create_index("ix_tasks_tenant_updated_at_id", "tasks", ["tenant", "updated_at", "id"])


def _task_labels() -> None:
    op.create_table(
        "task_labels",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("task_id", Ordered, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_task_labels_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "label", "task_id", name="pk_task_labels"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_task_labels_task_id", "task_labels", ["task_id"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", Ordered, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("task_id", Ordered, nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("labels", Json(), nullable=False),
        sa.Column("config", Json(), nullable=False),
        sa.Column("settings", Json(), nullable=False),
        sa.Column("auto_approve", sa.Boolean(), nullable=False),
        sa.Column("priority", Whole, nullable=False),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("deadline", UtcDateTime(), nullable=True),
        sa.Column("plan_version", Whole, nullable=False),
        sa.Column("revisions", Whole, nullable=False),
        sa.Column("round_count", Whole, nullable=False),
        sa.Column("progress", sa.Double(), nullable=True),
        sa.Column("current_step", sa.Text(), nullable=True),
        sa.Column("results", Json(), nullable=True),
        sa.Column("failure", Json(), nullable=True),
        sa.Column("usage", Json(), nullable=False),
        sa.Column("last_sequence", Whole, nullable=False),
        sa.Column("log_count", Whole, nullable=False),
        sa.Column("lost_workers", Whole, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("duration", sa.Double(), nullable=True),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("attempt", Whole, nullable=False),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_runs_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("task_id", "number", name="uq_runs_task_id_number"),
    )
    op.create_index("ix_runs_task_id_completed_at_id", "runs", ["task_id", "completed_at", "id"])
    op.create_index("ix_runs_task_id_created_at_id", "runs", ["task_id", "created_at", "id"])
    op.create_index("ix_runs_task_id_duration_id", "runs", ["task_id", "duration", "id"])
    op.create_index("ix_runs_task_id_started_at_id", "runs", ["task_id", "started_at", "id"])
    op.create_index("ix_runs_tenant_completed_at_id", "runs", ["tenant", "completed_at", "id"])
    op.create_index("ix_runs_tenant_created_at_id", "runs", ["tenant", "created_at", "id"])
    op.create_index("ix_runs_tenant_duration_id", "runs", ["tenant", "duration", "id"])
    op.create_index("ix_runs_tenant_started_at_id", "runs", ["tenant", "started_at", "id"])
    op.create_index("ix_runs_tenant_status_created_at_id", "runs", ["tenant", "status", "created_at", "id"])
    op.create_index("ix_runs_waiting", "runs", ["deadline", "id"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_index(
        "ix_runs_workable",
        "runs",
        [sa.text("priority DESC"), "created_at", "id"],
        sqlite_where=WORKABLE,
        postgresql_where=WORKABLE,
    )


def _run_labels() -> None:
    op.create_table(
        "run_labels",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("run_id", Ordered, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_labels_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant", "label", "run_id", name="pk_run_labels"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_labels_run_id", "run_labels", ["run_id"])


def _plans() -> None:
    op.create_table(
        "plans",
        sa.Column("version", Whole, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("complexity", sa.Text(), nullable=True),
        sa.Column("spec", Json(), nullable=False),
        sa.Column("changes", Json(), nullable=False),
        sa.Column("feedback", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run_id", Ordered, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_plans_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "version", name="pk_plans"),
    )


def _steps() -> None:
    op.create_table(
        "steps",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("spec", Json(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("starts", Whole, nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("output", Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run_id", Ordered, nullable=False),
        sa.Column("plan_version", Whole, nullable=False),
        sa.Column("position", Whole, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "plan_version"],
            ["plans.run_id", "plans.version"],
            name="fk_steps_run_id_plan_version",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "plan_version", "position", name="pk_steps"),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("plan_version", Whole, nullable=False),
        sa.Column("feedback", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("run_id", Ordered, nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_decisions_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_decisions"),
    )


def _logs() -> None:
    op.create_table(
        "logs",
        sa.Column("run_id", Ordered, nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("timestamp", UtcDateTime(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_logs_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_logs"),
        sqlite_with_rowid=False,
    )


def _metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("id", Ordered, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("task_id", Ordered, nullable=False),
        sa.Column("run_id", Ordered, nullable=True),
        sa.Column("name", Ordered, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("labels", Json(), nullable=False),
        sa.Column("timestamp", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_metrics_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_metrics_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_metrics"),
    )
    op.create_index("ix_metrics_run_id_name_timestamp_id", "metrics", ["run_id", "name", "timestamp", "id"])
    op.create_index("ix_metrics_run_id_timestamp_id", "metrics", ["run_id", "timestamp", "id"])
    op.create_index("ix_metrics_task_id_name_timestamp_id", "metrics", ["task_id", "name", "timestamp", "id"])
    op.create_index("ix_metrics_task_id_timestamp_id", "metrics", ["task_id", "timestamp", "id"])
    op.create_index("ix_metrics_tenant_timestamp_id", "metrics", ["tenant", "timestamp", "id"])


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", Ordered, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("task_id", Ordered, nullable=False),
        sa.Column("run_id", Ordered, nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_artifacts_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="fk_artifacts_task_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
    )
    op.create_index("ix_artifacts_run_id_created_at_id", "artifacts", ["run_id", "created_at", "id"])
    op.create_index("ix_artifacts_task_id", "artifacts", ["task_id"])
    op.create_index("ix_artifacts_tenant_sha256", "artifacts", ["tenant", "sha256"])


def _artifact_chunks() -> None:
    op.create_table(
        "artifact_chunks",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("number", Whole, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", "number", name="pk_artifact_chunks"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("pos", Serial, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("timestamp", UtcDateTime(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("task_id", Ordered, nullable=False),
        sa.Column("run_id", Ordered, nullable=True),
        sa.Column("sequence", Whole, nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("pos", name="pk_events"),
        sa.UniqueConstraint("run_id", "sequence", name="uq_events_run_id_sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_run_id_pos", "events", ["run_id", "pos"])
    op.create_index("ix_events_task_id_pos", "events", ["task_id", "pos"])
    op.create_index("ix_events_tenant_pos", "events", ["tenant", "pos"])


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("mutation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("input_digest", sa.Text(), nullable=False),
        sa.Column("ids", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "actor", "mutation", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _statistics() -> None:
    """Tell SQLite's planner what the tables will be like, so that it takes the same, good plans from the first row on.

    Without them it holds the tenant for as telling as a task's id. PostgreSQL gathers its own.
    """
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute("ANALYZE")  # makes the table; https://www.sqlite.org/optoverview.html#manual_control_of_query_plans
    rows = [
        {"tbl": table, "idx": index, "stat": stat}
        for table, indexes in STATISTICS.items()
        for index, stat in indexes.items()
    ]
    op.get_bind().execute(sa.text("DELETE FROM sqlite_stat1"))
    op.get_bind().execute(sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"), rows)
