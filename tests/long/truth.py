"""What the server says after the storm, read through the API page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tests.long.api import EVENT, RUN_STATE, Api
from tests.long.people import People
from tests.long.records import Event, Json, Story
from tests.long.rules_of_life import check_life
from tests.long.rules_of_state import check_acks, check_state, check_task, check_turns
from tests.long.rules_of_streams import check_log, check_streams

_RUN = f"query ($id: ID!) {{ run(id: $id) {{ {RUN_STATE} }} }}"
_PAGE = f"(first: 100, after: $after) {{ nodes {{ {EVENT} }} pageInfo {{ hasNextPage endCursor }} }}"
_RUN_EVENTS = f"query ($id: ID!, $after: String) {{ run(id: $id) {{ events{_PAGE} }} }}"
_ALL_EVENTS = f"query ($after: String) {{ events{_PAGE} }}"
_TASK = """query ($id: ID!, $after: String) { task(id: $id) {
  name totalRuns successfulRuns failedRuns successRate
  runs(first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } }"""


async def read_story(api: Api, story: Story) -> None:
    """Read a run and its log."""
    story.state = (await api.query(_RUN, id=story.run_id))["run"]
    more, after = True, None
    while more:
        page = (await api.query(_RUN_EVENTS, id=story.run_id, after=after))["run"]["events"]
        story.events += page["nodes"]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]


async def read_log(api: Api, after: str) -> list[Event]:
    """Read everything that happened after a cursor."""
    events: list[Event] = []
    more = True
    while more:
        page = (await api.query(_ALL_EVENTS, after=after))["events"]
        events += page["nodes"]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    return events


async def read_task(api: Api, task_id: str) -> Json:
    """Read a task with all its runs."""
    task: Json = {}
    runs: list[Json] = []
    more, after = True, None
    while more:
        task = (await api.query(_TASK, id=task_id, after=after))["task"]
        page = task["runs"]
        runs += page["nodes"]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    return {**task, "runs": runs}


async def check_artifacts(api: Api, story: Story) -> list[str]:
    """Return which of a run's artifacts are not what the run says they are."""
    complaints = []
    for artifact in story.state["artifacts"]:
        content = await api.content(artifact["url"])
        if (hashlib.sha256(content).hexdigest(), len(content)) != (artifact["sha256"], artifact["size"]):
            complaints.append(f"P1 artifact {artifact['name']} has other bytes than were stored")
    return complaints


def check_story(story: Story) -> Iterator[str]:
    """Yield every promise that was broken for a run."""
    broken = [*check_log(story.events), *check_life(story.events)]
    yield from broken
    yield from check_streams(story)
    if not broken:  # what a log means that can't be is anyone's guess
        yield from check_acks(story)
        yield from check_state(story)


async def check_tasks(api: Api, people: People, log: list[Event]) -> list[str]:
    """Return what is wrong with the tasks and with whose turn it was."""
    complaints: list[str] = []
    for name, task_id in people.tasks.items():
        stories = [story for story in people.stories if story.script.task == name]
        complaints += check_task(await read_task(api, task_id), stories)
        if name in {"queue", "newest"}:
            complaints += check_turns(log, task_id)
    return complaints
