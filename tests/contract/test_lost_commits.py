"""Commits whose answer never comes: what became of them is found out, and never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from sqlalchemy import make_url

from domain.errors import StoreBusyError
from domain.model import ANONYMOUS, Task
from domain.store import AllScope, Store
from storage.store import open_store
from tests.backing import PostgresServer, running
from tests.contract.cutting import Cut, wire
from tests.contract.world import SetClock, task, task_event


@pytest.fixture
def forgetful() -> Iterator[PostgresServer]:
    """A server that writes nothing down before a commit, so that a crash loses all transactions that are open."""
    with running(PostgresServer) as server:
        server.sql("ALTER SYSTEM SET wal_writer_delay = '10s'")
        server.sql("ALTER SYSTEM SET autovacuum = off")
        server.restart()
        yield server


async def _save(store: Store, of: Task) -> None:
    async with store.write(ANONYMOUS) as tx:
        assert await tx.tasks.lock(of.id) is not None
        await tx.now()
        await tx.events.append([task_event(of, message="saved")])


async def _saved(store: Store) -> Sequence[str]:
    async with store.read(ANONYMOUS) as tx:
        return [event.message for event in await tx.events.after(AllScope(), 0, limit=10)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("cut", Cut)
async def test_a_commit_whose_answer_is_lost_is_known_to_have_happened_or_not(
    database_url: str, postgres: PostgresServer, cut: Cut
) -> None:
    made = task()

    async with wire(postgres.port) as line:
        url = make_url(database_url).set(port=line.port).render_as_string(hide_password=False)
        async with open_store(url, clock=SetClock(), on_commit=lambda _: None) as store:
            async with store.write(ANONYMOUS) as tx:
                await tx.tasks.insert(made)
            line.cut_at(cut)
            if cut is Cut.AFTER_COMMIT:
                await _save(store, made)
            else:
                with pytest.raises(StoreBusyError):
                    await _save(store, made)
            assert line.was_cut
            assert await _saved(store) == (["saved"] if cut is Cut.AFTER_COMMIT else [])


@pytest.mark.parametrize("is_given_again", [True, False], ids=["given again", "not given again"])
async def test_a_commit_that_a_crash_lost_is_not_taken_for_a_later_one_of_its_id(
    forgetful: PostgresServer, is_given_again: bool
) -> None:
    made = task()
    async with open_store(forgetful.url(driver="psycopg"), clock=SetClock(), on_commit=lambda _: None) as store:
        async with store.write(ANONYMOUS) as tx:
            await tx.tasks.insert(made)
        with pytest.raises(StoreBusyError):  # noqa: PT012  # what fails is the end of the block
            async with store.write(ANONYMOUS) as tx:
                assert await tx.tasks.lock(made.id) is not None
                await tx.now()
                await tx.events.append([task_event(made, message="lost")])
                lost = int(forgetful.sql("SELECT backend_xid FROM pg_stat_activity WHERE backend_xid IS NOT NULL"))
                await asyncio.to_thread(forgetful.restart)
                if is_given_again:
                    assert await _use_up(forgetful, lost)
        assert await _saved(store) == []
        await _save(store, made)
        assert await _saved(store) == ["saved"]


async def _transaction(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()
    assert row is not None
    return int(row[0])


async def _use_up(server: PostgresServer, transaction: int) -> bool:
    """Commit until a transaction of this id was committed; return whether that was done here."""
    async with await psycopg.AsyncConnection.connect(server.url(), autocommit=True) as connection:
        first = given = await _transaction(connection)
        while given < transaction:
            given = await _transaction(connection)
        return first <= transaction
