"""Subscriptions: what the feed is asked, and what is made of its events."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

import pytest

from domain.errors import CursorExpiredError, InvalidCursorError, UnknownSubjectError
from domain.events import EventType
from domain.model import ANONYMOUS
from domain.paging import encode_event_cursor
from domain.store import AllScope, RunScope, TaskScope
from tests.schema.examples import TASK, events
from tests.schema.support import LOG_ID, Api

EXAMPLES = events()
CURSOR = encode_event_cursor(LOG_ID, 5)
SCOPES = [
    ('runEvents(runId: "run_1"', RunScope("run_1")),
    ('taskEvents(taskId: "task_1"', TaskScope("task_1")),
    ("allEvents(", AllScope()),
]


@pytest.mark.parametrize(("field", "scope"), SCOPES)
async def test_events_come_in_order_with_their_cursors(api: Api, field: str, scope: object) -> None:
    told = [EXAMPLES[type_] for type_ in (EventType.RUN_CREATED, EventType.PLAN_READY, EventType.COMPLETION)]
    api.feed.batches = [told[:2], told[2:]]

    answers = await api.subscribe(f'subscription {{ {field} after: "{CURSOR}") {{ __typename cursor }} }}')

    name = field.split("(", maxsplit=1)[0]
    assert [answer["data"][name] for answer in answers] == [
        {"__typename": type_, "cursor": encode_event_cursor(LOG_ID, event.pos)}
        for type_, event in zip(("RunCreatedEvent", "PlanReadyEvent", "CompletionEvent"), told, strict=True)
    ]
    assert api.feed.asked == (ANONYMOUS, scope, 5, None)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("types: null", (None, None)),
        ("after: null, types: []", (None, ())),
        ("types: [PROGRESS, COMPLETION]", (None, (EventType.PROGRESS, EventType.COMPLETION))),
    ],
)
async def test_types_filter_what_is_sent(api: Api, arguments: str, expected: tuple[object, object]) -> None:
    await api.subscribe(f"subscription {{ allEvents({arguments}) {{ id }} }}")

    assert api.feed.asked is not None
    assert api.feed.asked[2:] == expected


@pytest.mark.parametrize(
    "cursor", ["", "x", CURSOR[:-1], CURSOR + "A", encode_event_cursor("another log", 5), "\N{SNOWMAN}"]
)
@pytest.mark.parametrize(("field", "_scope"), SCOPES)
async def test_a_bad_cursor_is_an_error_and_no_empty_stream(api: Api, field: str, _scope: object, cursor: str) -> None:
    query = f"subscription ($after: String) {{ {field} after: $after) {{ id }} }}"

    (answer,) = await api.subscribe(query, after=cursor)

    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert api.feed.asked is None


@pytest.mark.parametrize(
    ("refusal", "extensions"),
    [
        (UnknownSubjectError("run", "run_1"), {"code": "NOT_FOUND"}),
        (InvalidCursorError("Beyond."), {"code": "BAD_USER_INPUT"}),
        (CursorExpiredError("oldest"), {"code": "CURSOR_EXPIRED", "oldestCursor": "oldest"}),
    ],
)
async def test_what_can_not_be_followed_is_an_error(api: Api, refusal: Exception, extensions: dict[str, str]) -> None:
    api.feed.refusal = refusal

    (answer,) = await api.subscribe('subscription { runEvents(runId: "run_1") { id } }')

    assert answer["errors"][0]["extensions"] == extensions


async def test_each_event_is_answered_as_of_its_delivery(api: Api) -> None:
    names = iter(["Sales", "Renamed"])
    api.on(tasks__many=lambda ids, *_: dict.fromkeys(ids, replace(TASK, name=next(names))))
    api.feed.batches = [[EXAMPLES[EventType.TASK_CREATED]], [EXAMPLES[EventType.TASK_UPDATED]]]
    seen = []

    async with aclosing(api.stream("subscription { allEvents { task { name eventCursor } } }")) as answers:
        async for answer in answers:
            seen.append(answer["data"]["allEvents"]["task"])
            api.feed.position += 1

    assert seen == [
        {"name": "Sales", "eventCursor": encode_event_cursor(LOG_ID, 41)},
        {"name": "Renamed", "eventCursor": encode_event_cursor(LOG_ID, 42)},
    ]


@pytest.mark.parametrize(("field", "_scope"), SCOPES)
async def test_a_subscriber_who_leaves_leaves_the_feed(api: Api, field: str, _scope: object) -> None:
    api.feed.batches = [[EXAMPLES[EventType.PROGRESS]] * 3]

    async with aclosing(api.stream(f"subscription {{ {field} types: null) {{ id }} }}")) as answers:
        await anext(answers)
        assert not api.feed.left

    assert api.feed.left
