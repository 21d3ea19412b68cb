"""The pipelined connection to PostgreSQL: one message for what goes together, and a failure stops what follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import psycopg
import pytest
from sqlalchemy import bindparam, text

from storage import pipeline
from storage.errors import LostError
from storage.pipeline import PostgresLink
from storage.postgres_pool import STATEMENTS
from storage.statements import AnyRow, Query, Result, Statement
from tests.backing import PostgresServer

ADD = STATEMENTS(text("INSERT INTO numbers VALUES (:number)").bindparams(bindparam("number")))
ALL = STATEMENTS(text("SELECT number FROM numbers ORDER BY number"))
ECHO = STATEMENTS(text("SELECT CAST(:much AS text)"))
PID = STATEMENTS(text("SELECT pg_backend_pid()"))
SLEEP = STATEMENTS(text("SELECT pg_sleep(:seconds)"))


@pytest.fixture
async def link(postgres: PostgresServer) -> AsyncIterator[PostgresLink]:
    with postgres.database() as name:
        postgres.sql("CREATE TABLE numbers (number INTEGER PRIMARY KEY)", name)
        driver = await psycopg.AsyncConnection.connect(postgres.url(name))
        link = PostgresLink(driver, STATEMENTS, "BEGIN")
        try:
            yield link
        finally:
            await link.close()


def one(statement: Statement, **params: object) -> Query:
    return statement, params


def rows(results: Sequence[Result]) -> list[Sequence[AnyRow]]:
    return [result.rows for result in results]


async def numbers(link: PostgresLink) -> list[int]:
    (result,) = await link.fetch(one(ALL))
    return [number for (number,) in result.rows]


async def test_what_is_handed_over_is_done_before_what_is_waited_for(link: PostgresLink) -> None:
    link.hand_over(ADD, [{"number": number} for number in range(100)])
    assert await numbers(link) == list(range(100))
    await link.roll_back()
    assert await numbers(link) == []


async def test_answers_are_taken_while_there_is_more_to_send_than_the_wire_holds(link: PostgresLink) -> None:
    """Else both sides would wait until the other one reads."""
    link.hand_over(ECHO, [{"much": "x" * 10_000}] * 3_000)
    async with asyncio.timeout(60):
        assert await numbers(link) == []


async def test_queries_that_go_together_have_their_rows_each(link: PostgresLink) -> None:
    link.hand_over(ADD, [{"number": 1}])
    assert rows(await link.fetch(one(ALL), one(SLEEP, seconds=0), one(ALL))) == [[(1,)], [("",)], [(1,)]]


async def test_what_was_committed_stays_and_the_next_statement_begins_anew(link: PostgresLink) -> None:
    link.hand_over(ADD, [{"number": 1}])
    await link.commit()
    link.hand_over(ADD, [{"number": 2}])
    await link.roll_back()
    assert await numbers(link) == [1]


async def test_a_transaction_in_one_message_is_over_with_it(link: PostgresLink) -> None:
    link.hand_over(ADD, [{"number": 1}])
    assert rows(await link.transact(one(ALL))) == [[(1,)]]
    await link.roll_back()
    assert await numbers(link) == [1]


async def test_a_failure_of_what_was_handed_over_stops_all_that_follows_and_the_commit(link: PostgresLink) -> None:
    link.hand_over(ADD, [{"number": number} for number in (1, 1, 2)])
    with pytest.raises(psycopg.IntegrityError):
        await link.commit()
    await link.roll_back()
    assert await numbers(link) == []


async def test_a_transaction_that_has_failed_is_not_taken_for_committed(link: PostgresLink) -> None:
    link.hand_over(ADD, [{"number": 1}, {"number": 1}])
    with pytest.raises(psycopg.IntegrityError):
        await numbers(link)
    with pytest.raises(RuntimeError, match="had failed"):
        await link.commit()


async def test_what_is_used_often_is_planned_once_and_a_rollback_keeps_the_plan(link: PostgresLink) -> None:
    planned = STATEMENTS(text("SELECT statement FROM pg_prepared_statements WHERE statement <> :own"))
    for _ in range(6):
        assert await numbers(link) == []
        await link.roll_back()
    assert rows(await link.fetch(one(planned, own=""))) == [[(ALL.text,)]]


async def test_a_connection_keeps_a_few_plans_only(link: PostgresLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_MOST_PREPARED", 2)
    count = STATEMENTS(text("SELECT count(*) FROM pg_prepared_statements"))
    for number in range(5):
        other = STATEMENTS(text(f"SELECT {number}"))
        for _ in range(5):
            assert rows(await link.fetch(one(other))) == [[(number,)]]
    assert rows(await link.fetch(one(count))) == [[(2,)]]


@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_query_that_is_cancelled_is_waited_for_and_the_cancellation_comes_then(
    link: PostgresLink, cancels: int
) -> None:
    done: list[str] = []

    async def ask() -> None:
        await link.fetch(one(SLEEP, seconds=0.2))
        done.append("answered")
        await asyncio.sleep(0)
        done.append("went on")

    task = asyncio.create_task(ask())
    for _ in range(cancels):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert done == ["answered"]
    assert await numbers(link) == []


async def test_a_query_that_is_cancelled_and_has_no_answer_costs_the_connection(
    link: PostgresLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_PATIENCE_SECONDS", 0.05)
    task = asyncio.create_task(link.fetch(one(SLEEP, seconds=60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(LostError, match="did not answer in time"):
        await task
    assert link.is_lost


async def test_a_connection_that_the_server_ends_is_lost(link: PostgresLink, postgres: PostgresServer) -> None:
    (((pid,),),) = rows(await link.fetch(one(PID)))
    assert postgres.sql(f"SELECT pg_terminate_backend({pid}, 5000)") == "t"
    with pytest.raises(LostError):
        await numbers(link)
    assert link.is_lost
    await link.roll_back()
    with pytest.raises(LostError):
        await numbers(link)
