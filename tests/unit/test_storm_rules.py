from collections.abc import Callable
from copy import deepcopy

import pytest

from tests.long.records import Ack, End, Event, Leg, Story
from tests.long.rules_of_state import check_task, check_turns
from tests.long.sample_story import good_story, good_task
from tests.long.truth import check_story

Spoil = Callable[[Story], object]


def spoiled(spoil: Spoil) -> list[str]:
    story = deepcopy(good_story())
    spoil(story)
    return list(check_story(story))


def drop(place: int) -> Spoil:
    """Lose an event in the log and in what was seen, so that only the log itself can tell."""
    return lambda story: story.events.pop(place)


def leg(number: int) -> Callable[[Story], Leg]:
    return lambda story: story.legs["subscriber 1"][number]


def set_in(event: int, **values: object) -> Spoil:
    return lambda story: story.events[event].update(values)


def set_in_data(event: int, **values: object) -> Spoil:
    return lambda story: story.events[event]["data"].update(values)


def append_event(story: Story) -> None:
    last: Event = {**story.events[-1], "type": "LOG", "id": "event_14", "sequence": 14, "data": {"lines": []}}
    story.events.append(last)


def test_a_run_in_which_every_promise_was_kept_is_found_so() -> None:
    story = good_story()

    assert list(check_story(story)) == []
    assert list(check_task(good_task(story), [story])) == []
    assert list(check_turns(story.events, "task_1")) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        pytest.param(drop(6), "P2 the log is numbered", id="a gap in the log"),
        pytest.param(set_in(3, id="event_3"), "P2 two events have one id", id="an id that is used twice"),
        pytest.param(append_event, "P4 terminal events are at", id="an event after the terminal one"),
        pytest.param(lambda s: leg(1)(s).events.pop(0), "P3 got", id="a gap at a resume"),
        pytest.param(lambda s: leg(2)(s).events.insert(0, s.events[4]), "P3 got", id="a repeat at a resume"),
        pytest.param(
            lambda s: leg(1)(s).events.__setitem__(0, {**s.events[4], "message": "other"}),
            "P2 got another event",
            id="an event that changed",
        ),
        pytest.param(lambda s: setattr(leg(0)(s), "end", End.COMPLETE), "P4 complete after", id="complete at a cut"),
        pytest.param(
            lambda s: setattr(leg(1)(s), "detail", "1011"), "P3 the server closed", id="an error's close code"
        ),
        pytest.param(lambda s: setattr(leg(1)(s), "end", End.REFUSED), "P3 the stream ended", id="a refused resume"),
        pytest.param(
            lambda s: s.legs.update({"subscriber 2": [Leg("ws", 0, s.events, End.CUT)]}),
            "P4 never told",
            id="an end that is never told",
        ),
        pytest.param(set_in(4, type="PROGRESS"), "P4 PROGRESS at 5 can't follow", id="work without an approval"),
        pytest.param(set_in(5, status="ANALYZING"), "P4 event 6", id="a wrong status"),
        pytest.param(set_in_data(11, step="step-1"), "P5 step-1 at 12 is COMPLETED", id="a step completed twice"),
        pytest.param(set_in(8, type="ARTIFACT"), "P5 step-2 at 10 starts again", id="a second start out of the blue"),
        pytest.param(set_in_data(9, attempt=3), "P5 step-2 at 10 is of attempt 3", id="a start that is not counted"),
        pytest.param(set_in_data(7, progress=0.2), "P5 the progress goes back", id="progress that goes back"),
        pytest.param(set_in(11, type="METRIC"), "P5 completed without", id="an end without its steps"),
        pytest.param(
            lambda s: s.events[-1].update(type="FAILURE", data={"failure": {"code": "WORKER_LOST"}}),
            "P6 given up after 2",
            id="a run given up too early",
        ),
        pytest.param(
            lambda s: s.acks.append(Ack("requestPlanChanges", {"planVersion": 1, "feedback": "x"}, None, "run_1")),
            "P1 requestPlanChanges was answered with success, and counts 0",
            id="an acknowledged decision that is lost",
        ),
        pytest.param(
            lambda s: s.acks.append(Ack("cancelRun", {}, None, "run_1")),
            "P1 cancelRun was answered with success, and counts 0",
            id="an acknowledged cancel that is lost",
        ),
        pytest.param(
            lambda s: s.acks.__setitem__(0, Ack("approveRun", s.acks[0].input, "CONFLICT", None, "digest")),
            "P1 approveRun was answered CONFLICT, and counts 1",
            id="a refused decision that counts",
        ),
        pytest.param(
            lambda s: s.acks.__setitem__(0, Ack("approveRun", s.acks[0].input, "LIMIT_REACHED", None, "digest")),
            "P1 approveRun was refused with LIMIT_REACHED",
            id="a refusal that makes no sense",
        ),
        pytest.param(
            lambda s: s.acks.__setitem__(0, Ack("approveRun", s.acks[0].input, None, "run_1", "another")),
            "P7 nobody took the decision",
            id="an approval of another plan than was shown",
        ),
        pytest.param(lambda s: s.state.update(status="FAILED"), "P2 the run's status", id="a state of its own"),
        pytest.param(lambda s: s.state["logs"]["nodes"].clear(), "P2 the run's lines", id="a lost line"),
        pytest.param(lambda s: s.state["decisions"].clear(), "P2 the run's decisions", id="a lost decision"),
        pytest.param(
            lambda s: s.state["plan"]["steps"][1].update(status="FAILED"), "P2 the run's steps", id="a step's own state"
        ),
    ],
)
def test_a_broken_promise_is_found(spoil: Spoil, complaint: str) -> None:
    found = spoiled(spoil)

    assert any(one.startswith(complaint) for one in found), found


def test_a_run_that_nobody_created_is_found() -> None:
    story = good_story()
    task = good_task(story)
    task["runs"].append({"id": "run_2"})

    assert any("has runs" in one for one in check_task(task, [story]))


def test_a_wrong_counter_is_found() -> None:
    story = good_story()

    assert any("counts" in one for one in check_task(good_task(story) | {"successfulRuns": 2}, [story]))


def test_a_run_that_is_begun_before_its_turn_is_found() -> None:
    first = good_story().events
    second = [{**event, "runId": "run_2"} for event in first]

    assert list(check_turns([*first[:5], *second[:2]], "task_1")) == [
        "P4 run run_2 was begun before run run_1 had ended"
    ]
