"""Planning with objects shaped like MGXStyleTeam: what their answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from domain.errors import InvalidPlanError, TeamError
from domain.model import LogLevel
from domain.plan import MAX_TITLE, check
from domain.ports import Round
from domain.signals import LineSaid, SampleTaken, TokensUsed
from teams.mgx import MgxTeam
from tests.teams.mgx import LIST, RUN, Bare, Shaped, answer, plan_of, until_it_fails
from tests.teams.support import lines, only, planned, to_plan


async def steps_of(text: str) -> list[tuple[str, str]]:
    plan = await plan_of(Bare(plan=text))
    return [(step.title, step.detail) for step in plan.steps]


async def refusal(given: Any) -> TeamError:
    with pytest.raises(TeamError) as failure:
        await plan_of(Bare(plan=given) if given is not None else Silent())
    return failure.value


class Silent(Bare):
    async def analyze_and_plan(self, task: str) -> Any:
        return None


async def test_the_block_and_the_list_make_the_plan() -> None:
    plan = await plan_of(Shaped())
    assert plan.summary == "Add a login page"
    assert plan.complexity == "M"
    assert [(step.key, step.title) for step in plan.steps] == [("step-1", "Write the form"), ("step-2", "Test it")]
    assert plan.spec["plan"] == LIST


async def test_the_team_is_asked_with_name_and_description() -> None:
    team = Bare()
    await plan_of(team)
    assert team.asked == ["Analyze Sales Data\n\nBy month and region."]


async def test_feedback_is_in_the_text_that_the_next_plan_is_made_from() -> None:
    first = await plan_of(Shaped())
    team = Bare()
    await plan_of(team, (Round(plan=first, feedback="Test first."), Round(plan=first, feedback="Use pytest.")))
    (asked,) = team.asked
    assert asked == (
        "Analyze Sales Data\n\nBy month and region.\n\n"
        "This plan was sent back:\n1. Write the form\n2. Test it\n\n"
        "Make a new plan that follows this feedback, oldest first:\n- Test first.\n- Use pytest."
    )


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        pytest.param(answer("- One\n- Two"), [("One", ""), ("Two", "")], id="dashed"),
        pytest.param(answer("* One\n* Two"), [("One", ""), ("Two", "")], id="starred"),
        pytest.param(answer("1) One\n2) Two"), [("One", ""), ("Two", "")], id="parentheses"),
        pytest.param(answer("1. One\n2. Two", after="PLAN: "), [("One", ""), ("Two", "")], id="same line"),
        pytest.param(answer("1. One", after="**Plan:**\n\n"), [("One", "")], id="Markdown"),
        pytest.param(answer("1. One", after="## PLAN:\n"), [("One", "")], id="heading"),
        pytest.param(answer("1. One\n   - a\n     more\n2. Two"), [("One", "- a\n  more"), ("Two", "")], id="nested"),
        pytest.param(answer("1. One\n- a\n- b\n2. Two"), [("One", "- a\n- b"), ("Two", "")], id="flat dashes below"),
        pytest.param(answer("- One\n  1. a\n- Two"), [("One", "1. a"), ("Two", "")], id="numbers below"),
        pytest.param(answer("1. One\n\nBecause.\n\n2. Two"), [("One", "Because."), ("Two", "")], id="paragraphs"),
        pytest.param(answer("3. One\n7. Two"), [("One", ""), ("Two", "")], id="any numbers"),
        pytest.param(answer("", after="", plan="1. One\n2. Two"), [("One", ""), ("Two", "")], id="text in the block"),
        pytest.param(answer("", after="", plan=["One", "Two\nmore"]), [("One", ""), ("Two", "more")], id="list in it"),
        pytest.param(answer(plan="1. Other"), [("Write the form", ""), ("Test it", "")], id="list after it wins"),
        pytest.param(answer("soon", plan=["One"]), [("One", "")], id="no list after it"),
    ],
)
async def test_lists_of_many_shapes_are_steps(text: str, steps: list[tuple[str, str]]) -> None:
    assert await steps_of(text) == steps


async def test_what_is_said_around_the_list_is_in_the_summary() -> None:
    plan = await plan_of(Bare(plan=answer("All in all:\n1. One\n\nRisk: none.", after="Hard.\nPLAN:\n")))
    assert plan.summary == "Add a login page\n\nHard.\n\nAll in all:\n\nRisk: none."
    assert [step.detail for step in plan.steps] == [""]


async def test_a_block_may_be_fenced_and_lack_its_fields() -> None:
    text = '---JSON_START---\n```json\n{"complexity": " xl "}\n```\n---JSON_END---\nPLAN:\n- One'
    plan = await plan_of(Bare(plan=text))
    assert (plan.summary, plan.complexity) == ("Analyze Sales Data\n\nBy month and region.", "XL")
    assert (await plan_of(Bare(plan="---JSON_START---{}---JSON_END---PLAN: 1. One"))).complexity is None


async def test_a_long_title_goes_on_in_the_detail() -> None:
    ((title, detail),) = await steps_of(answer(f"1. {'x' * 600}"))
    assert (len(title), title[-1], detail) == (MAX_TITLE, "…", "x" * 600)


async def test_characters_that_no_database_takes_are_replaced() -> None:
    plan = await plan_of(Bare(plan=answer("1. a\0b\ud800c")))
    assert plan.steps[0].title == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "analyze_and_plan must return a text; it returned NoneType."),
        (["PLAN:"], "analyze_and_plan must return a text; it returned list."),
        ("", "has no JSON block between ---JSON_START--- and ---JSON_END---."),
        ("PLAN:\n1. One", "has no JSON block between"),
        ("---JSON_START---{}\nPLAN:\n1. One", "has no JSON block between"),
        ("---JSON_START---{task: x}---JSON_END---PLAN: 1. One", "is not JSON: "),
        (f"---JSON_START---{'[' * 200_000}---JSON_END---", "is not JSON: "),
        ("---JSON_START---[1]---JSON_END---PLAN: 1. One", "must be an object with task and complexity; it is a list."),
        ('---JSON_START---"x"---JSON_END---PLAN: 1. One', "it is a text."),
        ("---JSON_START---null---JSON_END---PLAN: 1. One", "it is null."),
        (answer(task=3), "The JSON block's task must be a text; it is a number."),
        (answer(complexity=["M"]), "The JSON block's complexity must be a text; it is a list."),
        (answer(plan={"1": "One"}), "The JSON block's plan must be a text or a list of texts; it is an object."),
        (answer(plan=[{"step": 1}]), "The JSON block's plan must be a text or a list of texts; it is a list."),
        (answer(plan=True), "it is true or false."),
        (answer(""), "has no steps: a list, numbered (1.) or dashed (-), must follow PLAN:"),
        (answer("We shall see."), "has no steps"),
        (answer(LIST, after=""), "has no steps"),
        (answer("", plan=[]), "has no steps"),
    ],
)
async def test_an_answer_without_a_plan_says_what_was_expected(given: Any, message: str) -> None:
    error = await refusal(given)
    assert isinstance(error, InvalidPlanError)
    assert message in str(error)


async def test_an_unknown_complexity_is_refused_with_those_there_are() -> None:
    _, draft = await planned(MgxTeam(Bare(plan=answer(complexity="huge"))), to_plan(RUN))
    with pytest.raises(InvalidPlanError, match="complexity 'HUGE' is none of XS, S, M, L, XL"):
        check(draft)


async def test_a_cross_mark_instead_of_a_plan_is_a_failure() -> None:
    error = await refusal("\n ❌ No model is configured.")
    assert (error.code, str(error)) == ("TEAM_ERROR", "The team could not plan: ❌ No model is configured.")


async def test_prints_and_figures_come_before_the_plan() -> None:
    class Chatty(Shaped):
        async def analyze_and_plan(self, task: str) -> str:
            print("\n===\nThinking", end="")
            self.metrics = {"planning_time": "1.5s", "cost": "$0.25"}
            return answer()

        def get_all_metrics(self) -> Any:
            print(" hard")
            return super().get_all_metrics()

    signals, _ = await planned(MgxTeam(Chatty()), to_plan(RUN))
    assert [(line.message, line.level, line.step) for line in lines(signals)] == [
        ("===", LogLevel.INFO, None),
        ("Thinking hard", LogLevel.INFO, None),
    ]
    assert [(sample.name, sample.value, sample.unit) for sample in only(SampleTaken, signals)] == [
        ("planning_time", 1.5, "s"),
        ("cost", 0.25, "USD"),
    ]
    assert [spent.usage.cost_usd for spent in only(TokensUsed, signals)] == [0.25]


async def test_a_plain_function_may_plan() -> None:
    class Plain(Bare):
        def analyze_and_plan(self, task: str) -> str:  # type: ignore[override]  # not a coroutine, as some write it
            return answer("- " + task.splitlines()[0])

    assert [step.title for step in (await plan_of(Plain())).steps] == ["Analyze Sales Data"]


async def test_what_the_object_raises_passes_and_its_exit_is_a_failure() -> None:
    class Broken(Bare):
        def __init__(self, error: BaseException) -> None:
            super().__init__()
            self.error = error

        async def analyze_and_plan(self, task: str) -> str:
            print("Before the end")
            raise self.error

    said, error = await until_it_fails(MgxTeam(Broken(OSError("no network"))).plan(to_plan(RUN)))
    assert isinstance(error, OSError)
    assert [line.message for line in lines(said)] == ["Before the end"]
    with pytest.raises(TeamError, match=r"analyze_and_plan called sys.exit\(2\)\."):
        await plan_of(Broken(SystemExit(2)))


async def test_figures_that_fail_are_a_warning() -> None:
    team = Shaped()
    team.metrics = "none"
    signals, _ = await planned(MgxTeam(team), to_plan(RUN))
    (warning,) = only(LineSaid, signals)
    assert warning.level is LogLevel.WARNING
    assert "get_all_metrics can't be read: TypeError: a mapping or a list of mappings" in warning.message
