"""Stock Strawberry with SQLAlchemy's ORM on aiosqlite: what its documentation leads to.

https://strawberry.rocks/docs/integrations/asgi, https://docs.sqlalchemy.org/en/21/orm/extensions/asyncio.html
"""

from __future__ import annotations

from datetime import datetime

import strawberry
from sqlalchemy import event, select, tuple_
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload
from strawberry.asgi import GraphQL

from benchmarks.peers.models import EventRow, RunRow, TaskRow, durably, new_task
from benchmarks.peers.rows import TENANT, decode_cursor, encode_cursor, from_micros, to_micros
from benchmarks.peers.serving import database, serve
from domain.model import RunStatus

strawberry.enum(RunStatus)
engine = create_async_engine(f"sqlite+aiosqlite:///{database()}")
event.listen(engine.sync_engine, "connect", durably)
sessions = async_sessionmaker(engine, expire_on_commit=False)


@strawberry.type
class Task:
    id: strawberry.ID
    name: str


@strawberry.type
class Run:
    id: strawberry.ID
    number: int
    status: RunStatus
    priority: int
    labels: list[str]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration: float | None
    task: Task

    @classmethod
    def of(cls, row: RunRow) -> Run:
        return cls(
            id=strawberry.ID(row.id),
            number=row.number,
            status=RunStatus(row.status),
            priority=row.priority,
            labels=row.labels,
            created_at=row.created_at,
            started_at=row.started_at,
            completed_at=row.completed_at,
            duration=row.duration,
            task=Task(id=strawberry.ID(row.task.id), name=row.task.name),
        )


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class RunConnection:
    nodes: list[Run]
    page_info: PageInfo


@strawberry.type
class Query:
    @strawberry.field
    async def run(self, id: strawberry.ID) -> Run | None:  # noqa: A002  # the argument's name
        statement = select(RunRow).where(RunRow.id == id, RunRow.tenant == TENANT).options(joinedload(RunRow.task))
        async with sessions() as session:
            row = await session.scalar(statement)
        return None if row is None else Run.of(row)

    @strawberry.field
    async def runs(self, first: int, after: str | None = None) -> RunConnection:
        statement = (
            select(RunRow)
            .where(RunRow.tenant == TENANT)
            .order_by(RunRow.created_at.desc(), RunRow.id.desc())
            .limit(first + 1)
            .options(joinedload(RunRow.task))
        )
        if after is not None:
            created_at, run_id = decode_cursor(after)
            statement = statement.where(tuple_(RunRow.created_at, RunRow.id) < (from_micros(created_at), run_id))
        async with sessions() as session:
            rows = (await session.scalars(statement)).all()
        kept = rows[:first]
        end = encode_cursor(to_micros(kept[-1].created_at), kept[-1].id) if kept else None
        info = PageInfo(has_next_page=len(rows) > first, end_cursor=end)
        return RunConnection(nodes=[Run.of(row) for row in kept], page_info=info)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def create_task(self, name: str) -> Task:
        task, told = new_task(name)
        async with sessions.begin() as session:
            session.add_all([TaskRow(**task), EventRow(**told)])
        return Task(id=task["id"], name=task["name"])


if __name__ == "__main__":
    serve(GraphQL(strawberry.Schema(query=Query, mutation=Mutation)))
