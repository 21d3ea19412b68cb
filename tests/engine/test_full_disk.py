"""A disk that is full in the middle of a run, and has room again later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from domain.errors import StoreFullError
from domain.model import RunStatus
from domain.ports import ExecutionContext
from domain.signals import LineSaid, Signal, StepFinished, StepStarted
from storage import store
from tests.engine import support
from tests.engine.support import Engine, Script, ScriptedTeams, open_engine, types

PAGES = 500
LINES = 2_000  # of 4 kB each: four times what fits


async def _talk(context: ExecutionContext) -> AsyncIterator[Signal]:
    for step in context.plan.steps:
        if step.status.is_final:
            continue
        yield StepStarted(key=step.key)
        for _ in range(LINES // 2):
            yield LineSaid(message="x" * 4_000, step=step.key)
        yield StepFinished(key=step.key)


class _Waiting(logging.Handler):
    """Notices that a run waits for the store."""

    def __init__(self) -> None:
        super().__init__()
        self.noticed = asyncio.Event()

    def emit(self, _: logging.LogRecord) -> None:
        self.noticed.set()


@pytest.fixture
def waiting() -> Iterator[_Waiting]:
    handler, log = _Waiting(), logging.getLogger("domain.executor")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


async def test_mutations_refuse_reads_go_on_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: _Waiting
) -> None:
    teams = ScriptedTeams(script=Script(execute=_talk))
    with monkeypatch.context() as small:
        full = store.SqliteSettings(max_pages=PAGES)
        small.setattr(support, "open_store", partial(store.open_store, settings=full))
        async with open_engine(tmp_path / "mgx.db", teams) as engine:
            run = await engine.start(await engine.task(), auto_approve=True)
            await asyncio.wait_for(waiting.noticed.wait(), 30)
            with pytest.raises(StoreFullError):
                await fill(engine)
            assert (await engine.run(run.id)).status is RunStatus.RUNNING
    async with open_engine(tmp_path / "mgx.db", teams) as engine:
        events = await engine.until(run.id)
    assert "RESUMED" in types(events)
    assert types(events)[-1] == "COMPLETION"
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def fill(engine: Engine) -> None:
    """Write until nothing fits any more; something small may still have."""
    for _ in range(PAGES):
        await engine.task(description="y" * 20_000)
