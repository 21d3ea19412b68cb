"""Artifacts and their bytes, which are kept once under their SHA-256, in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import Delete, Select, bindparam, delete, insert, select, tuple_

from domain.model import Artifact
from storage.session import Session
from storage.shapes import ARTIFACT
from storage.sql import one_of, owned
from storage.tables import artifact_chunks, artifacts
from storage.types import POSTGRESQL

CHUNK: Final = 256 * 1024
"""Bytes; small enough that a reader of many artifacts at once needs little memory."""

_BY_ID: Final = select(*ARTIFACT.columns()).where(one_of(artifacts.c.id, "ids"), owned(artifacts.c.tenant))
_OF_RUNS: Final = (
    select(*ARTIFACT.columns())
    .where(one_of(artifacts.c.run_id, "run_ids"), owned(artifacts.c.tenant))
    .order_by(artifacts.c.run_id, artifacts.c.created_at, artifacts.c.id)
)
_INSERT: Final = insert(artifacts)
_HAS_CONTENT: Final = (
    select(artifact_chunks.c.number)
    .where(artifact_chunks.c.tenant == bindparam("owner"), artifact_chunks.c.sha256 == bindparam("sha256"))
    .limit(1)
    .with_for_update(read=True, key_share=True)  # whoever wants to remove the bytes waits, and finds the new artifact
)
_INSERT_CHUNK: Final = insert(artifact_chunks)
_CHUNK: Final = select(artifact_chunks.c.content).where(
    artifact_chunks.c.tenant == bindparam("owner"),
    artifact_chunks.c.sha256 == bindparam("sha256"),
    artifact_chunks.c.number == bindparam("number"),
)


def _lock(owner: str) -> Select[str]:
    """Return what locks the bytes of a run's or task's artifacts: those who refer to them are then known."""
    mine = select(artifacts.c.tenant, artifacts.c.sha256).where(artifacts.c[owner] == bindparam("owner_id"))
    content_of = tuple_(artifact_chunks.c.tenant, artifact_chunks.c.sha256)
    return select(artifact_chunks.c.sha256).where(content_of.in_(mine)).with_for_update()


def _drop(owner: str) -> Delete:
    """Return what deletes the bytes of a run's or task's artifacts that no artifact of another one refers to."""
    going, staying = artifacts.alias("going"), artifacts.alias("staying")
    content_of = tuple_(artifact_chunks.c.tenant, artifact_chunks.c.sha256)
    mine = select(going.c.tenant, going.c.sha256).where(going.c[owner] == bindparam("owner_id"))
    others = (
        select(staying.c.id)
        .where(staying.c.tenant == artifact_chunks.c.tenant, staying.c.sha256 == artifact_chunks.c.sha256)
        .where(staying.c[owner] != bindparam("owner_id"))
    )
    return delete(artifact_chunks).where(content_of.in_(mine), ~others.exists())


_LOCK_OF_RUN: Final = _lock("run_id")
_LOCK_OF_TASK: Final = _lock("task_id")
_DROP_OF_RUN: Final = _drop("run_id")
_DROP_OF_TASK: Final = _drop("task_id")


async def by_id(session: Session, ids: Collection[str]) -> Mapping[str, Artifact]:
    """Return the artifacts with these ids."""
    rows = await session.rows(_BY_ID, ids=list(ids))
    return {artifact.id: artifact for artifact in map(ARTIFACT.read, rows)}


async def of_runs(session: Session, run_ids: Collection[str]) -> Mapping[str, Sequence[Artifact]]:
    """Return each run's artifacts, oldest first."""
    found: dict[str, list[Artifact]] = {run_id: [] for run_id in run_ids}
    for artifact in map(ARTIFACT.read, await session.rows(_OF_RUNS, run_ids=list(run_ids))):
        found[artifact.run_id].append(artifact)
    return found


async def content(session: Session, artifact: Artifact) -> AsyncIterator[bytes]:
    """Read an artifact's bytes, a statement for each chunk."""
    for number in range(-(-artifact.size // CHUNK)):
        row = await session.constant(_CHUNK, owner=artifact.tenant, sha256=artifact.sha256, number=number)
        if row is None:
            raise LookupError(f"Artifact {artifact.id} is gone.")
        yield row[0]


async def add(session: Session, artifact: Artifact, data: bytes | None) -> None:
    """Add an artifact; its bytes too, unless they are stored already."""
    await session.execute(_INSERT, ARTIFACT.values(artifact))
    if not data:
        return
    await session.alone("content", artifact.tenant, artifact.sha256)
    if await session.row(_HAS_CONTENT, owner=artifact.tenant, sha256=artifact.sha256):
        return
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    key = {"tenant": artifact.tenant, "sha256": artifact.sha256}
    await session.execute(_INSERT_CHUNK, *[{**key, "number": n, "content": chunk} for n, chunk in enumerate(chunks)])


async def drop_content_of_run(session: Session, run_id: str) -> None:
    """Remove the bytes that only this run's artifacts refer to; before the artifacts themselves."""
    if session.dialect == POSTGRESQL:
        await session.rows(_LOCK_OF_RUN, owner_id=run_id)
    await session.execute(_DROP_OF_RUN, {"owner_id": run_id})


async def drop_content_of_task(session: Session, task_id: str) -> None:
    """Remove the bytes that only this task's artifacts refer to; before the artifacts themselves."""
    if session.dialect == POSTGRESQL:
        await session.rows(_LOCK_OF_TASK, owner_id=task_id)
    await session.execute(_DROP_OF_TASK, {"owner_id": task_id})
