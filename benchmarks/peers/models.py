"""Our tables as peers on SQLAlchemy map them: the columns that they read, and those that a new row must have."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, ForeignKey, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from benchmarks.peers.rows import TENANT, from_micros, to_micros


class Micros(TypeDecorator[datetime]):
    """A time, kept as microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Base(DeclarativeBase):
    pass


class TaskRow(Base):
    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    name: Mapped[str]
    description: Mapped[str]
    team: Mapped[str]
    config: Mapped[Any] = mapped_column(JSON)
    labels: Mapped[Any] = mapped_column(JSON)
    settings: Mapped[Any] = mapped_column(JSON)
    concurrency: Mapped[str]
    status: Mapped[str]
    total_runs: Mapped[int]
    successful_runs: Mapped[int]
    failed_runs: Mapped[int]
    finished_runs: Mapped[int]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Micros)
    updated_at: Mapped[datetime] = mapped_column(Micros)
    folded_name: Mapped[str]


class RunRow(Base):
    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    number: Mapped[int]
    status: Mapped[str]
    priority: Mapped[int]
    labels: Mapped[Any] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Micros)
    started_at: Mapped[datetime | None] = mapped_column(Micros)
    completed_at: Mapped[datetime | None] = mapped_column(Micros)
    duration: Mapped[float | None]
    task: Mapped[TaskRow] = relationship()


class EventRow(Base):
    __tablename__ = "events"

    pos: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str]
    type: Mapped[str]
    timestamp: Mapped[datetime] = mapped_column(Micros)
    message: Mapped[str]
    data: Mapped[Any] = mapped_column(JSON)
    tenant: Mapped[str]
    task_id: Mapped[str]


def new_task(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row of a new task and that of the event which tells of it."""
    now = datetime.now(UTC)
    task: dict[str, Any] = {
        "id": f"task_{uuid.uuid4().hex}",
        "tenant": TENANT,
        "name": name,
        "description": "",
        "team": "rehearsal",
        "config": {},
        "labels": [],
        "settings": {"approval_timeout": 300, "on_approval_timeout": "REJECT", "max_rounds": 5, "memory_size": 50},
        "concurrency": "ALLOW",
        "status": "IDLE",
        "total_runs": 0,
        "successful_runs": 0,
        "failed_runs": 0,
        "finished_runs": 0,
        "version": 1,
        "folded_name": name.casefold(),
    }
    event = {
        "id": f"event_{task['id']}_v1",
        "type": "TASK_CREATED",
        "timestamp": now,
        "message": f"Task {name!r} was created.",
        "data": {"task": {**task, "created_at": now.isoformat(), "updated_at": now.isoformat()}},
        "tenant": TENANT,
        "task_id": task["id"],
    }
    return {**task, "created_at": now, "updated_at": now}, event


def durably(connection: sqlite3.Connection, _: object) -> None:
    """Have commits of a new connection survive a power cut, as those of ours do."""
    connection.execute("PRAGMA journal_mode = WAL").close()
    connection.execute("PRAGMA synchronous = FULL").close()
