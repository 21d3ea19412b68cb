"""The team `rehearsal` does what its config says, the same each time."""

from __future__ import annotations

from typing import get_args

import pytest

from domain.errors import InvalidInputError
from domain.model import JsonObject
from domain.ports import Round, Team
from domain.signals import (
    ArtifactMade,
    ResultReady,
    SampleTaken,
    Signal,
    StepFailed,
    StepFinished,
    StepMoved,
    StepStarted,
)
from teams.rehearsal import Rehearsal
from tests.teams.support import done, heard, lines, numbered, only, planned, run_of, to_execute, to_plan

QUICK: JsonObject = {"stepSeconds": 0, "planSeconds": 0}


def rehearsal(config: JsonObject) -> Team:
    Rehearsal.validate(config)
    return Rehearsal(config)


async def acted(config: JsonObject) -> list[Signal]:
    run = run_of("rehearsal", config)
    signals, draft = await planned(rehearsal(config), to_plan(run))
    return signals + await heard(rehearsal(config).execute(to_execute(run, numbered(draft))))


async def test_the_same_config_says_the_same() -> None:
    config: JsonObject = {**QUICK, "steps": 4, "logsPerStep": 3, "metricsPerStep": 2, "artifactsPerStep": 1}
    assert await acted(config) == await acted(config)


async def test_the_config_gives_the_counts() -> None:
    signals = await acted({**QUICK, "steps": 4, "logsPerStep": 3, "metricsPerStep": 2, "artifactsPerStep": 1})
    assert [signal.key for signal in only(StepFinished, signals)] == ["step-1", "step-2", "step-3", "step-4"]
    assert len([line for line in lines(signals) if line.step]) == 12
    assert len(only(SampleTaken, signals)) == 8
    assert len(only(ArtifactMade, signals)) == 4
    assert only(ResultReady, signals)[-1] == signals[-1]


async def test_every_kind_of_signal_is_rehearsed() -> None:
    whole = await acted({"steps": 1, "stepSeconds": 1, "planSeconds": 0, "artifactsPerStep": 1})
    failing = await acted({**QUICK, "failAt": 1})
    assert {type(signal) for signal in whole + failing} == set(get_args(Signal))


async def test_a_long_step_reports_its_middle_and_a_short_one_does_not() -> None:
    assert [moved.fraction for moved in only(StepMoved, await acted({"steps": 1, "stepSeconds": 1}))] == [0.5]
    assert not only(StepMoved, await acted(QUICK))


async def test_the_step_of_fail_at_fails_and_ends_the_run() -> None:
    signals = await acted({**QUICK, "steps": 3, "failAt": 2})
    assert [signal.key for signal in only(StepStarted, signals)] == ["step-1", "step-2"]
    assert isinstance(signals[-1], StepFailed)
    assert signals[-1].key == "step-2"
    assert not only(ResultReady, signals)


async def test_the_longest_plan_can_be_sent_back_as_often_as_any() -> None:
    run = run_of("rehearsal", {**QUICK, "steps": 1000})
    _, draft = await planned(rehearsal(run.config), to_plan(run))
    rounds = [Round(plan=numbered(draft), feedback="Again.")] * 50

    _, again = await planned(rehearsal(run.config), to_plan(run, rounds))

    assert len(numbered(again).steps) == 1050


async def test_feedback_adds_a_step_whose_detail_it_is() -> None:
    run = run_of("rehearsal", QUICK)
    _, draft = await planned(rehearsal(QUICK), to_plan(run))
    first = numbered(draft)
    rounds = [Round(plan=first, feedback="Count twice."), Round(plan=first, feedback="And draw it.")]
    _, again = await planned(rehearsal(QUICK), to_plan(run, rounds))
    assert again.steps[:3] == draft.steps
    assert [(step.key, step.detail) for step in again.steps[3:]] == [
        ("step-4", "Count twice."),
        ("step-5", "And draw it."),
    ]


async def test_final_steps_are_not_acted_again() -> None:
    run = run_of("rehearsal", QUICK)
    _, draft = await planned(rehearsal(QUICK), to_plan(run))
    plan = done(numbered(draft), {"step-1": {"step": 1}})
    signals = await heard(rehearsal(QUICK).execute(to_execute(run, plan)))
    assert [signal.key for signal in only(StepStarted, signals)] == ["step-2", "step-3"]
    assert only(ResultReady, signals)[-1].results == {"steps": 3}


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"steps": 0}, ("config", "steps"), "steps must be at least 1; it is 0."),
        ({"steps": 1001}, ("config", "steps"), "steps must be at most 1000; it is 1001."),
        ({"steps": "3"}, ("config", "steps"), "steps must be a whole number."),
        ({"steps": True}, ("config", "steps"), "steps must be a whole number."),
        ({"stepSeconds": -1}, ("config", "stepSeconds"), "stepSeconds must be at least 0; it is -1."),
        ({"stepSeconds": float("nan")}, ("config", "stepSeconds"), "stepSeconds must be a finite number."),
        ({"logsPerStep": 1001}, ("config", "logsPerStep"), "logsPerStep must be at most 1000; it is 1001."),
        ({"metricsPerStep": 101}, ("config", "metricsPerStep"), "metricsPerStep must be at most 100; it is 101."),
        ({"artifactsPerStep": 11}, ("config", "artifactsPerStep"), "artifactsPerStep must be at most 10; it is 11."),
        ({"failAt": 4}, ("config", "failAt"), "failAt must be one of the 3 steps, or null; it is 4."),
        ({"failAt": 0}, ("config", "failAt"), "failAt must be at least 1; it is 0."),
        ({"step": 3}, ("config", "step"), "step is not a known key"),
    ],
)
def test_a_config_out_of_range_is_refused_at_its_field(config: JsonObject, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        Rehearsal.validate(config)
    assert refusal.value.path == path
    assert refusal.value.message.startswith(message)


def test_whole_numbers_may_be_written_with_a_point() -> None:
    Rehearsal.validate({"steps": 2.0, "failAt": None})
