"""Records survive JSON: what is read back equals what was written."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.codec import (
    TIMES,
    camel_case,
    format_time,
    from_json,
    from_micros,
    to_json,
    to_json_object,
    to_micros,
)
from domain.events import PAYLOADS, TYPES, Event, EventType
from domain.model import Artifact, Decision, LogLine, Metric, Plan, Run, RunSettings, RunStatus, Task, Usage

from .strategies import record

RECORDS = [*PAYLOADS.values(), Event, Task, Run, Plan, Decision, LogLine, Metric, Artifact, Usage]


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_record_equals_what_is_read_back_from_its_json(cls: Any, data: st.DataObject) -> None:
    value = data.draw(record(cls))

    assert from_json(cls, json.loads(json.dumps(to_json_object(value), allow_nan=False))) == value


def test_each_event_type_has_its_own_payload() -> None:
    assert set(PAYLOADS) == set(EventType)
    assert {TYPES[cls]: cls for cls in PAYLOADS.values()} == dict(PAYLOADS)


def test_names_are_in_camel_case_and_enums_are_their_words() -> None:
    assert to_json(RunSettings()) == {
        "maxRounds": 5,
        "maxRevisionRounds": 2,
        "memorySize": 50,
        "approvalTimeout": 300,
        "onApprovalTimeout": "REJECT",
    }
    assert camel_case("cost_usd") == "costUsd"
    assert to_json(RunStatus.CANCELLING) == "CANCELLING"
    assert type(to_json(RunStatus.CANCELLING)) is str


def test_a_field_that_is_missing_takes_its_default_and_an_unknown_one_is_ignored() -> None:
    assert from_json(RunSettings, {"maxRounds": 7, "invented": 1}) == RunSettings(max_rounds=7)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "2026-11-23T09:30:00.000000Z"),
        (datetime(2026, 11, 23, 9, 30, 0, 42, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T07:30:00.000042Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_in_utc_with_six_digits_and_four_for_the_year(time: datetime, text: str) -> None:
    assert format_time(time) == text
    assert datetime.fromisoformat(text) == time


@given(time=st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_written_the_same_way_from_its_microseconds(time: datetime) -> None:
    micros = to_micros(time)
    assert from_micros(micros) == time
    assert TIMES[micros] == format_time(time)


def test_plain_values_keep_their_form() -> None:
    assert to_json({1: (None, True, 2.5, "é")}) == {"1": [None, True, 2.5, "é"]}


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, Usage])
def test_a_value_without_a_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        to_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", {"deep": [math.nan]}])
def test_numbers_that_are_not_finite_and_texts_outside_utf_8_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"not a finite number|surrogates not allowed"):
        to_json(value)
