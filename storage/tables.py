"""Tables and indexes. A column has the name of the record's field that it keeps; `storage.shapes` relies on it.

`tenant` leads every index that serves a list of everything; a list below one parent is led by the parent's id. Each
list index ends with the columns that the list is sorted by and the id, so that a page is read in order, without a sort.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from domain.events import EventType
from domain.model import (
    ConcurrencyPolicy,
    DecisionKind,
    MetricType,
    PlanChange,
    RunFailure,
    RunSettings,
    RunStatus,
    StepStatus,
    TaskStatus,
    Usage,
)
from storage.types import (
    Json,
    Ordered,
    Record,
    Records,
    Serial,
    Severity,
    Strings,
    UtcDateTime,
    Whole,
    Word,
)

_NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
metadata: Final = MetaData(naming_convention=_NAMES)
"""The tables that each database has."""

postgres_metadata: Final = MetaData(naming_convention=_NAMES)
"""Those that PostgreSQL has besides."""

WORKABLE: Final = text("status IN ('PENDING', 'ANALYZING', 'RUNNING', 'CANCELLING') AND NOT held")
"""Runs that a worker has something to do for; said with the same words in index and query, so that the one serves the
other."""

WAITING: Final = text("status IN ('AWAITING_APPROVAL', 'CANCELLING') AND deadline IS NOT NULL")
"""Runs whose wait ends by itself."""

REMEMBERED: Final = text("completed_at IS NOT NULL AND NOT forgotten")
"""Runs that are over and have history."""

log: Final = Table("log", metadata, Column("log_id", Text, primary_key=True))
"""One row: the log's name."""

horizons: Final = Table(
    "horizons", metadata, Column("tenant", Text, primary_key=True), Column("pos", BigInteger, nullable=False)
)
"""The place in the log up to which history of a tenant's runs was removed; no row as long as all is kept."""

tasks: Final = Table(
    "tasks",
    metadata,
    Column("id", Ordered, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("labels", Strings, nullable=False),
    Column("settings", Record(RunSettings), nullable=False),
    Column("concurrency", Word(ConcurrencyPolicy), nullable=False),
    Column("status", Word(TaskStatus), nullable=False),
    Column("latest_run_id", Text),
    Column("total_runs", Whole, nullable=False),
    Column("successful_runs", Whole, nullable=False),
    Column("failed_runs", Whole, nullable=False),
    Column("finished_runs", Whole, nullable=False),
    Column("last_run_at", UtcDateTime),
    Column("last_run_duration", Double),
    Column("last_error", Text),
    Column("version", Whole, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("folded_name", Ordered, nullable=False),
    Column("horizon", BigInteger),
    Index(None, "tenant", "created_at", "id"),
    Index(None, "tenant", "updated_at", "id"),
    Index(None, "tenant", "folded_name", "id"),
    Index(None, "tenant", "status", "created_at", "id"),
)
"""`folded_name` is the name casefolded: what NAME sorts by and `query` searches. `horizon` is the place in the log up
to which history of the task's runs was removed, NULL as long as all is kept."""

task_labels: Final = Table(
    "task_labels",
    metadata,
    Column("tenant", Text),
    Column("label", Text),
    Column("created_at", UtcDateTime),
    Column("task_id", Ordered, ForeignKey("tasks.id", ondelete="CASCADE")),
    PrimaryKeyConstraint("tenant", "label", "created_at", "task_id"),
    Index(None, "task_id"),
    sqlite_with_rowid=False,
)
"""Labels to search by. A row a label, since both databases find a rare one by index; `tasks.labels` keeps the order.

`created_at` is the task's own, so that the tasks of a label are read newest first by the key, however many they are."""

runs: Final = Table(
    "runs",
    metadata,
    Column("id", Ordered, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("task_id", Ordered, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("number", Whole, nullable=False),
    Column("team", Text, nullable=False),
    Column("status", Word(RunStatus), nullable=False),
    Column("labels", Strings, nullable=False),
    Column("config", Json, nullable=False),
    Column("settings", Record(RunSettings), nullable=False),
    Column("auto_approve", Boolean, nullable=False),
    Column("priority", Whole, nullable=False),
    Column("retry_of", Text),
    Column("deadline", UtcDateTime),
    Column("plan_version", Whole, nullable=False),
    Column("revisions", Whole, nullable=False),
    Column("round_count", Whole, nullable=False),
    Column("progress", Double),
    Column("current_step", Text),
    Column("results", Json),
    Column("failure", Record(RunFailure)),
    Column("usage", Record(Usage), nullable=False),
    Column("last_sequence", Whole, nullable=False),
    Column("log_count", Whole, nullable=False),
    Column("lost_workers", Whole, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("duration", Double),
    Column("held", Boolean, nullable=False),
    Column("owner", Text),
    Column("lease_until", UtcDateTime),
    Column("attempt", Whole, nullable=False),
    Column("begun", Boolean, nullable=False),
    Column("horizon", BigInteger),
    Column("forgotten", Boolean, nullable=False, server_default=false()),
    Column("traces", Strings, nullable=False, server_default="[]"),
    UniqueConstraint("task_id", "number"),
    Index(None, "tenant", "created_at", "id"),
    Index(None, "tenant", "started_at", "id"),
    Index(None, "tenant", "completed_at", "id"),
    Index(None, "tenant", "duration", "id"),
    Index(None, "tenant", "status", "created_at", "id"),
    Index(None, "task_id", "created_at", "id"),
    Index(None, "task_id", "started_at", "id"),
    Index(None, "task_id", "completed_at", "id"),
    Index(None, "task_id", "duration", "id"),
)
Index(
    "ix_runs_workable",
    runs.c.priority.desc(),
    runs.c.created_at,
    runs.c.id,
    sqlite_where=WORKABLE,
    postgresql_where=WORKABLE,
)
Index("ix_runs_waiting", runs.c.deadline, runs.c.id, sqlite_where=WAITING, postgresql_where=WAITING)
Index(
    "ix_runs_remembered",
    runs.c.completed_at,
    runs.c.id,
    sqlite_where=REMEMBERED,
    postgresql_where=REMEMBERED,
)
"""`horizon` is the place of the run's last event once its history is gone for readers, NULL as long as it is kept;
`forgotten` says that none of its rows is left."""

run_labels: Final = Table(
    "run_labels",
    metadata,
    Column("tenant", Text),
    Column("label", Text),
    Column("created_at", UtcDateTime),
    Column("run_id", Ordered, ForeignKey("runs.id", ondelete="CASCADE")),
    PrimaryKeyConstraint("tenant", "label", "created_at", "run_id"),
    Index(None, "run_id"),
    sqlite_with_rowid=False,
)
"""As `task_labels`."""

plans: Final = Table(
    "plans",
    metadata,
    Column("version", Whole),
    Column("digest", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("complexity", Text),
    Column("spec", Json, nullable=False),
    Column("changes", Records(PlanChange), nullable=False),
    Column("feedback", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("run_id", Ordered, ForeignKey("runs.id", ondelete="CASCADE")),
    PrimaryKeyConstraint("run_id", "version"),
)

steps: Final = Table(
    "steps",
    metadata,
    Column("key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("assignee", Text),
    Column("spec", Json, nullable=False),
    Column("status", Word(StepStatus), nullable=False),
    Column("starts", Whole, nullable=False),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("output", Json),
    Column("error", Text),
    Column("tenant", Text, nullable=False),
    Column("run_id", Ordered),
    Column("plan_version", Whole),
    Column("position", Whole),
    PrimaryKeyConstraint("run_id", "plan_version", "position"),
    ForeignKeyConstraint(["run_id", "plan_version"], ["plans.run_id", "plans.version"], ondelete="CASCADE"),
)
"""The steps of every version of a plan, `position` from 1."""

decisions: Final = Table(
    "decisions",
    metadata,
    Column("kind", Word(DecisionKind), nullable=False),
    Column("plan_version", Whole, nullable=False),
    Column("feedback", Text),
    Column("actor", Text, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("run_id", Ordered, ForeignKey("runs.id", ondelete="CASCADE")),
    Column("number", Whole),
    PrimaryKeyConstraint("run_id", "number"),
)

logs: Final = Table(
    "logs",
    metadata,
    # The key comes first: quick_check of SQLite 3.40 takes a table without rowids for damaged where it does not.
    Column("run_id", Ordered, ForeignKey("runs.id", ondelete="CASCADE")),
    Column("number", Whole),
    Column("level", Severity, nullable=False),
    Column("message", Text, nullable=False),
    Column("step", Text),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("tenant", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "number"),
    sqlite_with_rowid=False,
)

metrics: Final = Table(
    "metrics",
    metadata,
    Column("id", Ordered, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("task_id", Ordered, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("run_id", Ordered, ForeignKey("runs.id", ondelete="CASCADE")),
    Column("name", Ordered, nullable=False),
    Column("type", Word(MetricType), nullable=False),
    Column("value", Double, nullable=False),
    Column("unit", Text),
    Column("labels", Json, nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Index(None, "tenant", "timestamp", "id"),
    Index(None, "run_id", "timestamp", "id"),
    Index(None, "run_id", "name", "timestamp", "id"),
    Index(None, "task_id", "timestamp", "id"),
    Index(None, "task_id", "name", "timestamp", "id"),
)

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("id", Ordered, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("task_id", Ordered, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("run_id", Ordered, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step", Text),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "run_id", "created_at", "id"),
    Index(None, "task_id"),
    Index(None, "tenant", "sha256"),
)

artifact_chunks: Final = Table(
    "artifact_chunks",
    metadata,
    Column("tenant", Text),
    Column("sha256", Text),
    Column("number", Whole),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "sha256", "number"),
)
"""Bytes by their SHA-256, kept once a tenant, until no artifact refers to them."""

events: Final = Table(
    "events",
    metadata,
    Column("id", Text, nullable=False),
    Column("pos", Serial, primary_key=True),
    Column("type", Word(EventType), nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("message", Text, nullable=False),
    Column("data", Json, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("task_id", Ordered, nullable=False),
    Column("run_id", Ordered),
    Column("sequence", Whole),
    Column("status", Word(RunStatus)),
    UniqueConstraint("run_id", "sequence"),
    Index(None, "tenant", "pos"),
    Index(None, "task_id", "pos"),
    Index(None, "run_id", "pos"),
    sqlite_autoincrement=True,
)
"""The log. No foreign keys: the news that something was deleted outlives it. A place is never given twice."""

arrivals: Final = Table(
    "arrivals",
    postgres_metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    *(Column(column.name, column.type, nullable=column.nullable) for column in events.columns if column.name != "pos"),
    UniqueConstraint("run_id", "sequence"),
)
"""Events that were committed and have no place yet; `storage.sequencer` moves them to the log. With one writer at a
time, as on SQLite, an event has its place when it is written."""

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", Text),
    Column("actor", Text),
    Column("mutation", Text),
    Column("key", Text),
    Column("input_digest", Text, nullable=False),
    Column("ids", Strings, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("tenant", "actor", "mutation", "key"),
    Index(None, "created_at"),
)
