"""What a team reports of its steps and in its log, and what of it is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain import commands as c
from domain.errors import (
    InvalidSignalError,
)
from domain.events import EventType
from domain.hearing import MAX_LINE_BYTES
from domain.model import (
    LogLevel,
    RunStatus,
    StepStatus,
    Usage,
)
from domain.transitions import FINAL

from .lives import (
    APPROVE,
    ARTIFACT,
    CLAIM,
    FAILURE,
    METRIC,
    NOON,
    Life,
    at,
    deliver,
    line,
)

S = RunStatus
T = EventType
WRITE = c.WriteLog(lines=(line(),))
GIVEN = c.RecordMetrics(metrics=(METRIC,))
SPENT = Usage(requests=1, input_tokens=10, output_tokens=5, cost_usd=0.25)


# Steps


def progress_of(life: Life) -> dict[str, Any]:
    (event,) = life.transition.events
    assert event.type is T.PROGRESS
    return event.data


def test_a_step_starts_moves_and_ends() -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(APPROVE)
    life.do(CLAIM)

    life.do(c.StartStep(key="b"))
    started = life.now
    assert progress_of(life) == {
        "step": "b",
        "stepStatus": "RUNNING",
        "stepIndex": 2,
        "totalSteps": 3,
        "attempt": 1,
        "progress": 0.0,
        "output": None,
        "error": None,
        "usage": {"requests": 0, "inputTokens": 0, "outputTokens": 0, "costUsd": 0.0},
    }
    assert life.run.current_step == "b"

    life.do(c.AdvanceStep(key="b", fraction=0.75, usage=SPENT))
    assert progress_of(life)["progress"] == 0.25
    assert life.run.usage == SPENT

    life.do(c.FinishStep(key="b", output=(1, 2)))  # type: ignore[arg-type]
    assert (progress_of(life)["stepStatus"], progress_of(life)["output"]) == ("COMPLETED", [1, 2])
    step = life.step("b")
    assert (step.status, step.starts, step.started_at, step.completed_at, step.output) == (
        StepStatus.COMPLETED,
        1,
        started,
        life.now,
        [1, 2],
    )
    assert life.run.current_step is None


def test_a_teams_own_retry_starts_the_step_again_and_progress_does_not_go_back() -> None:
    life = at(S.RUNNING)
    life.do(c.AdvanceStep(key="a", fraction=0.9))
    life.do(c.StartStep(key="a"))
    assert (progress_of(life)["attempt"], progress_of(life)["progress"]) == (2, pytest.approx(0.3))
    assert life.step("a").started_at == life.now

    life.do(c.AdvanceStep(key="a", fraction=0.1))

    assert progress_of(life)["progress"] == pytest.approx(0.3)


@pytest.mark.parametrize(("fraction", "progress"), [(-1.0, 0.0), (2.0, 1 / 3), (math.inf, 1 / 3)])
def test_a_fraction_beyond_its_range_counts_as_its_end(fraction: float, progress: float) -> None:
    life = at(S.RUNNING)
    life.do(c.AdvanceStep(key="a", fraction=fraction))

    assert life.run.progress == progress


def test_steps_may_overlap_and_the_current_one_is_the_one_that_started_last() -> None:
    life = at(S.RUNNING)
    life.do(c.StartStep(key="c"))
    life.do(c.StartStep(key="b"))
    assert life.run.current_step == "b"
    life.do(c.AdvanceStep(key="a", fraction=0.5))
    assert life.run.current_step == "b"
    life.do(c.FinishStep(key="b"))
    assert life.run.current_step == "c"
    life.do(c.FinishStep(key="c"))
    assert life.run.current_step == "a"


def test_a_step_that_failed_says_why_and_the_run_can_t_complete() -> None:
    life = at(S.RUNNING)
    life.do(c.FailStep(key="a", error="Out of rows.", usage=SPENT))
    assert (life.step("a").status, life.step("a").error) == (StepStatus.FAILED, "Out of rows.")
    assert life.run.usage == SPENT
    life.do(*(c.FinishStep(key=key, skipped=True) for key in "bc"))

    with pytest.raises(InvalidSignalError, match="before these steps were done: a"):
        life.do(c.Finish(results=None))
    life.do(c.Fail(failure=FAILURE))


def test_a_step_and_its_run_fail_in_one_transaction() -> None:
    life = at(S.RUNNING)
    life.do(c.FailStep(key="a", error="No."), c.Fail(failure=replace(FAILURE, step="a"), usage=SPENT))

    assert life.told == (T.PROGRESS, T.FAILURE)
    assert [event.status for event in life.transition.events] == [S.RUNNING, S.FAILED]
    assert life.run.failure == replace(FAILURE, step="a")
    assert life.run.usage == SPENT


def test_several_commands_happen_together_or_not_at_all() -> None:
    life = at(S.RUNNING)
    before = life.transition

    with pytest.raises(InvalidSignalError):
        life.do(WRITE, c.FinishStep(key="a"), c.FinishStep(key="nothing"))

    assert life.transition is before


def test_a_step_that_need_not_be_done_is_skipped_without_a_start() -> None:
    life = at(S.RUNNING)
    life.do(c.FinishStep(key="b", output="n/a", skipped=True))

    assert (life.step("b").status, life.step("b").starts) == (StepStatus.SKIPPED, 0)
    assert progress_of(life)["progress"] == pytest.approx(1 / 3)


def test_a_run_is_complete_when_its_steps_are() -> None:
    life = at(S.COMPLETED)

    assert life.run.results == {"ok": True}
    assert life.run.progress == 1.0
    assert life.run.duration == (life.now - NOON - timedelta(seconds=1)).total_seconds()
    assert life.transition.events[-1].data["results"] == {"ok": True}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (c.StartStep(key="z"), "has no step 'z'"),
        (c.AdvanceStep(key="b", fraction=0.5), "Step 'b' was not started"),
        (c.FinishStep(key="b"), "Step 'b' was not started"),
        (c.FailStep(key="b", error="No."), "Step 'b' was not started"),
        (c.AdvanceStep(key="a", fraction=math.nan), "must be a number from 0 to 1"),
        (c.FinishStep(key="a", output={1, 2}), "JSON has no form for: set"),  # type: ignore[arg-type]
        (c.FinishStep(key="a", output=math.nan), "JSON has no form for: nan"),
        (c.FinishStep(key="a", output="\ud800"), "JSON has no form for"),
        (c.RecordMetrics(metrics=(replace(METRIC, value=math.inf),)), "JSON has no form for: inf"),
        (c.Finish(results=None), "before these steps were done: a, b, c"),
        (c.Stopped(), "Stopped does not fit a run that is RUNNING"),
        (deliver(), "DeliverPlan does not fit a run that is RUNNING"),
    ],
)
def test_what_does_not_fit_the_plan_is_refused(command: c.WorkerCommand, message: str) -> None:
    with pytest.raises(InvalidSignalError, match=message):
        at(S.RUNNING).do(command)


@pytest.mark.parametrize("command", [c.StartStep(key="a"), c.FinishStep(key="a"), c.FinishStep(key="a", skipped=True)])
def test_a_step_is_recorded_complete_once(command: c.WorkerCommand) -> None:
    life = at(S.RUNNING)
    life.do(c.FinishStep(key="a"))

    with pytest.raises(InvalidSignalError, match="COMPLETED already"):
        life.do(command)


SAID: list[c.WorkerCommand] = [
    deliver(),
    c.StartStep(key="a"),
    c.AdvanceStep(key="a", fraction=0.5),
    c.FinishStep(key="a"),
    c.FailStep(key="a", error="No."),
    WRITE,
    c.RecordMetrics(metrics=(METRIC,), by_team=True),
    c.StoreArtifact(artifact=ARTIFACT),
    c.Finish(results=None),
    c.Fail(failure=FAILURE),
    c.Stopped(),
]


@pytest.mark.parametrize("command", SAID, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("status", sorted(FINAL | {S.PENDING, S.AWAITING_APPROVAL}), ids=str)
def test_no_team_is_heard_while_none_works(status: RunStatus, command: c.WorkerCommand) -> None:
    with pytest.raises(InvalidSignalError, match=f"does not fit a run that is {status}"):
        at(status).do(command)


@pytest.mark.parametrize("status", sorted(FINAL), ids=str)
def test_nothing_follows_the_end_not_even_metrics(status: RunStatus) -> None:
    life = at(status)

    with pytest.raises(InvalidSignalError):
        life.do(GIVEN)
    life.do(c.HandOver())
    assert life.told == ()


# Logs


def test_lines_are_numbered_over_the_whole_run() -> None:
    life = at(S.ANALYZING)
    life.do(c.WriteLog(lines=(line("one"), line("two"))))
    life.do(c.WriteLog(lines=(replace(line("three"), level=LogLevel.ERROR, step="a"),)))

    (payload,) = life.transition.payloads
    (three,) = payload.lines  # type: ignore[union-attr]
    assert (three.number, three.message, three.level, three.step) == (3, "three", LogLevel.ERROR, "a")
    assert life.run.log_count == 3
    assert life.transition.events[0].message == "three"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("x" * MAX_LINE_BYTES, "x" * MAX_LINE_BYTES),
        ("x" * (MAX_LINE_BYTES + 1), "x" * MAX_LINE_BYTES),
        ("é" * (MAX_LINE_BYTES // 2), "é" * (MAX_LINE_BYTES // 2)),
        ("x" + "é" * MAX_LINE_BYTES, "x" + "é" * (MAX_LINE_BYTES // 2 - 1)),
        ("𝄞" * MAX_LINE_BYTES, "𝄞" * (MAX_LINE_BYTES // 4)),
        ("xx" + "𝄞" * MAX_LINE_BYTES, "xx" + "𝄞" * (MAX_LINE_BYTES // 4 - 1)),
        ("lone \ud800 half", "lone ? half"),
    ],
)
def test_a_line_is_cut_at_8_kib_on_the_border_of_a_character(said: str, kept: str) -> None:
    life = at(S.RUNNING)
    life.do(c.WriteLog(lines=(line(said),)))

    assert life.transition.payloads[0].lines[0].message == kept  # type: ignore[union-attr]


def test_errors_of_teams_are_cut_and_cleaned_like_lines() -> None:
    life = at(S.RUNNING)
    life.do(
        c.FailStep(key="a", error="\udcff" + "x" * MAX_LINE_BYTES), c.Fail(failure=replace(FAILURE, message="\udcff"))
    )

    assert life.step("a").error == "?" + "x" * (MAX_LINE_BYTES - 1)
    assert life.run.failure is not None
    assert life.run.failure.message == "?"
