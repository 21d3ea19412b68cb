"""Makes a team of an object shaped like MGXStyleTeam."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from domain.errors import TeamError
from domain.model import JsonValue, LogLevel, Plan, Usage
from domain.plan import digest
from domain.ports import ExecutionContext, PlanContext
from domain.signals import LineSaid, ResultReady, Signal, TokensUsed
from teams.mgx.answer import is_failure, read_plan
from teams.mgx.figures import read_figures
from teams.mgx.output import clean
from teams.mgx.progress import Track, read_progress
from teams.mgx.stage import Stage, stage

_LOOK: Final = 0.25
"""Seconds after which `get_progress` is asked again; progress is told no more often."""


class MgxTeam:
    """Plans and executes with an object of the shape that docs/teams.md describes.

    The object that planned is gone when the plan is approved: the one that executes is given the approved plan by its
    `set_task_spec`, or else must come to the same plan again.

    Args:
        team: The object, made for one phase of a run.
    """

    def __init__(self, team: object) -> None:
        self._team = team

    async def plan(self, context: PlanContext, /) -> AsyncIterator[Signal]:
        """Ask for a plan, with the feedback of earlier rounds in the task's text."""
        asked = _request(context)
        async with stage(self._team) as place:
            place.begin(place.ask("analyze_and_plan", asked))
            while await place.goes_on():
                for said in place.lines(None):
                    yield said
            for figure in await _figures(place):
                yield figure
            for said in place.lines(None, rest=True):
                yield said
            yield read_plan(place.result(), asked)

    async def execute(self, context: ExecutionContext, /) -> AsyncIterator[Signal]:
        """Have the approved plan executed as a whole, and tell of its steps as far as the object does."""
        async with stage(self._team) as place:
            execution = _Execution(place, context.plan)
            for signal in execution.track.begin():
                yield signal
            place.begin(execution.perform())
            while await place.goes_on(_LOOK):
                for signal in await execution.news():
                    yield signal
            for signal in [*await execution.news(), *await _figures(place)]:
                yield signal
            for said in place.lines(execution.track.current, rest=True):
                yield said
            results = _results(place.result())
            for signal in execution.track.finish():
                yield signal
            yield ResultReady(results=results)


class _Execution:
    """One `execute()` and what is known of it.

    Attributes:
        track: The plan's steps.
    """

    def __init__(self, place: Stage, plan: Plan) -> None:
        self._place = place
        self._plan = plan
        self._tells = False
        self.track = Track(plan.steps)

    async def perform(self) -> object:
        """Bring the object to where the one that planned was, approve, and return what its `execute` returns."""
        await _restore(self._place, self._plan)
        if self._place.has("approve_plan") and await self._place.ask("approve_plan") is False:
            raise TeamError("approve_plan returned False: the team refuses to execute the approved plan.")
        self._tells = self._place.has("get_progress")
        return await self._place.ask("execute")

    async def news(self) -> list[Signal]:
        """Return how far the object is and what it printed since the last time."""
        return [*await self._moved(), *self._place.lines(self.track.current)]

    async def _moved(self) -> list[Signal]:
        if not self._tells:
            return []
        try:
            found = read_progress(await self._place.ask("get_progress"), self._plan.steps)
        except Exception as error:
            self._tells = False
            return [_warning("get_progress failed and is not asked again", error)]
        return [] if found is None else self.track.reach(found)


def _request(context: PlanContext) -> str:
    """Return the text to plan from: the task, the plan that was sent back, and every feedback."""
    parts = [context.name, context.description]
    if context.rounds:
        before = context.rounds[-1].plan
        steps = "\n".join(f"{number}. {step.title}" for number, step in enumerate(before.steps, 1))
        feedback = "\n".join(f"- {past.feedback}" for past in context.rounds)
        parts.append(f"This plan was sent back:\n{steps}")
        parts.append(f"Make a new plan that follows this feedback, oldest first:\n{feedback}")
    return "\n\n".join(part for part in parts if part)


async def _restore(place: Stage, plan: Plan) -> None:
    """Give an object the approved plan, or see that it comes to the same one again.

    Raises:
        TeamError: The plan is another team's; or (TEAM_STATE_LOST) the object can't be given it and makes another.
    """
    asked, spec = plan.spec.get("asked"), {name: plan.spec.get(name) for name in ("task", "complexity", "plan")}
    if not (isinstance(asked, str) and all(isinstance(value, str) for value in spec.values())):
        raise TeamError("This plan was not made by a team of this kind; start a new run.", retryable=False)
    if place.has("set_task_spec"):
        if not place.accepts("set_task_spec", **spec):
            raise TeamError("set_task_spec must take the arguments task, complexity and plan.", retryable=False)
        await place.ask("set_task_spec", **spec)
    elif digest(read_plan(await place.ask("analyze_and_plan", asked), asked)) != plan.digest:
        raise TeamError(
            "The team has no set_task_spec to be given the approved plan, and now makes another one; "
            "retry the run to decide on that.",
            code="TEAM_STATE_LOST",
        )


async def _figures(place: Stage) -> list[Signal]:
    """Return the figures that the object has; that it can't tell them is not worth a run."""
    if not place.has("get_all_metrics"):
        return []
    try:
        told = await place.ask("get_all_metrics")
        figures = read_figures([] if told is None else told)
    except Exception as error:
        return [_warning("get_all_metrics can't be read", error)]
    spent = [TokensUsed(usage=Usage(cost_usd=figures.cost_usd))] if figures.cost_usd else []
    return [*figures.samples, *spent]


def _results(answer: object) -> JsonValue:
    if not isinstance(answer, str):
        raise TeamError(f"execute must return a text; it returned {type(answer).__name__}.", retryable=False)
    text = clean(answer.strip())
    if is_failure(text):
        raise TeamError(text)
    return {"text": text}


def _warning(what: str, error: Exception) -> LineSaid:
    return LineSaid(message=clean(f"{what}: {type(error).__name__}: {error}"), level=LogLevel.WARNING)
