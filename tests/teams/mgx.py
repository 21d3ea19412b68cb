"""Objects shaped like MGXStyleTeam, and what their adapter makes of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from domain.model import Plan
from domain.ports import Round
from domain.signals import Signal
from teams.mgx import MgxTeam
from tests.teams.support import heard, numbered, planned, run_of, to_execute, to_plan

RUN = run_of("mine", {})
LIST = "1. Write the form\n2. Test it"


def answer(listed: str = LIST, *, after: str = "PLAN:\n", **told: Any) -> str:
    """Return what `analyze_and_plan` answers."""
    block = json.dumps({"task": "Add a login page", "complexity": "M", **told})
    return f"Thinking ...\n---JSON_START---\n{block}\n---JSON_END---\n\n{after}{listed}"


class Bare:
    """No more than the shape asks for; `execute` is a function to be given."""

    def __init__(self, execute: Callable[[], Awaitable[Any]] | None = None, plan: Any = None) -> None:
        self.asked: list[str] = []
        self._answer = answer() if plan is None else plan
        self._execute = execute

    async def analyze_and_plan(self, task: str) -> Any:
        self.asked.append(task)
        return self._answer

    async def execute(self) -> Any:
        return await self._execute() if self._execute else "✅ Done"


class Shaped(Bare):
    """The whole shape; remembers what it is told."""

    def __init__(self, execute: Callable[[], Awaitable[Any]] | None = None, plan: Any = None) -> None:
        super().__init__(execute, plan)
        self.spec: dict[str, str] | None = None
        self.approved = False
        self.metrics: Any = []
        self.progress: Any = "📊 Nothing yet."

    def set_task_spec(self, task: str, complexity: str, plan: str, is_revision: bool = False) -> None:
        assert not is_revision
        self.spec = {"task": task, "complexity": complexity, "plan": plan}

    def approve_plan(self) -> bool:
        self.approved = True
        return True

    def get_all_metrics(self) -> Any:
        return self.metrics

    def get_progress(self) -> Any:
        return self.progress


async def plan_of(team: object, rounds: tuple[Round, ...] = ()) -> Plan:
    """Return the plan that an object makes, as it is approved."""
    _, draft = await planned(MgxTeam(team), to_plan(RUN, rounds))
    return numbered(draft)


async def executed(team: object, plan: Plan | None = None) -> list[Signal]:
    """Return everything that is said while an object executes a plan, which another one made."""
    return await heard(MgxTeam(team).execute(to_execute(RUN, plan or await plan_of(Shaped()))))


async def until_it_fails(stream: AsyncIterator[Signal]) -> tuple[list[Signal], Exception]:
    """Return what was said before a failure, and the failure."""
    said: list[Signal] = []
    try:
        async for signal in stream:
            said.append(signal)  # noqa: PERF401 - a comprehension would lose it
    except Exception as error:
        return said, error
    raise AssertionError("It did not fail.")
