"""What a session does where several ask it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import bindparam, column, delete, select, table
from sqlalchemy.dialects import sqlite

from storage.session import Session
from storage.statements import Params, Query, Result, Statement, Statements

ROWS = table("rows", column("id"))
ONE = select(ROWS.c.id)
REMOVE = delete(ROWS).where(ROWS.c.id == bindparam("row_id"))


class Connection:
    """A connection whose queries are answered when they are told to be."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.handed_over: list[Params] = []

    async def fetch(self, *queries: Query) -> Sequence[Result]:
        """Wait, and find one row."""
        self.asked.set()
        await self.may_answer.wait()
        return [statement.result([(1,)]) for statement, _ in queries]

    def hand_over(self, _statement: Statement, rows: Sequence[Params], /) -> None:
        """Take note of a change."""
        self.handed_over += rows


class Lease:
    """Lends a connection, and takes back what was done with it when it is given back."""

    statements = Statements(sqlite.dialect())

    def __init__(self) -> None:
        self.connection = Connection()
        self.is_taken = False

    async def take(self) -> Connection:
        """Lend it."""
        self.is_taken = True
        return self.connection

    async def give_back(self) -> None:
        """End what was done."""
        self.is_taken = False
        self.connection.handed_over.clear()


async def test_a_change_is_not_lost_to_what_gives_the_connection_back() -> None:
    lease = Lease()
    session = Session(lease, None)
    constant = asyncio.create_task(session.constant(ONE))
    await lease.connection.asked.wait()
    change = asyncio.create_task(session.execute(REMOVE, {"row_id": 1}))
    await asyncio.sleep(0)
    lease.connection.may_answer.set()
    await asyncio.gather(constant, change)
    assert lease.connection.handed_over == [{"row_id": 1}]
    assert lease.is_taken
