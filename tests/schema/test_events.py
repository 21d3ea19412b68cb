"""Events: each type shows what its own record says."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events import PAYLOADS, Event, EventType
from domain.paging import Page, encode_event_cursor, log_cursor
from tests.schema.examples import TASK, events
from tests.schema.support import LOG_ID, Api
from tests.unit.lives import blank

EXAMPLES = events()
NOON = "2026-11-23T12:00:00.000000Z"
BASE = "__typename id cursor type timestamp message data taskId"
RUN = f"{BASE} ... on RunEvent {{ runId sequence status }}"

OWN_FIELDS = """
    ... on PlanReadyEvent { plan { version digest steps { key title status } changes { kind stepKey } } }
    ... on ApprovalRequiredEvent { plan { version } expiresAt }
    ... on ApprovedEvent { decision { kind planVersion actor decidedAt feedback } }
    ... on RejectedEvent { decision { kind } }
    ... on ChangesRequestedEvent { decision { kind feedback } }
    ... on ProgressEvent { step stepStatus stepIndex totalSteps attempt progress }
    ... on LogEvent { lines { cursor level message step timestamp } }
    ... on MetricEvent { metrics { id taskId name value labels timestamp } }
    ... on ArtifactEvent { artifact { id name mediaType size sha256 url createdAt } }
    ... on CompletionEvent { results }
    ... on FailureEvent { failure { code message step retryable } }
    ... on TaskUpdatedEvent { changedFields }
    ... on RunDeletedEvent { runId }
"""
EXPECTED: dict[EventType, dict[str, Any]] = {
    EventType.APPROVAL_REQUIRED: {"plan": {"version": 1}, "expiresAt": "2026-11-23T12:05:02.000000Z"},
    EventType.APPROVED: {
        "decision": {
            "kind": "APPROVED",
            "planVersion": 1,
            "actor": "ann",
            "decidedAt": "2026-11-23T12:00:03.000000Z",
            "feedback": "Go.",
        }
    },
    EventType.REJECTED: {"decision": {"kind": "REJECTED"}},
    EventType.CHANGES_REQUESTED: {"decision": {"kind": "CHANGES_REQUESTED", "feedback": "Shorter."}},
    EventType.PROGRESS: {
        "step": "a",
        "stepStatus": "COMPLETED",
        "stepIndex": 1,
        "totalSteps": 3,
        "attempt": 1,
        "progress": pytest.approx(1 / 3),
    },
    EventType.LOG: {
        "lines": [
            {
                "cursor": log_cursor("run_1", number),
                "level": level,
                "message": message,
                "step": step,
                "timestamp": NOON,
            }
            for number, level, message, step in ((1, "WARNING", "Careful.", "a"), (2, "INFO", "Done.", None))
        ]
    },
    EventType.METRIC: {
        "metrics": [
            {"id": "metric_1", "taskId": "task_1", "name": "rows", "value": 3.0, "labels": {}, "timestamp": NOON}
        ]
    },
    EventType.ARTIFACT: {
        "artifact": {
            "id": "artifact_1",
            "name": "report.md",
            "mediaType": "text/markdown",
            "size": 1.0,
            "sha256": "ab",
            "url": "/mgx/artifacts/artifact_1",
            "createdAt": NOON,
        }
    },
    EventType.COMPLETION: {"results": {"ok": True}},
    EventType.FAILURE: {"failure": {"code": "TEAM_ERROR", "message": "It broke.", "step": None, "retryable": True}},
    EventType.TASK_UPDATED: {"changedFields": ["name", "maxRounds"]},
    EventType.RUN_DELETED: {"runId": "run_1"},
}


def listing(api: Api, *listed: Event) -> None:
    """Let the log hold these events."""
    cursors = [encode_event_cursor(LOG_ID, event.pos) for event in listed]
    api.on(events__page=lambda *_: Page(items=listed, cursors=cursors))


async def shown(api: Api, event: Event, selection: str = f"{RUN} {OWN_FIELDS}") -> dict[str, Any]:
    listing(api, event)
    (node,) = (await api.data(f"{{ events {{ nodes {{ {selection} }} }} }}"))["events"]["nodes"]
    assert isinstance(node, dict)
    return node


def test_there_is_an_example_of_each_type() -> None:
    assert set(EXAMPLES) == set(EventType) == set(PAYLOADS)


@pytest.mark.parametrize("type_", EventType)
async def test_each_type_is_shown_from_its_own_record_alone(api: Api, type_: EventType) -> None:
    event = EXAMPLES[type_]

    node = await shown(api, event)

    name = "".join(part.title() for part in type_.split("_")) + "Event"
    expected: dict[str, Any] = {
        "__typename": name,
        "id": event.id,
        "cursor": encode_event_cursor(LOG_ID, event.pos),
        "type": type_,
        "timestamp": event.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "message": event.message,
        "data": event.data,
        "taskId": "task_1",
    }
    if event.sequence is not None:
        expected |= {"runId": "run_1", "sequence": event.sequence, "status": event.status}
    assert {**node, **expected, **EXPECTED.get(type_, {})} == node
    assert api.script.names == ["events.page"]


async def test_a_ready_plan_is_shown_as_it_was_then(api: Api) -> None:
    event = EXAMPLES[EventType.PLAN_READY]

    plan = (await shown(api, event))["plan"]

    assert plan["version"] == 1
    assert plan["digest"] == event.data["plan"]["digest"]  # type: ignore[index,call-overload]  # JSON
    assert plan["steps"] == [{"key": key, "title": f"Do {key}", "status": "PENDING"} for key in "abc"]


async def test_task_and_run_are_as_they_are_now_and_null_when_gone(api: Api) -> None:
    api.on(tasks__many=lambda ids, *_: dict.fromkeys(ids, TASK), runs__many=lambda *_: {})

    node = await shown(
        api, EXAMPLES[EventType.RUN_CREATED], "__typename task { id name } ... on RunEvent { run { id } }"
    )

    assert node == {"__typename": "RunCreatedEvent", "task": {"id": "task_1", "name": "Sales"}, "run": None}


async def test_tasks_and_runs_of_many_events_are_one_statement_each(api: Api) -> None:
    api.on(tasks__many=lambda ids, *_: dict.fromkeys(ids, TASK), runs__many=lambda ids, *_: dict.fromkeys(ids, blank()))
    listing(api, *EXAMPLES.values())

    await api.data("{ events { edges { cursor node { task { id } ... on RunEvent { run { id number } } } } } }")

    assert sorted(api.script.names) == ["events.page", "runs.many", "tasks.many"]


async def test_pages_say_what_is_around_them(api: Api) -> None:
    api.on(events__page=lambda *_: Page(has_next=True))

    page = await api.data(
        "{ events { edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
    )

    assert page["events"] == {
        "edges": [],
        "pageInfo": {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize(
    ("argument", "types"), [("", None), ("(types: [])", ()), ("(types: null)", None), ("(types: [LOG])", ("LOG",))]
)
async def test_types_filter_and_an_empty_list_matches_nothing(api: Api, argument: str, types: object) -> None:
    api.on(runs__many=lambda ids, *_: dict.fromkeys(ids, blank()), events__pages_of_runs=lambda *_: {})

    await api.data(f'{{ run(id: "run_1") {{ events{argument} {{ nodes {{ id }} }} }} }}')

    assert api.script.calls[-1][1][2] == types
