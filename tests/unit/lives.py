"""Runs at each point of their life, reached by commands alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from domain import commands as c
from domain.events import EventType
from domain.fold import RunState
from domain.lifecycle import Transition, create, decide, decide_all
from domain.model import Artifact, Metric, Plan, PlanStep, Run, RunFailure, RunSettings, RunStatus, StepStatus
from domain.plan import PlanDraft, number

NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
GRACE: Final = timedelta(seconds=10)
APPROVE: Final = c.Review(approved=True, actor="ann")
REJECT: Final = c.Review(approved=False, actor="ann")
CHANGE: Final = c.RequestChanges(feedback="Shorter.", actor="ann")
CANCEL: Final = c.Cancel(actor="ann", reason="Not needed.", grace=GRACE)
CLAIM: Final = c.Claim(owner="worker", lease_until=None)
FAILURE: Final = RunFailure(code="TEAM_ERROR", message="It broke.")
METRIC: Final = Metric(id="metric_1", tenant="default", task_id="task_1", name="rows", value=3.0, timestamp=NOON)
ARTIFACT: Final = Artifact(
    id="artifact_1",
    tenant="default",
    task_id="task_1",
    run_id="run_1",
    name="report.md",
    media_type="text/markdown",
    size=1,
    sha256="ab",
    created_at=NOON,
)


def blank(**fields: Any) -> Run:
    values = {"id": "run_1", "tenant": "default", "task_id": "task_1", "number": 1, "team": "rehearsal"}
    return Run(**{**values, "created_at": NOON, **fields})


def draft(keys: str = "abc") -> PlanDraft:
    return PlanDraft(summary="The plan", steps=tuple(PlanStep(key=key, title=f"Do {key}") for key in keys))


def deliver(keys: str = "abc") -> c.DeliverPlan:
    return c.DeliverPlan(draft=draft(keys), created_by="mike")


def line(message: str = "Hello.") -> c.NewLine:
    return c.NewLine(message=message, timestamp=NOON)


def carried(keys: str = "abc", skipped: str = "a") -> Plan:
    """An approved plan of an earlier run, of which some steps are not done again."""
    plan = number(draft(keys), previous=None, feedback=None, created_by="mike", now=NOON)
    return replace(
        plan,
        steps=tuple(
            replace(step, status=StepStatus.SKIPPED, output=f"{step.key} of old") if step.key in skipped else step
            for step in plan.steps
        ),
    )


class Life:
    """A run that is taken through its life."""

    def __init__(self, *, plan: Plan | None = None, settings: RunSettings | None = None, **fields: Any) -> None:
        self.now = NOON
        run = blank(settings=settings or RunSettings(), **fields)
        self.transition = create(run, self.now, plan=plan)
        self.log = list(self.transition.events)

    @property
    def state(self) -> RunState:
        return self.transition.state

    @property
    def run(self) -> Run:
        return self.transition.state.run

    @property
    def told(self) -> tuple[EventType, ...]:
        """Types of the events of the last command."""
        return tuple(event.type for event in self.transition.events)

    def do(self, *commands: c.Command, after: float = 1) -> Transition:
        """Apply commands in one transaction, some seconds later."""
        self.now += timedelta(seconds=after)
        self.transition = decide_all(self.state, commands, self.now)
        self.log += self.transition.events
        return self.transition

    def step(self, key: str) -> PlanStep:
        assert self.state.plan is not None
        step = self.state.plan.step(key)
        assert step is not None
        return step


def at(status: RunStatus, **fields: Any) -> Life:
    """A run that has just come to a status, with a worker where one is needed, and step a started where it runs."""
    life = Life(**fields)
    for command in WAYS[status]:
        life.do(command)
    if status is RunStatus.TIMEOUT:
        life.do(c.Expire(), after=300)
    assert life.run.status is status
    return life


def tried(life: Life, command: c.Command) -> Transition:
    """What a command leads to, without the run going on to it."""
    return decide(life.state, command, life.now)


_PLANNED: Final = (CLAIM, deliver())
_STARTED: Final = (*_PLANNED, APPROVE, CLAIM, c.StartStep(key="a"))
_DONE: Final = tuple(
    command for key in "abc" for command in (c.StartStep(key=key), c.FinishStep(key=key, output=f"{key} is done"))
)
WAYS: Final[dict[RunStatus, tuple[c.Command, ...]]] = {
    RunStatus.PENDING: (),
    RunStatus.ANALYZING: (CLAIM,),
    RunStatus.AWAITING_APPROVAL: _PLANNED,
    RunStatus.RUNNING: _STARTED,
    RunStatus.CANCELLING: (*_STARTED, CANCEL),
    RunStatus.COMPLETED: (*_PLANNED, APPROVE, CLAIM, *_DONE, c.Finish(results={"ok": True})),
    RunStatus.FAILED: (*_STARTED, c.Fail(failure=FAILURE)),
    RunStatus.REJECTED: (*_PLANNED, REJECT),
    RunStatus.CANCELLED: (*_STARTED, CANCEL, c.Stopped()),
    RunStatus.TIMEOUT: (*_PLANNED,),
}
