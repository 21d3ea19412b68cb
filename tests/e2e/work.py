"""Tasks and runs in the states that tests begin with."""

from typing import Any, Final

from tests.e2e.client import Api

QUICK: Final = {"steps": 2, "stepSeconds": 0, "planSeconds": 0}
"""A rehearsal that plans and executes at once."""

PLANS_FOREVER: Final = {"planSeconds": 3600}
RUNS_FOREVER: Final = {"steps": 2, "stepSeconds": 3600, "planSeconds": 0}


async def new_task(api: Api, **fields: Any) -> Any:
    """Create a task whose runs are quick, unless the fields say otherwise."""
    return await api.do("createTask", {"name": "A task", "team": "rehearsal", "config": QUICK, **fields})


async def new_run(api: Api, task: Any | None = None, **fields: Any) -> Any:
    """Create a run of a task, of a new one where none is given."""
    task = task or await new_task(api)
    return await api.do("createRun", {"taskId": task["id"], **fields})


async def planning(api: Api, task: Any | None = None, **fields: Any) -> Any:
    """Return a run that is planned for an hour."""
    run = await new_run(api, task, config=PLANS_FOREVER, **fields)
    return await api.until(run["id"], "ANALYZING")


async def awaiting(api: Api, task: Any | None = None, **fields: Any) -> Any:
    """Return a run whose plan awaits a decision."""
    run = await new_run(api, task, **fields)
    return await api.until(run["id"], "AWAITING_APPROVAL")


async def running(api: Api, task: Any | None = None, **fields: Any) -> Any:
    """Return a run whose first step takes an hour."""
    run = await new_run(api, task, config=RUNS_FOREVER, autoApprove=True, **fields)
    return await api.until(run["id"], lambda event: event["type"] == "PROGRESS")


async def ended(api: Api, task: Any | None = None, **fields: Any) -> Any:
    """Return a run that was approved by policy and has ended."""
    run = await new_run(api, task, **{"autoApprove": True, **fields})
    await api.life(run["id"])
    return await api.run(run["id"])


async def cancelled(api: Api, task: Any | None = None, **fields: Any) -> Any:
    """Return a run that was cancelled while it awaited a decision."""
    run = await awaiting(api, task, **fields)
    return await api.do("cancelRun", runId=run["id"])
