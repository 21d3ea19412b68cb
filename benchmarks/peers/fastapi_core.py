"""FastAPI with pydantic and SQLAlchemy Core, without GraphQL: what its documentation leads to.

https://fastapi.tiangolo.com/tutorial/sql-databases, https://docs.sqlalchemy.org/en/21/tutorial
"""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import Any, Final

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import RowMapping, Select, create_engine, event, insert, select, tuple_

from benchmarks.peers.models import EventRow, RunRow, TaskRow, durably, new_task
from benchmarks.peers.rows import TENANT, decode_cursor, encode_cursor, from_micros, to_micros
from benchmarks.peers.serving import database, serve
from domain.model import RunStatus

_RUNS: Final = RunRow.__table__
_TASKS: Final = TaskRow.__table__


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Task(Model):
    id: str
    name: str


class Run(Model):
    id: str
    number: int
    status: RunStatus
    priority: int
    labels: list[str]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration: float | None
    task: Task


class PageInfo(Model):
    has_next_page: bool
    end_cursor: str | None


class RunPage(Model):
    nodes: list[Run]
    page_info: PageInfo


class NewTask(Model):
    name: str


app = FastAPI()
engine = create_engine(f"sqlite:///{database()}")
event.listen(engine, "connect", durably)
writing = Lock()  # without it threads would find the database locked and sleep


@app.get("/runs")
def runs(first: int, after: str | None = None) -> RunPage:
    newest = _RUNS.c.created_at, _RUNS.c.id
    statement = _selected().where(_RUNS.c.tenant == TENANT).order_by(*(c.desc() for c in newest)).limit(first + 1)
    if after is not None:
        created_at, run_id = decode_cursor(after)
        statement = statement.where(tuple_(*newest) < (from_micros(created_at), run_id))
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    kept = [_run(row) for row in rows[:first]]
    end = encode_cursor(to_micros(kept[-1].created_at), kept[-1].id) if kept else None
    return RunPage(nodes=kept, page_info=PageInfo(has_next_page=len(rows) > first, end_cursor=end))


@app.get("/runs/{run_id}")
def run(run_id: str) -> Run:
    with engine.connect() as connection:
        statement = _selected().where(_RUNS.c.id == run_id, _RUNS.c.tenant == TENANT)
        row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise HTTPException(404)
    return _run(row)


@app.post("/tasks")
def create_task(new: NewTask) -> Task:
    task, told = new_task(new.name)
    with writing, engine.begin() as connection:
        connection.execute(insert(TaskRow).values(**task))
        connection.execute(insert(EventRow).values(**told))
    return Task(id=task["id"], name=task["name"])


def _selected() -> Select[Any]:
    wanted = [_RUNS.c[name] for name in Run.model_fields if name != "task"]
    task = _TASKS.c.id.label("task_id"), _TASKS.c.name.label("task_name")
    return select(*wanted, *task).join_from(_RUNS, _TASKS)


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        number=row["number"],
        status=row["status"],
        priority=row["priority"],
        labels=row["labels"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        duration=row["duration"],
        task=Task(id=row["task_id"], name=row["task_name"]),
    )


if __name__ == "__main__":
    serve(app)
