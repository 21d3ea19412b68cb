"""Whatever is asked of a run, in whatever order: the promises about its status, its events and its plan hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain import commands as c
from domain.errors import InvalidSignalError, NotClaimableError, UserFacingError
from domain.events import Event, EventType
from domain.fold import RunState, evolve, replay
from domain.lifecycle import Transition, allowed_actions, create, decide, decide_all
from domain.model import (
    ApprovalTimeoutPolicy,
    Plan,
    RunAction,
    RunSettings,
    RunStatus,
    StepStatus,
    Usage,
)
from domain.plan import digest
from domain.transitions import FINAL, LIFE, TRANSITIONS

from .lives import ARTIFACT, FAILURE, GRACE, METRIC, NOON, blank, carried, deliver

KEYS = st.sampled_from("abcdz")
PLANS = st.lists(st.sampled_from("abcd"), min_size=1, unique=True).map("".join)
OUTPUTS = st.none() | st.integers() | st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=2)
SPENT = st.builds(Usage, requests=st.integers(0, 2), cost_usd=st.sampled_from([0.0, 0.1, 0.2]))
VERSIONS = st.none() | st.integers(0, 3)
ACTORS = st.sampled_from(["ann", "bob"])

ROWS = {
    (source, source if row.target is None else row.target, row.events)
    for row in LIFE
    for source in row.sources
    if source is not None
}
WORKED = (RunStatus.ANALYZING, RunStatus.RUNNING, RunStatus.CANCELLING)
STEPS = {
    StepStatus.PENDING: {StepStatus.RUNNING, StepStatus.SKIPPED},
    StepStatus.RUNNING: {StepStatus.COMPLETED, StepStatus.FAILED, StepStatus.SKIPPED},
}


ANYTHING: list[c.Command] = [
    c.Review(approved=True, actor="ann"),
    c.Review(approved=False, actor="ann", plan_version=1),
    c.RequestChanges(feedback="Shorter.", actor="ann"),
    c.Cancel(actor="ann", reason=None, grace=GRACE),
    c.Expire(),
    c.Claim(owner="other", lease_until=None),
    c.HandOver(),
    c.Stopped(),
    deliver(),
    c.StartStep(key="a"),
    c.AdvanceStep(key="a", fraction=0.5),
    c.FinishStep(key="a"),
    c.FailStep(key="a", error="No."),
    c.WriteLog(lines=(c.NewLine(message="Hello.", timestamp=NOON),)),
    c.RecordMetrics(metrics=(METRIC,)),
    c.RecordMetrics(metrics=(METRIC,), by_team=True),
    c.StoreArtifact(artifact=ARTIFACT),
    c.Finish(results=None),
    c.Fail(failure=FAILURE),
]


def stands(*statuses: RunStatus) -> Callable[[RunLife], bool]:
    """Whether a run is in one of these statuses: most rules are tried where they can succeed, to get far."""
    return lambda life: life.state.run.status in statuses


class RunLife(RuleBasedStateMachine):
    """One run, from its creation on, with all its events and a clock that only goes forward."""

    state: RunState
    log: list[Event]

    @initialize(
        timeout=st.none() | st.integers(1, 100),
        policy=st.sampled_from(ApprovalTimeoutPolicy),
        rounds=st.integers(0, 3),
        auto_approve=st.booleans(),
        held=st.sampled_from([False, False, False, True]),
        plan=st.none() | st.builds(carried, PLANS, st.sampled_from(["", "a", "ab"])),
    )
    def create(  # noqa: PLR0917  # Hypothesis passes them by name
        self,
        timeout: int | None,
        policy: ApprovalTimeoutPolicy,
        rounds: int,
        auto_approve: bool,
        held: bool,
        plan: Plan | None,
    ) -> None:
        rules = RunSettings(approval_timeout=timeout, on_approval_timeout=policy, max_revision_rounds=rounds)
        self.now = NOON
        self.blank = blank(held=held, labels=("blue",))
        run = replace(self.blank, settings=rules, auto_approve=auto_approve, config={"a": [1.0]}, priority=3)
        transition = create(run, self.now, plan=plan)
        self.state, self.log = transition.state, []
        self.rebuilt = RunState(run=self.blank)
        self.approved: str | None = None
        self.hear(transition)

    def ask(self, *commands: c.Command) -> None:
        """Ask for something; a refusal changes nothing, and everything else is a row of the table."""
        before = self.state
        kept = repr(before)
        try:
            transition = decide_all(before, commands, self.now)
        except (UserFacingError, NotClaimableError, InvalidSignalError):
            assert repr(self.state) == kept
            return
        if len(commands) == 1:
            self.check_row(before.run.status, transition)
        self.check_change(before, transition.state)
        self.state = transition.state
        self.hear(transition)

    def hear(self, transition: Transition) -> None:
        """Fold the events as they come back from the log."""
        for event in transition.events:
            heard = replace(event, data=json.loads(json.dumps(event.data, allow_nan=False)))
            self.rebuilt = evolve(self.rebuilt, heard.payload, heard.timestamp)  # type: ignore[arg-type]
            self.log.append(heard)

    def check_row(self, source: RunStatus, transition: Transition) -> None:
        told = tuple(event.type for event in transition.events)
        if source is RunStatus.PENDING and EventType.PLAN_READY in told:
            told = tuple(type_ for type_ in told if type_ is not EventType.PROGRESS)
        if told:
            assert (source, transition.state.run.status, told) in ROWS
        else:
            assert transition.state.run.status is source

    def check_change(self, before: RunState, after: RunState) -> None:
        old, new = before.run, after.run
        assert new.status is old.status or new.status in TRANSITIONS[old.status]
        assert new.attempt >= old.attempt
        if before.plan is not None and after.plan is not None and before.plan.version == after.plan.version:
            if old.progress is not None:
                assert new.progress is not None
                assert new.progress >= old.progress
            for was, is_ in zip(before.plan.steps, after.plan.steps, strict=True):
                assert was.key == is_.key
                assert is_.status is was.status or is_.status in STEPS[was.status]
                assert is_.starts >= was.starts
        if old.status in FINAL:
            assert after == before

    # Time

    @rule(seconds=st.sampled_from([0.001, 1, 7, 60]))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.state.run.deadline is not None)
    @rule()
    def expire(self) -> None:
        self.ask(c.Expire())

    @precondition(lambda self: self.state.run.deadline is not None)
    @rule()
    def wait_for_the_deadline(self) -> None:
        self.now = max(self.now, self.state.run.deadline or self.now)
        self.ask(c.Expire())

    # People

    @precondition(stands(RunStatus.AWAITING_APPROVAL))
    @rule(approved=st.booleans(), version=VERSIONS, actor=ACTORS)
    def review(self, approved: bool, version: int | None, actor: str) -> None:
        self.ask(c.Review(approved=approved, plan_version=version, actor=actor))

    @precondition(stands(RunStatus.AWAITING_APPROVAL))
    @rule()
    def approve(self) -> None:
        self.ask(c.Review(approved=True, actor="ann"))

    @precondition(stands(RunStatus.AWAITING_APPROVAL))
    @rule(version=VERSIONS, actor=ACTORS)
    def request_changes(self, version: int | None, actor: str) -> None:
        self.ask(c.RequestChanges(feedback="Shorter.", plan_version=version, actor=actor))

    @rule(chance=st.integers(0, 4))
    def cancel(self, chance: int) -> None:
        if chance == 0:
            self.ask(c.Cancel(actor="ann", reason=None, grace=GRACE))

    # Anybody, at the wrong time too

    @rule(command=st.sampled_from(ANYTHING))
    def ask_anything(self, command: c.Command) -> None:
        if not isinstance(command, c.Cancel | c.Fail) or self.state.run.status not in {RunStatus.PENDING, *WORKED}:
            self.ask(command)

    # Workers

    @precondition(stands(RunStatus.PENDING, *WORKED))
    @rule(lease=st.none() | st.integers(1, 30))
    def claim(self, lease: int | None) -> None:
        self.ask(c.Claim(owner="w", lease_until=None if lease is None else self.now + timedelta(seconds=lease)))

    @precondition(stands(RunStatus.PENDING, *WORKED))
    @rule()
    def lose_the_worker_and_claim(self) -> None:
        run = self.state.run
        if run.owner is not None:
            self.state = replace(self.state, run=replace(run, lease_until=self.now))
        self.ask(c.Claim(owner="w", lease_until=None))

    @precondition(lambda self: self.state.run.held)
    @rule()
    def release(self) -> None:
        self.state = replace(self.state, run=replace(self.state.run, held=False))

    @precondition(lambda self: self.state.run.owner is not None)
    @rule()
    def hand_over(self) -> None:
        self.ask(c.HandOver())

    @precondition(stands(RunStatus.CANCELLING))
    @rule()
    def stopped(self) -> None:
        self.ask(c.Stopped())

    # Teams

    @precondition(stands(RunStatus.ANALYZING))
    @rule(keys=PLANS, usage=SPENT)
    def deliver(self, keys: str, usage: Usage) -> None:
        self.ask(replace(deliver(keys), usage=usage))

    @precondition(stands(RunStatus.RUNNING))
    @rule(key=KEYS)
    def start_step(self, key: str) -> None:
        self.ask(c.StartStep(key=key))

    @precondition(stands(RunStatus.RUNNING))
    @rule(key=KEYS, fraction=st.floats(), usage=SPENT)
    def advance_step(self, key: str, fraction: float, usage: Usage) -> None:
        self.ask(c.AdvanceStep(key=key, fraction=fraction, usage=usage))

    @precondition(stands(RunStatus.RUNNING))
    @rule(key=KEYS, output=OUTPUTS, skipped=st.booleans(), usage=SPENT)
    def finish_step(self, key: str, output: Any, skipped: bool, usage: Usage) -> None:
        self.ask(c.FinishStep(key=key, output=output, skipped=skipped, usage=usage))

    @precondition(stands(RunStatus.RUNNING))
    @rule(output=OUTPUTS)
    def do_the_next_step(self, output: Any) -> None:
        steps = self.state.plan.steps if self.state.plan else ()
        key = next((step.key for step in steps if not step.status.is_final), "z")
        self.ask(c.StartStep(key=key))
        self.ask(c.FinishStep(key=key, output=output))

    @precondition(stands(RunStatus.RUNNING))
    @rule(key=KEYS, usage=SPENT, with_the_run=st.booleans())
    def fail_step(self, key: str, usage: Usage, with_the_run: bool) -> None:
        end = [c.Fail(failure=FAILURE)] if with_the_run else []
        self.ask(c.FailStep(key=key, error="No.", usage=usage), *end)

    @precondition(stands(*WORKED))
    @rule(messages=st.lists(st.text(max_size=5), min_size=1, max_size=3))
    def log_lines(self, messages: list[str]) -> None:
        self.ask(c.WriteLog(lines=tuple(c.NewLine(message=message, timestamp=self.now) for message in messages)))

    @precondition(stands(*WORKED))
    @rule()
    def take_samples(self) -> None:
        self.ask(c.RecordMetrics(metrics=(METRIC,), by_team=True))

    @precondition(stands(*WORKED))
    @rule()
    def store_artifact(self) -> None:
        self.ask(c.StoreArtifact(artifact=ARTIFACT))

    @precondition(stands(RunStatus.RUNNING))
    @rule(results=OUTPUTS, usage=SPENT)
    def finish(self, results: Any, usage: Usage) -> None:
        self.ask(c.Finish(results=results, usage=usage))

    @precondition(stands(*WORKED))
    @rule(chance=st.integers(0, 4), usage=SPENT)
    def fail(self, chance: int, usage: Usage) -> None:
        if chance == 0:
            self.ask(c.Fail(failure=FAILURE, usage=usage))

    def teardown(self) -> None:
        if hasattr(self, "log"):
            assert replay(self.blank, self.log) == self.rebuilt

    # What always holds

    @invariant()
    def events_are_numbered_without_a_gap(self) -> None:
        assert [event.sequence for event in self.log] == list(range(1, len(self.log) + 1))
        assert self.state.run.last_sequence == len(self.log)

    @invariant()
    def the_state_is_the_fold_of_the_events(self) -> None:
        run = self.state.run
        engine = {name: getattr(run, name) for name in ("held", "owner", "lease_until", "attempt", "begun")}

        assert replace(self.rebuilt, run=replace(self.rebuilt.run, **engine)) == self.state

    @invariant()
    def the_end_is_told_once_and_nothing_follows_it(self) -> None:
        terminal = [event.is_terminal for event in self.log]
        assert any(terminal) == (self.state.run.status in FINAL)
        assert not any(terminal[:-1])

    @invariant()
    def nobody_owns_a_run_that_needs_no_work(self) -> None:
        run = self.state.run
        if run.status in FINAL | {RunStatus.AWAITING_APPROVAL, RunStatus.PENDING}:
            assert run.owner is None
        assert (run.deadline is not None) or run.status is not RunStatus.CANCELLING

    @invariant()
    def progress_is_a_fraction(self) -> None:
        progress = self.state.run.progress
        assert progress is None or 0.0 <= progress <= 1.0
        assert (progress is not None) or self.state.run.status is not RunStatus.RUNNING

    @invariant()
    def steps_stand_where_their_run_lets_them(self) -> None:
        run, plan = self.state.run, self.state.plan
        steps = {step.status for step in plan.steps} if plan else set()
        if run.status in FINAL:
            assert steps.isdisjoint({StepStatus.PENDING, StepStatus.RUNNING})
            assert run.current_step is None
        elif run.status not in {RunStatus.RUNNING, RunStatus.CANCELLING}:
            assert steps <= {StepStatus.PENDING, StepStatus.SKIPPED}
        if run.status is RunStatus.COMPLETED:
            assert steps <= {StepStatus.COMPLETED, StepStatus.SKIPPED}
            assert run.progress == 1.0
        assert (run.current_step is not None) == (StepStatus.RUNNING in steps)

    @invariant()
    def what_was_approved_is_what_runs(self) -> None:
        plan = self.state.plan
        if self.approved is None and self.state.run.progress is not None:
            assert plan is not None
            self.approved = plan.digest
        if plan is not None and self.approved is not None:
            assert digest(plan) == plan.digest == self.approved

    @invariant()
    def what_is_offered_is_what_is_accepted(self) -> None:
        run = self.state.run
        asked: dict[RunAction, c.Command] = {
            RunAction.APPROVE: c.Review(approved=True, actor="new"),
            RunAction.REJECT: c.Review(approved=False, actor="new"),
            RunAction.REQUEST_CHANGES: c.RequestChanges(feedback="More.", actor="new"),
            RunAction.CANCEL: c.Cancel(actor="new", reason=None, grace=GRACE),
        }
        for action, command in asked.items():
            try:
                accepted = bool(decide(self.state, command, self.now).events)
            except UserFacingError:
                accepted = False
            assert accepted == (action in allowed_actions(run, self.now))


def explore(examples: int) -> None:
    run_state_machine_as_test(
        RunLife,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_run_keeps_its_promises_whatever_is_asked_of_it() -> None:
    explore(500)
