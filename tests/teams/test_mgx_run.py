"""Executing with objects shaped like MGXStyleTeam."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from domain.errors import TeamError
from domain.model import LogLevel, Plan
from domain.ports import Round
from domain.signals import (
    LineSaid,
    ResultReady,
    Signal,
    StepFinished,
    StepMoved,
    StepStarted,
    TokensUsed,
)
from teams.mgx import MgxTeam
from teams.mgx.output import MAX_HELD, MAX_LINE
from tests.teams.mgx import RUN, Bare, Shaped, answer, executed, plan_of, until_it_fails
from tests.teams.support import done, lines, only, to_execute

FOUR = answer("1. One\n2. Two\n3. Three\n4. Four")
THREE = ["step-1 is done", "step-2 starts", "step-2 is done", "step-3 starts", "step-3 is done", "step-4 starts"]
"""What is told when three of four steps are done."""


def story(signals: list[Signal]) -> list[str]:
    """Return what became of the steps, in order."""
    told = []
    for signal in signals:
        match signal:
            case StepStarted():
                told.append(f"{signal.key} starts")
            case StepMoved():
                told.append(f"{signal.key} at {signal.fraction:.2f}")
            case StepFinished():
                told.append(f"{signal.key} is done")
    return told


def messages(signals: list[Signal]) -> list[str]:
    return [line.message for line in lines(signals)]


async def failure(team: object, plan: Plan | None = None) -> tuple[TeamError, list[Signal]]:
    said, error = await until_it_fails(MgxTeam(team).execute(to_execute(RUN, plan or await plan_of(Shaped()))))
    assert isinstance(error, TeamError)
    return error, said


async def test_all_steps_are_one_where_the_object_does_not_tell() -> None:
    team = Shaped()
    signals = await executed(team)
    assert story(signals) == ["step-1 starts", "step-1 is done", "step-2 starts", "step-2 is done"]
    assert signals[-1] == ResultReady(results={"text": "✅ Done"})
    assert team.approved


async def test_the_approved_plan_is_given_to_an_object_that_takes_it() -> None:
    team = Shaped()
    await executed(team)
    assert team.spec == {"task": "Add a login page", "complexity": "M", "plan": "1. Write the form\n2. Test it"}
    assert not team.asked


async def test_an_object_that_takes_no_plan_makes_it_again_from_the_same_text() -> None:
    first = await plan_of(Shaped())
    feedback = (Round(plan=first, feedback="Test first."),)
    plan = await plan_of(Bare(), feedback)
    planner, worker = Bare(), Bare()
    await plan_of(planner, feedback)
    assert story(await executed(worker, plan)) == ["step-1 starts", "step-1 is done", "step-2 starts", "step-2 is done"]
    assert worker.asked == planner.asked


async def test_another_plan_than_the_approved_one_is_not_executed() -> None:
    began: list[str] = []

    async def execute() -> str:
        began.append("it")
        return "✅"

    plan = await plan_of(Bare())
    error, _ = await failure(Bare(execute, plan=answer("1. Something else")), plan)
    assert (error.code, error.retryable, began) == ("TEAM_STATE_LOST", True, [])
    assert "retry the run" in str(error)


async def test_a_plan_of_another_team_is_refused() -> None:
    error, _ = await failure(Shaped(), replace(await plan_of(Shaped()), spec={"playbook": "x"}))
    assert "not made by a team of this kind" in str(error)
    assert not error.retryable


async def test_a_set_task_spec_with_other_arguments_is_named() -> None:
    class Other(Bare):
        def set_task_spec(self, spec: dict[str, str]) -> None:
            raise AssertionError

    error, _ = await failure(Other())
    assert str(error) == "set_task_spec must take the arguments task, complexity and plan."


async def test_an_approval_may_be_awaited_and_refused() -> None:
    class Unwilling(Shaped):
        async def approve_plan(self) -> bool:  # type: ignore[override]  # some are coroutines
            return False

    error, said = await failure(Unwilling())
    assert str(error) == "approve_plan returned False: the team refuses to execute the approved plan."
    assert story(said) == ["step-1 starts"]


@pytest.mark.parametrize("mark", ["❌", "✗", "✘", "✖\ufe0f", "❎", "\n  ❌"])
async def test_a_text_that_begins_with_a_cross_mark_is_a_failure(mark: str) -> None:
    team = Shaped(plan=FOUR)

    async def execute() -> str:
        print("Trying")
        team.progress = {"current_step": 2}
        team.metrics = [{"cost": "$0.5"}]
        return f"{mark} It broke: no disk"

    team._execute = execute
    error, said = await failure(team, await plan_of(Shaped(plan=FOUR)))
    assert (error.code, str(error)) == ("TEAM_ERROR", f"{mark.strip()} It broke: no disk")
    assert story(said) == ["step-1 starts", "step-1 is done", "step-2 starts"]
    assert [spent.usage.cost_usd for spent in only(TokensUsed, said)] == [0.5]
    assert messages(said) == ["Trying"]


async def test_a_cross_mark_further_on_is_none() -> None:
    async def execute() -> str:
        return "All but one:\n❌ no tests"

    assert (await executed(Shaped(execute)))[-1] == ResultReady(results={"text": "All but one:\n❌ no tests"})


@pytest.mark.parametrize(("result", "name"), [(None, "NoneType"), (3, "int"), ({"text": "✅"}, "dict")])
async def test_a_result_that_is_no_text_is_named(result: Any, name: str) -> None:
    async def execute() -> Any:
        return result

    error, _ = await failure(Shaped(execute))
    assert str(error) == f"execute must return a text; it returned {name}."


async def test_work_that_cancels_itself_or_exits_is_a_failure() -> None:
    async def cancels() -> str:
        raise asyncio.CancelledError

    async def exits() -> str:
        sys.exit("bye")

    assert str((await failure(Shaped(cancels)))[0]) == "The team cancelled its own work."
    assert str((await failure(Shaped(exits)))[0]) == "execute called sys.exit('bye')."


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (0.5, ["step-1 is done", "step-2 starts", "step-2 is done", "step-3 starts"]),
        (0.625, ["step-1 is done", "step-2 starts", "step-2 is done", "step-3 starts", "step-3 at 0.50"]),
        (62.5, ["step-1 is done", "step-2 starts", "step-2 is done", "step-3 starts", "step-3 at 0.50"]),
        ("12.5%", ["step-1 at 0.50"]),
        ("3/4", THREE),
        (1, [*THREE, "step-4 at 1.00"]),
        ({"progress": 0.125}, ["step-1 at 0.50"]),
        ({"percent": 12.5}, ["step-1 at 0.50"]),
        ({"completed": 1, "total": 4}, ["step-1 is done", "step-2 starts"]),
        ({"current_step": 2}, ["step-1 is done", "step-2 starts"]),
        ({"current_step": "step-2"}, ["step-1 is done", "step-2 starts"]),
        ({"current_step": "Two", "percent": 40}, ["step-1 is done", "step-2 starts", "step-2 at 0.60"]),
        ({"current_step": 2, "progress": 0}, ["step-1 is done", "step-2 starts"]),
        ({"current_step": 9}, []),
        ({"current_step": ["x"]}, []),
        ({"total": 0, "completed": 0}, []),
        ("✅ Mike: AnalyzeTask", []),
        (None, []),
        (True, []),
        (-1, []),
        (101, []),
        (float("nan"), []),
    ],
)
async def test_steps_go_on_as_far_as_the_object_tells(told: Any, expected: list[str]) -> None:
    team = Shaped()
    looked: list[Signal] = []

    async def execute() -> str:
        team.progress = told
        print("here")
        await seen.wait()
        return "✅"

    seen = asyncio.Event()
    team._execute = execute
    plan = await plan_of(Shaped(plan=FOUR))
    async with aclosing(MgxTeam(team).execute(to_execute(RUN, plan))) as signals:  # type: ignore[type-var]
        async for signal in signals:
            looked.append(signal)
            if messages([signal]) == ["here"]:
                break
        seen.set()
        rest = [signal async for signal in signals]
    assert story(looked)[1:] == expected
    assert story(rest)[-1] == "step-4 is done"
    assert story([*looked, *rest]).count("step-4 is done") == 1


async def test_lines_belong_to_the_step_that_is_under_way() -> None:
    team = Shaped()
    heard_all: list[Signal] = []

    async def execute() -> str:
        print("first")
        await seen.wait()
        team.progress = {"current_step": 2}
        print("second")
        return "✅"

    seen = asyncio.Event()
    team._execute = execute
    async for signal in MgxTeam(team).execute(to_execute(RUN, await plan_of(Shaped()))):
        heard_all.append(signal)
        if messages([signal]):
            seen.set()
    assert [(line.message, line.step) for line in lines(heard_all)] == [("first", "step-1"), ("second", "step-2")]


async def test_steps_that_are_recorded_complete_are_not_told_again() -> None:
    plan = done(await plan_of(Shaped(plan=FOUR)), {"step-1": None, "step-2": None})
    team = Shaped()

    async def execute() -> str:
        team.progress = {"current_step": 1}
        print("again")
        await asyncio.sleep(0)
        team.progress = {"current_step": 4}
        return "✅"

    team._execute = execute
    assert story(await executed(team, plan)) == [
        "step-3 starts",
        "step-3 is done",
        "step-4 starts",
        "step-4 is done",
    ]


async def test_progress_that_fails_is_a_warning_and_not_asked_again() -> None:
    class Blind(Shaped):
        asks = 0

        async def get_progress(self) -> Any:
            self.asks += 1
            raise RuntimeError("blind")

    async def execute() -> str:
        for _ in range(3):
            print("on")
            await asyncio.sleep(0)
        return "✅"

    team = Blind(execute)
    signals = await executed(team)
    (warning,) = [said for said in only(LineSaid, signals) if said.level is LogLevel.WARNING]
    assert warning.message == "get_progress failed and is not asked again: RuntimeError: blind"
    assert team.asks == 1


async def test_what_is_printed_belongs_to_its_run_also_from_threads(capsys: pytest.CaptureFixture[str]) -> None:
    gate = asyncio.Barrier(2)

    def speak(name: str) -> None:
        print(f"{name} in a thread")

    def worker(name: str) -> Shaped:
        async def child() -> None:
            print(f"{name} in a task")

        async def execute() -> str:
            for number in range(3):
                await gate.wait()
                print(f"{name} {number}")
            await asyncio.to_thread(speak, name)
            await asyncio.create_task(child())
            print(f"{name} without an end", end="")
            return "✅"

        return Shaped(execute)

    runs = await asyncio.gather(executed(worker("a")), executed(worker("b")))
    print("ours")
    for name, signals in zip("ab", runs, strict=True):
        assert messages(signals) == [
            *(f"{name} {number}" for number in range(3)),
            f"{name} in a thread",
            f"{name} in a task",
            f"{name} without an end",
        ]
    assert capsys.readouterr().out == "ours\n"


async def test_others_print_where_they_always_did(capsys: pytest.CaptureFixture[str]) -> None:
    async def execute() -> str:
        print("theirs")
        bare = threading.Thread(target=print, args=("a bare thread's",))
        bare.start()
        await asyncio.to_thread(bare.join)
        sys.stdout.flush()
        assert not sys.stdout.isatty()
        sys.stdout.writelines(["more", "\n"])
        return "✅"

    context = to_execute(RUN, await plan_of(Shaped()))
    signals = []
    async for signal in MgxTeam(Shaped(execute)).execute(context):
        print("ours", flush=True)
        signals.append(signal)
    assert messages(signals) == ["theirs", "more"]
    assert set(capsys.readouterr().out.splitlines()) == {"ours", "a bare thread's"}


async def test_a_progress_bar_is_lines_and_a_flood_is_counted() -> None:
    async def execute() -> str:
        print("\r[#-] 50% - a", end="")
        print("\r[##] 100% - b", end="")
        print()
        print("x" * (MAX_LINE + 5))
        print("nul\0 and half \ud83d")
        for _ in range(MAX_HELD):
            print("flood")
        return "✅"

    signals = await executed(Shaped(execute))
    said = messages(signals)
    assert said[:4] == ["[#-] 50% - a", "[##] 100% - b", "x" * MAX_LINE, "nul\ufffd and half \ufffd"]
    assert len(said) == MAX_HELD
    assert sum(getattr(signal, "dropped", 0) for signal in signals) == 4


async def test_a_cancel_ends_the_work_and_what_it_says_then_goes_to_the_server_s_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="teams.mgx")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    late = threading.Event()

    def speak() -> None:
        late.wait(30)
        print("too late")
        loop.call_soon_threadsafe(ended.set)

    async def execute() -> str:
        print("working")
        try:
            await asyncio.to_thread(speak)
        finally:
            print("cleaning up")
        return "✅"

    stream = MgxTeam(Shaped(execute)).execute(to_execute(RUN, await plan_of(Shaped())))
    heard_all: list[Signal] = []

    async def follow() -> None:
        async for signal in stream:
            heard_all.append(signal)
            if messages([signal]):
                following.set()

    following = asyncio.Event()
    task = asyncio.create_task(follow())
    await following.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert messages(heard_all) == ["working"]
    late.set()
    await asyncio.wait_for(ended.wait(), 30)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["cleaning up", "too late"]


async def test_a_log_that_is_written_to_standard_output_is_no_loop(capsys: pytest.CaptureFixture[str]) -> None:
    async def execute() -> str:
        print("working")
        try:
            await asyncio.Event().wait()
        finally:
            print("cleaning up")
        return "✅"

    class ToOutput(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print(record.getMessage())

    handler, logger = ToOutput(), logging.getLogger("teams.mgx")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        stream = MgxTeam(Shaped(execute)).execute(to_execute(RUN, await plan_of(Shaped())))
        async for signal in stream:
            if messages([signal]):
                break
        await stream.aclose()  # type: ignore[attr-defined]  # a generator, though the port asks for less
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert capsys.readouterr().out == "A team printed after its work had ended: cleaning up\n"


async def test_closing_the_stream_ends_the_work() -> None:
    ended: list[str] = []

    async def execute() -> str:
        print("working")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return "✅"

    stream = MgxTeam(Shaped(execute)).execute(to_execute(RUN, await plan_of(Shaped())))
    async for signal in stream:
        if messages([signal]):
            break
    await stream.aclose()  # type: ignore[attr-defined]  # a generator, though the port asks for less
    assert ended == ["cancelled"]
