"""A clock that jumps while runs wait: nobody is stuck, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain import runner
from domain.events import EventType
from domain.model import ANONYMOUS, RunStatus
from graph.clock import SystemClock
from tests.engine.support import open_engine, types


async def test_runs_go_on_when_the_clock_jumps_back_and_deadlines_fire_when_it_jumps_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumped = timedelta()
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) + jumped)
    monkeypatch.setattr(runner, "LONGEST_SLEEP", 0.02)
    async with open_engine(tmp_path / "mgx.db") as engine:
        task = await engine.task(approval_timeout=600)
        decided, cancelled, left = [await engine.start(task) for _ in range(3)]
        for run in (decided, cancelled, left):
            await engine.until(run.id, EventType.APPROVAL_REQUIRED)

        jumped = timedelta(hours=-1)
        await engine.approve(decided.id)
        await engine.runs.cancel(ANONYMOUS, cancelled.id, reason=None)
        assert types(await engine.until(decided.id))[-1] == "COMPLETION"
        assert types(await engine.until(cancelled.id))[-1] == "CANCELLED"
        late = await engine.start(task, auto_approve=True)
        assert types(await engine.until(late.id))[-1] == "COMPLETION"
        assert (await engine.run(decided.id)).duration == 0.0
        assert (await engine.run(left.id)).status is RunStatus.AWAITING_APPROVAL

        jumped = timedelta(hours=1)
        events = await engine.until(left.id)
        assert types(events)[-1] == "TIMEOUT"
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert engine.feed.statistics().lag_ms >= 0
