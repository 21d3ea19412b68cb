"""What is looked at after blows to a cluster is found: runs that stood still, takeovers, streams that broke."""

from datetime import datetime

import pytest

from tests.long.members import Blow
from tests.long.pace import Pace
from tests.long.records import End, Event, Leg, Story
from tests.long.rolling import check_noticed
from tests.long.sample_story import RUN, good_story

LIMIT = 9.0
LOST = 8
"""Where the sample run's worker was lost: after its eighth event, 1 s before RESUMED."""


def _time(event: Event) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def _delay(story: Story, place: int, seconds: int) -> None:
    """Have all events from a place on come later."""
    for event in story.events[place:]:
        time = datetime.fromisoformat(event["timestamp"])
        event["timestamp"] = time.replace(minute=seconds // 60, second=time.second + seconds % 60).isoformat()


def test_a_takeover_is_measured_from_the_first_blow_after_the_last_sign_of_life() -> None:
    story = good_story()
    heard = _time(story.events[LOST - 1])
    blows = [Blow("KILL", "worker-1", heard - 0.5), Blow("KILL", "worker-2", heard + 0.25)]
    figures = Pace(blows, LIMIT).figures([story])
    assert figures["takeover"] == {"n": 1, "p50": 0.75, "p95": 0.75, "max": 0.75}
    assert figures["takeoversWithoutCause"] == []


def test_a_takeover_that_nothing_led_to_is_named() -> None:
    figures = Pace([], LIMIT).figures([good_story()])
    assert figures["takeover"]["n"] == 0
    assert figures["takeoversWithoutCause"] == [f"run {RUN}, event {LOST + 1}"]


@pytest.mark.parametrize(("place", "is_odd"), [(LOST, True), (4, False)], ids=["worked on", "waiting for a person"])
def test_a_run_may_stand_still_only_while_it_waits(place: int, is_odd: bool) -> None:
    story = good_story()
    _delay(story, place, 20)
    blow = Blow("KILL", "worker-1", _time(story.events[LOST]) - 0.5)
    assert Pace([blow], LIMIT).is_odd(story) is is_odd


def test_a_takeover_without_a_cause_is_odd() -> None:
    assert Pace([], LIMIT).is_odd(good_story())


def test_each_failure_allows_for_a_standstill_of_its_own() -> None:
    story = good_story()
    _delay(story, LOST, 17)
    heard = _time(story.events[LOST - 1])
    blows = [Blow("KILL", "worker-1", heard + 1), Blow("FREEZE", "worker-2", heard + 6)]
    assert Pace(blows[:1], LIMIT).is_odd(story)
    assert not Pace(blows, LIMIT).is_odd(story)


def test_a_lost_worker_and_a_broken_stream_are_noticed_in_a_rolling_restart() -> None:
    complaints = list(check_noticed(good_story()))
    assert [complaint.partition(":")[0] for complaint in complaints] == [
        "P6 taken over for WORKER_LOST at 9, where all were told to end",
        "P3 a stream broke with 1006",
    ]


@pytest.mark.parametrize(
    ("transport", "detail"),
    [("ws", "1012"), ("sse", "the stream ended without complete"), ("ws", "no connection: refused"), ("sse", "503")],
)
def test_a_hand_over_and_an_orderly_end_are_not(transport: str, detail: str) -> None:
    story = good_story()
    story.events[LOST]["data"]["reason"] = "HANDED_OVER"
    story.legs["subscriber 1"] = [Leg(transport, 0, story.events[:4], End.LOST, detail)]
    assert list(check_noticed(story)) == []
