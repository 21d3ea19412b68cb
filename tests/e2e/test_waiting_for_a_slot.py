"""Runs that wait for a worker: the higher priority first, then the older."""

from pathlib import Path

import pytest

from tests.e2e.server import serving
from tests.e2e.work import QUICK, new_run, new_task, running

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_higher_priority_goes_first_and_then_the_older(tmp_path: Path) -> None:
    async with serving(tmp_path, max_concurrent_runs=1, default_team="rehearsal") as served:
        api = served.api
        holder = await running(api)
        task = await new_task(api, config={**QUICK, "steps": 1})
        waiting = [await new_run(api, task, autoApprove=True, priority=priority) for priority in (0, -1, 5, 0, 5)]
        await api.do("cancelRun", runId=holder["id"])
        for run in waiting:
            await api.life(run["id"])
        done = [await api.run(run["id"], "number startedAt") for run in waiting]
        assert [run["number"] for run in sorted(done, key=lambda run: run["startedAt"])] == [3, 5, 1, 4, 2]


async def test_an_approved_run_may_wait_for_a_slot(tmp_path: Path) -> None:
    async with serving(tmp_path, max_concurrent_runs=1, default_team="rehearsal") as served:
        api = served.api
        run = await new_run(api)
        await api.until(run["id"], "AWAITING_APPROVAL")
        holder = await running(api)
        approved = await api.do("approveRun", runId=run["id"])
        assert (approved["status"], approved["progress"], approved["currentStep"]) == ("RUNNING", 0.0, None)
        await api.do("cancelRun", runId=holder["id"])
        assert (await api.life(run["id"]))[-1]["type"] == "COMPLETION"
