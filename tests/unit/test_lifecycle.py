"""A run's life follows its table: workers take it and are lost, the team plans, a caller is told what may be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain import commands as c
from domain.errors import (
    InvalidPlanError,
    NotClaimableError,
    UserFacingError,
)
from domain.events import EventType
from domain.fold import replay
from domain.lifecycle import MAX_LOST_WORKERS, allowed_actions, refuse
from domain.model import (
    POLICY,
    ApprovalTimeoutPolicy,
    DecisionKind,
    Run,
    RunAction,
    RunSettings,
    RunStatus,
    StepStatus,
    Usage,
)
from domain.plan import PlanDraft
from domain.transitions import ACTIVE, FINAL, LIFE, TRANSITIONS, WORKING, Row

from .lives import (
    APPROVE,
    ARTIFACT,
    CANCEL,
    CHANGE,
    CLAIM,
    FAILURE,
    METRIC,
    NOON,
    REJECT,
    Life,
    at,
    carried,
    deliver,
    line,
    tried,
)

S = RunStatus
T = EventType
A = RunAction
APPROVES_LATE = RunSettings(on_approval_timeout=ApprovalTimeoutPolicy.APPROVE)
WRITE = c.WriteLog(lines=(line(),))
SAMPLE = c.RecordMetrics(metrics=(METRIC,), by_team=True)
GIVEN = c.RecordMetrics(metrics=(METRIC,))
STORE = c.StoreArtifact(artifact=ARTIFACT)
SPENT = Usage(requests=1, input_tokens=10, output_tokens=5, cost_usd=0.25)


# The table


def orphan(status: RunStatus, **fields: Any) -> Life:
    """A run whose work was begun and whose worker is gone."""
    life = at(status, **fields)
    life.transition = replace(life.transition, state=replace(life.state, run=replace(life.run, lease_until=life.now)))
    return life


def handed_over(status: RunStatus) -> Life:
    life = at(status)
    life.do(c.HandOver())
    return life


def all_done() -> Life:
    life = at(S.RUNNING)
    life.do(c.FinishStep(key="a"), *(c.FinishStep(key=key, skipped=True) for key in "bc"))
    return life


def each(*cases: tuple[S, Callable[[], Life], c.Command]) -> dict[S | None, tuple[Callable[[], Life], c.Command]]:
    return {source: (life, command) for source, life, command in cases}


def on(*sources: RunStatus, command: c.Command) -> dict[S | None, tuple[Callable[[], Life], c.Command]]:
    return {source: (lambda source=source: at(source), command) for source in sources}  # type: ignore[misc]


WAYS: dict[str, list[dict[S | None, tuple[Callable[[], Life], c.Command]]]] = {
    "a worker takes it": [on(S.PENDING, command=CLAIM)],
    "a worker takes a retry from a step": [each((S.PENDING, lambda: Life(plan=carried(skipped="")), CLAIM))],
    "the team delivered a plan": [on(S.ANALYZING, command=deliver())],
    "the same, and autoApprove": [each((S.ANALYZING, lambda: at(S.ANALYZING, auto_approve=True), deliver()))],
    "approveRun(approved: true)": [on(S.AWAITING_APPROVAL, command=APPROVE)],
    "approveRun(approved: false)": [on(S.AWAITING_APPROVAL, command=REJECT)],
    "requestPlanChanges": [on(S.AWAITING_APPROVAL, command=CHANGE)],
    "the deadline passed, policy REJECT": [on(S.AWAITING_APPROVAL, command=c.Expire())],
    "the deadline passed, policy APPROVE": [
        each((S.AWAITING_APPROVAL, lambda: at(S.AWAITING_APPROVAL, settings=APPROVES_LATE), c.Expire()))
    ],
    "steps": [on(S.RUNNING, command=c.FinishStep(key="a"))],
    "all steps done": [each((S.RUNNING, all_done, c.Finish(results=1)))],
    "error, or given up after repeated crashes": [on(S.ANALYZING, S.RUNNING, command=c.Fail(failure=FAILURE))],
    "cancelRun": [
        on(S.PENDING, S.AWAITING_APPROVAL, command=CANCEL),
        on(S.ANALYZING, S.RUNNING, command=CANCEL),
    ],
    "cancelRun while nobody works on it": [
        each(
            (S.ANALYZING, lambda: handed_over(S.ANALYZING), CANCEL),
            (S.RUNNING, lambda: handed_over(S.RUNNING), CANCEL),
        )
    ],
    "the work stopped, or the grace period ended": [on(S.CANCELLING, command=c.Stopped())],
    "its worker is gone, another takes over": [
        each(
            (S.ANALYZING, lambda: orphan(S.ANALYZING), CLAIM),
            (S.RUNNING, lambda: orphan(S.RUNNING), CLAIM),
            (S.CANCELLING, lambda: orphan(S.CANCELLING), CLAIM),
        )
    ],
    "the team reports": [
        on(S.ANALYZING, S.RUNNING, S.CANCELLING, command=WRITE),
        on(S.ANALYZING, S.RUNNING, command=SAMPLE),
        on(S.ANALYZING, S.RUNNING, command=STORE),
    ],
    "createMetrics": [
        on(S.PENDING, S.ANALYZING, S.AWAITING_APPROVAL, S.RUNNING, S.CANCELLING, command=GIVEN),
    ],
}

ROWS = [(row, source) for row in LIFE for source in row.sources if source is not None]


@pytest.mark.parametrize(("row", "source"), ROWS, ids=lambda value: value.cause if isinstance(value, Row) else value)
def test_each_row_of_the_table_happens(row: Row, source: RunStatus) -> None:
    same_cause = [other for other in LIFE if other.cause == row.cause]
    begin, command = WAYS[row.cause][same_cause.index(row)][source]
    life = begin()
    assert life.run.status is source
    before = life.run.last_sequence

    life.do(command, after=300 if isinstance(command, c.Expire) else 1)

    assert life.run.status is (row.target or source)
    assert life.told == row.events
    assert [event.sequence for event in life.transition.events] == [
        before + place for place in range(1, len(row.events) + 1)
    ]
    assert {event.status for event in life.transition.events} == {life.run.status}


def test_a_run_begins_pending_with_one_event() -> None:
    life = Life(config={"steps": 3}, auto_approve=True, priority=4, retry_of="run_0")

    (event,) = life.transition.events
    assert (event.id, event.type, event.sequence, event.status) == ("event_1_1", T.RUN_CREATED, 1, S.PENDING)
    assert (event.tenant, event.task_id, event.run_id) == ("default", "task_1", "run_1")
    assert event.data["config"] == {"steps": 3}
    assert event.data["retryOf"] == "run_0"
    assert not event.is_terminal
    assert event.at(9).pos == 9


@pytest.mark.parametrize("status", sorted(RunStatus), ids=str)
def test_a_run_can_be_rebuilt_from_its_log_its_ids_and_its_labels(status: RunStatus) -> None:
    life = at(status, labels=("blue",), config={"rows": [1, 2.5]}, priority=3, retry_of="run_0", number=7)

    rebuilt = replay(
        Run(id="run_1", tenant="default", task_id="task_1", number=0, team="", labels=("blue",), created_at=NOON),
        life.log,
    )

    engine = {name: getattr(life.run, name) for name in ("held", "owner", "lease_until", "attempt", "begun")}
    assert replace(rebuilt, run=replace(rebuilt.run, **engine)) == life.state


def test_each_status_has_its_transitions_and_final_ones_have_none() -> None:
    assert set(TRANSITIONS) == set(RunStatus)
    assert {S.COMPLETED, S.FAILED, S.REJECTED, S.CANCELLED, S.TIMEOUT} == FINAL
    assert set(RunStatus) - FINAL == ACTIVE
    assert ACTIVE - {S.AWAITING_APPROVAL} == WORKING


# Workers


def test_a_claim_names_its_worker_and_counts() -> None:
    life = at(S.PENDING)
    lease = NOON + timedelta(seconds=30)
    life.do(c.Claim(owner="w1", lease_until=lease))

    assert (life.run.owner, life.run.lease_until, life.run.attempt, life.run.begun) == ("w1", lease, 1, True)
    assert (life.run.started_at, life.run.round_count) == (life.now, 1)


@pytest.mark.parametrize("status", sorted(FINAL | {S.AWAITING_APPROVAL}), ids=str)
def test_a_run_that_needs_no_work_can_t_be_claimed(status: RunStatus) -> None:
    with pytest.raises(NotClaimableError, match=f"it is {status}"):
        at(status).do(CLAIM)


@pytest.mark.parametrize("status", [S.ANALYZING, S.RUNNING, S.CANCELLING], ids=str)
@pytest.mark.parametrize("lease", [None, timedelta(seconds=2)])
def test_a_run_with_a_living_worker_can_t_be_claimed(status: RunStatus, lease: timedelta | None) -> None:
    life = at(status)
    until = None if lease is None else life.now + lease
    life.transition = replace(life.transition, state=replace(life.state, run=replace(life.run, lease_until=until)))

    with pytest.raises(NotClaimableError):
        life.do(CLAIM)


def test_a_run_that_waits_for_an_earlier_one_can_t_be_claimed() -> None:
    with pytest.raises(NotClaimableError):
        Life(held=True).do(CLAIM)


def test_a_run_that_waits_for_a_person_has_no_worker() -> None:
    life = at(S.AWAITING_APPROVAL)

    assert (life.run.owner, life.run.lease_until, life.run.begun, life.run.attempt) == (None, None, False, 1)
    life.do(APPROVE)
    life.do(CLAIM)
    assert life.told == ()
    assert life.run.attempt == 2


def test_a_lost_worker_is_told_and_counted() -> None:
    life = orphan(S.RUNNING)
    life.do(CLAIM)

    assert life.transition.events[0].data == {"reason": "WORKER_LOST", "attempt": 3, "lostWorkers": 1}
    assert (life.run.attempt, life.run.lost_workers) == (3, 1)


def test_a_clean_hand_over_is_told_and_not_counted() -> None:
    life = at(S.RUNNING)
    for attempt in range(3, 13):
        life.do(c.HandOver())
        assert life.told == ()
        assert life.run.owner is None
        life.do(CLAIM)
        assert life.transition.events[0].data == {"reason": "HANDED_OVER", "attempt": attempt, "lostWorkers": 0}


def lose(life: Life, times: int) -> None:
    for _ in range(times):
        life.do(c.Claim(owner="w", lease_until=life.now + timedelta(seconds=2)), after=5)


@pytest.mark.parametrize("status", [S.ANALYZING, S.RUNNING], ids=str)
def test_the_fifth_worker_lost_in_a_row_ends_the_run(status: RunStatus) -> None:
    life = orphan(status)
    lose(life, MAX_LOST_WORKERS - 1)
    assert life.run.status is status

    lose(life, 1)

    assert life.told == (T.FAILURE,)
    assert life.run.failure is not None
    assert life.run.failure.code == "WORKER_LOST"
    assert life.run.failure.step == ("a" if status is S.RUNNING else None)
    assert life.run.failure.retryable
    assert life.run.owner is None


def test_what_is_recorded_complete_in_between_starts_the_count_anew() -> None:
    life = orphan(S.RUNNING)
    lose(life, MAX_LOST_WORKERS - 1)
    life.do(c.FinishStep(key="a"), after=0)
    assert life.run.lost_workers == 0

    lose(life, MAX_LOST_WORKERS - 1)

    assert life.run.status is S.RUNNING


def test_starting_a_step_and_writing_lines_do_not_start_the_count_anew() -> None:
    life = orphan(S.RUNNING)
    lose(life, MAX_LOST_WORKERS - 1)
    life.do(c.StartStep(key="a"), WRITE, SAMPLE, after=0)

    lose(life, 1)

    assert life.run.status is S.FAILED


def test_a_run_that_is_being_cancelled_is_never_given_up() -> None:
    life = orphan(S.CANCELLING)
    lose(life, MAX_LOST_WORKERS + 1)

    assert life.run.status is S.CANCELLING
    life.do(c.Stopped())


# Planning


def test_a_plan_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(InvalidPlanError):
        at(S.ANALYZING).do(c.DeliverPlan(draft=PlanDraft(summary="", steps=()), created_by="mike"))


def test_what_is_written_with_the_end_of_a_run_does_not_say_that_it_ended() -> None:
    life = at(S.RUNNING)
    life.do(c.FinishStep(key="a"), c.StartStep(key="b"), c.FinishStep(key="b"), c.StartStep(key="c"))
    life.do(c.FinishStep(key="c"), c.Finish(results=None))
    assert [event.status for event in life.transition.events] == [S.RUNNING, S.COMPLETED]


def test_an_auto_approved_run_goes_on_with_the_same_worker() -> None:
    life = at(S.ANALYZING, auto_approve=True)
    life.do(deliver())

    assert [(d.kind, d.actor, d.plan_version) for d in life.state.decisions] == [
        (DecisionKind.AUTO_APPROVED, POLICY, 1)
    ]
    assert (life.run.status, life.run.owner, life.run.deadline) == (S.RUNNING, "worker", None)


def test_what_planning_cost_is_added_up_over_versions() -> None:
    life = at(S.ANALYZING)
    life.do(replace(deliver(), usage=SPENT))
    life.do(CHANGE)
    life.do(CLAIM)
    life.do(replace(deliver(), usage=SPENT))

    assert life.run.usage == Usage(requests=2, input_tokens=20, output_tokens=10, cost_usd=0.5)


# A retry from a step


def test_a_retry_from_a_step_takes_its_plan_over_without_the_team() -> None:
    plan = carried("abcd", skipped="ab")
    life = Life(plan=plan, retry_of="run_0")
    assert life.run.plan_version == 0
    life.do(CLAIM)

    assert life.told == (T.ANALYSIS_START, T.PLAN_READY, T.APPROVED, T.PROGRESS, T.PROGRESS)
    progress = [event.data for event in life.transition.events[3:]]
    assert [(p["step"], p["stepStatus"], p["attempt"], p["stepIndex"], p["progress"]) for p in progress] == [
        ("a", "SKIPPED", 0, 1, 0.25),
        ("b", "SKIPPED", 0, 2, 0.5),
    ]
    assert [(d.kind, d.actor) for d in life.state.decisions] == [(DecisionKind.AUTO_APPROVED, POLICY)]
    assert (life.run.status, life.run.progress, life.run.plan_version) == (S.RUNNING, 0.5, 1)
    assert life.state.plan is not None
    assert life.state.plan.digest == plan.digest
    assert life.step("a").output == "a of old"
    assert life.step("c").status is StepStatus.PENDING


# What may be done


@pytest.mark.parametrize("status", sorted(RunStatus), ids=str)
@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize("rounds", [0, 2])
def test_the_allowed_actions_are_those_that_are_accepted(status: RunStatus, expired: bool, rounds: int) -> None:
    life = at(status, settings=RunSettings(max_revision_rounds=rounds))
    now = life.now + timedelta(seconds=300 * expired)
    life.now = now
    commands: dict[RunAction, c.Command] = {
        A.APPROVE: replace(APPROVE, actor="bob"),
        A.REJECT: replace(REJECT, actor="bob"),
        A.REQUEST_CHANGES: CHANGE,
        A.CANCEL: CANCEL,
    }

    accepted = [action for action, command in commands.items() if changes_something(life, command)]

    offered = allowed_actions(life.run, now)
    assert [action for action in offered if action in commands] == accepted
    assert (A.RETRY in offered) == (status in FINAL - {S.COMPLETED})
    assert (A.DELETE in offered) == (status in FINAL)
    assert list(offered) == [action for action in RunAction if action in offered]


def changes_something(life: Life, command: c.Command) -> bool:
    try:
        return bool(tried(life, command).events)
    except UserFacingError:
        return False


def test_a_refusal_names_the_status_and_what_may_be_done_instead() -> None:
    refusal = refuse(at(S.COMPLETED).run, NOON, "retried")

    assert refusal.message == "A run that is COMPLETED can't be retried."
    assert (refusal.current, refusal.allowed) == (S.COMPLETED, (A.DELETE,))
