"""Times and JSON, as they come in and go out."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from graphql import GraphQLError, parse_value

from domain.paging import Page, TimeRange
from graph.types.scalars import MAX_JSON_DEPTH, parse_json, parse_json_literal, parse_time, print_json, print_time
from tests.schema.support import Api

SINCE = "query ($from: DateTime) { metrics(filter: {range: {from: $from}}) { nodes { id } } }"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-23T09:30:00Z", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23t09:30:00z", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("2026-11-23 09:30:00.5+02:00", datetime(2026, 11, 23, 7, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-23T09:30:00.123456789-00:30", datetime(2026, 11, 23, 10, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_a_time_with_an_offset_is_read_as_utc(text: str, time: datetime) -> None:
    assert parse_time(text) == time
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-23T09:30:00",
        "2026-11-23",
        "2026-11-23T09:30Z",
        "20261123T093000Z",
        "2026-W48-1T09:30:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-23T09:30:60Z",
        "2026-11-23T09:30:00+25:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "\u0662\u0660\u0662\u0666-11-23T09:30:00Z",
        " 2026-11-23T09:30:00Z",
        "",
        1_700_000_000,
        None,
        ["2026-11-23T09:30:00Z"],
    ],
)
def test_anything_else_is_no_time(value: object) -> None:
    with pytest.raises(GraphQLError, match="such as 2026-11-23T09:30:00Z"):
        parse_time(value)


def test_times_are_printed_in_utc_with_six_digits() -> None:
    time = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=2)))

    assert print_time(time) == "2026-11-23T07:30:00.000000Z"


@pytest.mark.parametrize("value", [datetime(2026, 11, 23), "2026-11-23T07:30:00Z"])  # noqa: DTZ001 - what is refused
def test_a_time_without_an_offset_never_leaves(value: object) -> None:
    with pytest.raises(GraphQLError):
        print_time(value)


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "text", [], {}, {"a": [1, {"b": None}]}, 2**80])
def test_json_passes_as_it_is(value: Any) -> None:
    assert parse_json(value) == value
    assert print_json(value) == value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [lambda bad: bad, lambda bad: [1, bad], lambda bad: {"a": {"b": (bad,)}}])
def test_what_json_has_no_number_for_is_refused_both_ways(bad: float, place: Any) -> None:
    with pytest.raises(GraphQLError, match="NaN"):
        parse_json(place(bad))
    with pytest.raises(GraphQLError, match="NaN"):
        print_json(place(bad))


def test_an_infinite_literal_is_refused() -> None:
    with pytest.raises(GraphQLError, match="NaN"):
        parse_json_literal(parse_value("{a: 1e999}"))


def test_a_literal_may_hold_variables() -> None:
    assert parse_json_literal(parse_value("{a: $x, b: [1, 2.5, TEXT]}"), {"x": 3}) == {"a": 3, "b": [1, 2.5, "TEXT"]}


def test_json_from_a_client_has_a_deepest_level() -> None:
    deepest: Any = 1
    for _ in range(MAX_JSON_DEPTH):
        deepest = [deepest]

    assert parse_json(deepest) == deepest
    with pytest.raises(GraphQLError, match="100 levels"):
        parse_json([deepest])


async def test_a_bad_time_in_a_variable_is_bad_user_input(api: Api) -> None:
    assert await api.code(SINCE, **{"from": "2026-11-23"}) == "BAD_USER_INPUT"


async def test_a_bad_time_in_the_document_is_a_validation_error(api: Api) -> None:
    query = '{ metrics(filter: {range: {from: "2026-11-23"}}) { nodes { id } } }'

    assert await api.code(query) == "GRAPHQL_VALIDATION_FAILED"


async def test_a_good_time_reaches_the_query(api: Api) -> None:
    api.on(metrics__page=lambda *_: Page())

    await api.data(SINCE, **{"from": "2026-11-23T10:30:00+01:00"})

    ((_, (_, which), _),) = api.script.calls
    assert which.range == TimeRange(datetime(2026, 11, 23, 9, 30, tzinfo=UTC), None)


async def test_deep_json_is_refused_before_it_reaches_a_use_case(api: Api) -> None:
    query = 'mutation ($c: JSON) { createTask(input: {name: "x", config: $c}) { task { id } } }'
    config: Any = {}
    for _ in range(MAX_JSON_DEPTH + 1):
        config = {"a": config}

    assert await api.code(query, c=config) == "BAD_USER_INPUT"
    assert api.script.calls == []
