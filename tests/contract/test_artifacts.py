"""Artifacts: their bytes are kept once, in chunks, as long as any artifact has them."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

import pytest
from sqlalchemy import select

from domain.model import ANONYMOUS, Artifact, Principal
from storage.artifacts import CHUNK
from storage.tables import artifact_chunks
from tests.contract.raw import rows_of
from tests.contract.world import SECOND, World, artifact_of

REPORT = b"# Report\n"


async def _content(world: World, artifact: Artifact, principal: Principal = ANONYMOUS) -> list[bytes]:
    async with world.store.read(principal) as view:
        return [chunk async for chunk in view.runs.content(artifact)]


def _chunks(database_url: str) -> list[tuple[str, str, int]]:
    columns = (artifact_chunks.c.tenant, artifact_chunks.c.sha256, artifact_chunks.c.number)
    return [(row[0], row[1], row[2]) for row in rows_of(database_url, select(*columns).order_by(*columns))]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
async def test_bytes_are_read_as_they_were_written_in_chunks(world: World, size: int) -> None:
    data = os.urandom(size)
    run = (await world.add_run(await world.add_task())).run
    made = await world.keep_artifact(artifact_of(run, data), data)

    chunks = await _content(world, made)
    assert b"".join(chunks) == data
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK] * (len(chunks) - 1)
    assert len(chunks) == -(-size // CHUNK)


async def test_each_run_has_its_own_artifacts_oldest_first(world: World) -> None:
    of = await world.add_task()
    one, other = [(await world.add_run(of, number)).run for number in (1, 2)]
    late = await world.keep_artifact(artifact_of(one, REPORT, created_at=of.created_at + SECOND, step="a"), REPORT)
    early = await world.keep_artifact(artifact_of(one, REPORT), REPORT)

    async with world.store.read(ANONYMOUS) as view:
        assert await view.runs.artifacts_of([one.id, other.id]) == {one.id: [early, late], other.id: []}
        assert await view.runs.artifacts([late.id, "artifact_unknown"]) == {late.id: late}
        assert await view.runs.artifacts_of([]) == {}
        assert await view.runs.artifacts([]) == {}


async def test_the_same_bytes_are_kept_once_a_tenant(world: World, database_url: str) -> None:
    for tenant in ("default", "other"):
        run = (await world.add_run(await world.add_task(tenant=tenant))).run
        first = await world.keep_artifact(artifact_of(run, REPORT), REPORT)
        again = await world.keep_artifact(artifact_of(run, REPORT, name="again.md"), REPORT)
        known = await world.keep_artifact(artifact_of(run, REPORT, name="known.md"), None)
        for made in (first, again, known):
            assert await _content(world, made, Principal(tenant=tenant)) == [REPORT]

    assert _chunks(database_url) == [("default", first.sha256, 0), ("other", first.sha256, 0)]


async def test_bytes_go_with_the_last_run_that_has_them(world: World, database_url: str) -> None:
    of = await world.add_task()
    one, other = [(await world.add_run(of, number)).run for number in (1, 2)]
    own = b"Of the first run alone"
    await world.keep_artifact(artifact_of(one, REPORT), REPORT)
    await world.keep_artifact(artifact_of(one, REPORT, name="again.md"), REPORT)
    await world.keep_artifact(artifact_of(one, own), own)
    kept = await world.keep_artifact(artifact_of(other, REPORT), REPORT)

    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(one.id)
    assert _chunks(database_url) == [("default", kept.sha256, 0)]
    assert await _content(world, kept) == [REPORT]

    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.delete(other.id)
    assert _chunks(database_url) == []


async def test_bytes_go_with_the_last_task_that_has_them(world: World, database_url: str) -> None:
    tasks = [await world.add_task() for _ in range(2)]
    stranger = (await world.add_run(await world.add_task(tenant="other"))).run
    for of in tasks:
        for number in (1, 2):
            run = (await world.add_run(of, number)).run
            kept = await world.keep_artifact(artifact_of(run, REPORT), REPORT)
    await world.keep_artifact(artifact_of(stranger, REPORT), REPORT)

    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.delete(tasks[0].id)
    assert await _content(world, kept) == [REPORT]
    async with world.store.write(ANONYMOUS) as tx:
        await tx.tasks.delete(tasks[1].id)
    assert _chunks(database_url) == [("other", kept.sha256, 0)]


async def test_content_of_an_artifact_that_is_gone_is_an_error(world: World) -> None:
    run = (await world.add_run(await world.add_task())).run
    with pytest.raises(LookupError, match="is gone"):
        await _content(world, artifact_of(run, REPORT))


async def test_bytes_that_are_read_slowly_keep_no_view_from_others(world: World) -> None:
    data = os.urandom(2 * CHUNK)
    run = (await world.add_run(await world.add_task())).run
    made = await world.keep_artifact(artifact_of(run, data), data)

    async def read_half(go_on: asyncio.Event, started: asyncio.Event) -> int:
        async with world.store.read(ANONYMOUS) as view, aclosing(view.runs.content(made)) as chunks:  # type: ignore[type-var]  # an async generator
            size = len(await anext(chunks))
            started.set()
            await go_on.wait()
            return size + len(await anext(chunks))

    go_on = asyncio.Event()
    slow = []
    for _ in range(20):  # more than there are readers
        started = asyncio.Event()
        slow.append(asyncio.create_task(read_half(go_on, started)))
        await started.wait()
    assert await _content(world, made) == [data[:CHUNK], data[CHUNK:]]
    go_on.set()
    assert await asyncio.gather(*slow) == [2 * CHUNK] * 20


async def test_bytes_are_read_within_a_view_that_has_looked_already(world: World) -> None:
    data = os.urandom(CHUNK + 1)
    run = (await world.add_run(await world.add_task())).run
    made = await world.keep_artifact(artifact_of(run, data), data)
    async with world.store.read(ANONYMOUS) as view:
        found = (await view.runs.artifacts([made.id]))[made.id]
        assert b"".join([chunk async for chunk in view.runs.content(found)]) == data
        assert await view.runs.artifacts([made.id]) == {made.id: made}


async def test_bytes_are_there_in_the_transaction_that_stores_them(world: World) -> None:
    run = (await world.add_run(await world.add_task())).run
    made = artifact_of(run, REPORT)
    async with world.store.write(ANONYMOUS) as tx:
        await tx.runs.add_artifact(made, REPORT)
        assert [chunk async for chunk in tx.read.runs.content(made)] == [REPORT]
