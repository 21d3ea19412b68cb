"""People and policy decide: on the plan, in time, once; and a run can be cancelled."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import commands as c
from domain.errors import (
    ApprovalExpiredError,
    ConflictError,
    InvalidStateError,
    LimitReachedError,
)
from domain.events import EventType
from domain.lifecycle import allowed_actions
from domain.model import (
    POLICY,
    ApprovalTimeoutPolicy,
    DecisionKind,
    RunAction,
    RunSettings,
    RunStatus,
    StepStatus,
)
from domain.transitions import FINAL

from .lives import (
    APPROVE,
    ARTIFACT,
    CANCEL,
    CHANGE,
    CLAIM,
    FAILURE,
    GRACE,
    METRIC,
    REJECT,
    at,
    deliver,
    tried,
)

S = RunStatus
T = EventType
A = RunAction
FOR_EVER = RunSettings(approval_timeout=None)
APPROVES_LATE = RunSettings(on_approval_timeout=ApprovalTimeoutPolicy.APPROVE)
SAMPLE = c.RecordMetrics(metrics=(METRIC,), by_team=True)
STORE = c.StoreArtifact(artifact=ARTIFACT)


# Decisions


def test_approval_is_recorded_and_the_run_waits_for_a_worker_with_nothing_done() -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(replace(APPROVE, feedback="Fine.", plan_version=1))

    (decision,) = life.state.decisions
    assert (decision.kind, decision.plan_version, decision.feedback) == (DecisionKind.APPROVED, 1, "Fine.")
    assert (decision.actor, decision.decided_at) == ("ann", life.now)
    assert (life.run.progress, life.run.deadline, life.run.owner) == (0.0, None, None)


def test_rejection_ends_the_run_and_skips_its_steps() -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(replace(REJECT, feedback="No."))

    assert life.transition.events[-1].is_terminal
    assert life.state.decisions[0].feedback == "No."
    assert life.state.plan is not None
    assert {step.status for step in life.state.plan.steps} == {StepStatus.SKIPPED}
    assert life.run.completed_at == life.now


def test_feedback_leads_to_a_next_version_that_answers_it() -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(CHANGE)
    assert (life.run.revisions, life.run.round_count, life.run.deadline) == (1, 2, None)

    life.do(CLAIM)
    assert life.told == ()
    life.do(deliver("ab"))

    assert life.state.plan is not None
    assert (life.state.plan.version, life.state.plan.feedback) == (2, "Shorter.")
    assert [change.step_key for change in life.state.plan.changes] == ["c"]
    assert life.run.plan_version == 2


def test_feedback_beyond_the_tasks_limit_is_refused() -> None:
    life = at(S.AWAITING_APPROVAL, settings=RunSettings(max_revision_rounds=1))
    life.do(CHANGE)
    life.do(CLAIM)
    life.do(deliver())

    with pytest.raises(LimitReachedError, match="no more than 1 times"):
        life.do(CHANGE)
    assert A.REQUEST_CHANGES not in allowed_actions(life.run, life.now)
    life.do(APPROVE)


@pytest.mark.parametrize(("command", "status"), [(APPROVE, S.RUNNING), (REJECT, S.REJECTED)])
@pytest.mark.parametrize("version", [None, 1])
def test_the_same_decision_again_is_a_success_that_changes_nothing(
    command: c.Review, status: RunStatus, version: int | None
) -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(replace(command, feedback="First."))
    before = life.state

    life.do(replace(command, feedback="Second.", plan_version=version))

    assert life.told == ()
    assert life.state == before
    assert life.run.status is status


def test_the_same_approval_is_a_success_even_after_the_run_has_ended() -> None:
    life = at(S.COMPLETED)

    assert tried(life, APPROVE).events == ()


@pytest.mark.parametrize(
    "command",
    [
        REJECT,
        CHANGE,
        replace(APPROVE, actor="bob"),
        replace(APPROVE, plan_version=2),
        replace(APPROVE, plan_version=0),
    ],
)
def test_any_other_decision_after_the_first_is_refused_with_the_status(command: c.Command) -> None:
    life = at(S.RUNNING)

    with pytest.raises(InvalidStateError) as refusal:
        life.do(command)

    assert (refusal.value.current, refusal.value.allowed) == (S.RUNNING, (A.CANCEL,))
    assert refusal.value.message.startswith("A run that is RUNNING can't be ")


@pytest.mark.parametrize("command", [APPROVE, REJECT, CHANGE])
@pytest.mark.parametrize("status", [S.PENDING, S.ANALYZING, S.CANCELLING, S.COMPLETED, S.FAILED, S.CANCELLED], ids=str)
def test_decisions_without_a_plan_that_waits_are_refused(
    status: RunStatus, command: c.Review | c.RequestChanges
) -> None:
    life = at(status)
    stranger = replace(command, actor="bob")

    with pytest.raises(InvalidStateError) as refusal:
        life.do(stranger)

    assert refusal.value.current is status
    assert refusal.value.allowed == allowed_actions(life.run, life.now)


def test_feedback_again_is_refused_since_only_its_key_makes_it_a_repeat() -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(CHANGE)

    with pytest.raises(InvalidStateError):
        life.do(CHANGE)


@pytest.mark.parametrize("command", [APPROVE, REJECT, CHANGE])
@pytest.mark.parametrize("version", [0, 2])
def test_a_decision_on_another_version_is_a_conflict(command: c.Review | c.RequestChanges, version: int) -> None:
    life = at(S.AWAITING_APPROVAL)

    with pytest.raises(ConflictError) as refusal:
        life.do(replace(command, plan_version=version))

    assert (refusal.value.expected, refusal.value.actual) == (version, 1)
    assert refusal.value.path == ("plan_version",)


# The deadline


def test_a_plan_waits_as_long_as_its_task_says_and_shows_until_when() -> None:
    life = at(S.AWAITING_APPROVAL)

    assert life.run.approval_expires_at == life.now + timedelta(seconds=300)
    assert life.transition.events[-1].data["expiresAt"] == "2026-11-23T12:05:02.000000Z"
    assert at(S.RUNNING).run.approval_expires_at is None


def test_nothing_happens_before_the_deadline() -> None:
    life = at(S.AWAITING_APPROVAL)
    life.do(c.Expire(), after=299.999999)

    assert life.told == ()


def test_without_a_deadline_a_plan_waits_for_ever() -> None:
    life = at(S.AWAITING_APPROVAL, settings=FOR_EVER)
    life.do(c.Expire(), after=10**9)

    assert life.told == ()
    assert life.run.approval_expires_at is None
    life.do(APPROVE)


def test_at_the_deadline_the_run_times_out_by_policy() -> None:
    life = at(S.AWAITING_APPROVAL)
    deadline = life.run.deadline
    life.do(c.Expire(), after=300)

    assert [(d.kind, d.actor) for d in life.state.decisions] == [(DecisionKind.EXPIRED, POLICY)]
    assert life.run.deadline == deadline
    assert life.told == (T.TIMEOUT,)


def test_or_it_goes_on_by_policy_where_its_task_says_so() -> None:
    life = at(S.AWAITING_APPROVAL, settings=APPROVES_LATE)
    life.do(c.Expire(), after=300)

    assert [(d.kind, d.actor) for d in life.state.decisions] == [(DecisionKind.AUTO_APPROVED, POLICY)]
    with pytest.raises(InvalidStateError):
        life.do(APPROVE)


@pytest.mark.parametrize("command", [APPROVE, REJECT, CHANGE, replace(APPROVE, plan_version=9)])
@pytest.mark.parametrize("closed", [False, True])
def test_a_decision_after_the_deadline_is_too_late_whatever_version_it_names(command: c.Command, closed: bool) -> None:
    life = at(S.AWAITING_APPROVAL)
    deadline = life.run.deadline
    life.do(*([c.Expire()] if closed else []), after=300)

    with pytest.raises(ApprovalExpiredError) as refusal:
        life.do(command, after=0)

    assert refusal.value.expired_at == deadline
    assert refusal.value.current is (S.TIMEOUT if closed else S.AWAITING_APPROVAL)


@pytest.mark.parametrize("status", sorted(RunStatus), ids=str)
def test_expiry_changes_nothing_where_no_deadline_has_come(status: RunStatus) -> None:
    assert tried(at(status), c.Expire()).events == ()


# Cancelling


def test_a_run_that_nobody_works_on_is_cancelled_at_once() -> None:
    life = at(S.PENDING)
    life.do(CANCEL)

    (event,) = life.transition.events
    assert event.is_terminal
    assert event.data == {"actor": "ann", "reason": "Not needed.", "forced": False}
    assert life.run.duration is None


def test_work_under_way_gets_its_grace_to_stop() -> None:
    life = at(S.RUNNING)
    life.do(CANCEL)
    assert life.run.deadline == life.now + GRACE
    assert life.run.owner == "worker"

    life.do(c.Stopped())

    assert life.transition.events[0].data["forced"] is False
    assert [life.run.owner, life.run.deadline, life.run.current_step] == [None, None, None]
    assert (life.step("a").status, life.step("a").error) == (StepStatus.FAILED, "The run ended as CANCELLED.")
    assert life.step("a").completed_at == life.now
    assert (life.step("b").status, life.step("b").completed_at) == (StepStatus.SKIPPED, None)


def test_work_that_does_not_stop_in_time_is_cancelled_by_force() -> None:
    life = at(S.CANCELLING)
    life.do(c.Expire(), after=10)

    assert life.transition.events[0].data["forced"] is True
    assert life.transition.events[0].message == "The run was cancelled by force."
    assert life.run.status is S.CANCELLED


@pytest.mark.parametrize("status", [S.CANCELLING, S.CANCELLED], ids=str)
def test_cancelling_again_changes_nothing(status: RunStatus) -> None:
    assert tried(at(status), CANCEL).events == ()


@pytest.mark.parametrize("status", sorted(FINAL - {S.CANCELLED}), ids=str)
def test_a_run_that_ended_otherwise_can_t_be_cancelled(status: RunStatus) -> None:
    with pytest.raises(InvalidStateError) as refusal:
        at(status).do(CANCEL)

    assert refusal.value.current is status


OVERHEARD: list[tuple[c.WorkerCommand, str]] = [
    (c.StartStep(key="b"), 'StartStep: {"key": "b"}'),
    (c.AdvanceStep(key="a", fraction=0.5), '"fraction": 0.5'),
    (c.FinishStep(key="a", output={"rows": 7}), '"output": {"rows": 7}'),
    (c.FailStep(key="a", error="Broken."), '"error": "Broken."'),
    (c.Finish(results={"answer": 42}), '"results": {"answer": 42}'),
    (c.Fail(failure=FAILURE), '"message": "It broke."'),
    (deliver(), '"summary": "The plan"'),
    (SAMPLE, '"name": "rows"'),
    (STORE, '"name": "report.md"'),
]


@pytest.mark.parametrize(("command", "text"), OVERHEARD, ids=lambda value: type(value).__name__)
def test_what_a_team_says_after_the_cancel_request_is_kept_as_a_line(command: c.WorkerCommand, text: str) -> None:
    life = at(S.CANCELLING)
    plan = life.state.plan
    life.do(command)

    assert life.told == (T.LOG,)
    (kept,) = life.transition.payloads[0].lines  # type: ignore[union-attr]
    assert kept.message.startswith("After the cancel request the team reported ")
    assert text in kept.message
    assert (life.run.status, life.state.plan) == (S.CANCELLING, plan)
