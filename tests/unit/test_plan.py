"""A plan's rules, its digest, and how two versions differ."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import plan as p
from domain.codec import from_json, to_json_object
from domain.errors import InvalidPlanError
from domain.model import ChangeKind, Plan, PlanChange, PlanStep, StepStatus
from domain.plan import PlanDraft, changes, check, digest, number

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
K = ChangeKind


def step(key: str, title: str = "", **fields: Any) -> PlanStep:
    return PlanStep(key=key, title=title or f"Do {key}", **fields)


def steps(keys: str) -> tuple[PlanStep, ...]:
    return tuple(step(key) for key in keys)


def draft(keys: str = "abc", **fields: Any) -> PlanDraft:
    return PlanDraft(**{"summary": "Three things", "steps": steps(keys)} | fields)


def numbered(content: PlanDraft, previous: Plan | None = None, feedback: str | None = None) -> Plan:
    return number(content, previous=previous, feedback=feedback, created_by="mike", now=NOW)


# The digest


def test_the_digest_is_the_sha_256_of_canonical_json() -> None:
    content = draft(
        "a", complexity="S", spec={"z": 1, "ä": [True, None]}, steps=(step("a", "T", assignee="alex", spec={"b": 1.5}),)
    )
    canonical = (
        '{"complexity":"S","spec":{"z":1,"ä":[true,null]},'
        '"steps":[{"assignee":"alex","detail":"","key":"a","spec":{"b":1.5},"title":"T"}],"summary":"Three things"}'
    )

    assert digest(content) == sha256(canonical.encode()).hexdigest()
    assert digest(content) == "e7646a74eef94d17d9bd234d8dabce1cac52c8cc6a084555e56b8b756c0b452c"


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest(draft(spec={"a": 1, "b": {"c": 2, "d": 3}})) == digest(draft(spec={"b": {"d": 3, "c": 2}, "a": 1}))


def test_how_far_a_plan_is_who_made_it_and_when_do_not_change_its_digest() -> None:
    plan = numbered(draft())
    later = replace(
        plan,
        version=7,
        feedback="more",
        created_by="alex",
        created_at=NOW.replace(year=2027),
        changes=(PlanChange(kind=K.ADDED, step_key="a"),),
        steps=tuple(replace(s, status=StepStatus.COMPLETED, starts=2, started_at=NOW, output=1) for s in plan.steps),
    )

    assert digest(later) == digest(plan) == plan.digest


@pytest.mark.parametrize(
    "other",
    [
        draft(summary="Other"),
        draft(complexity="M"),
        draft(spec={"a": 1}),
        draft("acb"),
        draft("ab"),
        draft(steps=(step("a", "Other"), *steps("bc"))),
        draft(steps=(step("a", detail="Other"), *steps("bc"))),
        draft(steps=(step("a", assignee="alex"), *steps("bc"))),
        draft(steps=(step("a", spec={"x": 1}), *steps("bc"))),
    ],
)
def test_every_part_of_the_content_changes_the_digest(other: PlanDraft) -> None:
    assert digest(other) != digest(draft())


def test_a_plan_read_back_from_json_has_the_same_digest() -> None:
    plan = numbered(draft(spec={"n": 1.0, "deep": {"list": [1, "é", None]}}))

    assert digest(from_json(Plan, json.loads(json.dumps(to_json_object(plan))))) == plan.digest


# Versions


def test_the_first_version_has_no_changes() -> None:
    plan = numbered(draft())

    assert (plan.version, plan.changes, plan.feedback, plan.created_by, plan.created_at) == (1, (), None, "mike", NOW)


def test_the_next_version_counts_on_and_says_what_it_answers_and_changes() -> None:
    plan = numbered(draft("abcd"), previous=numbered(draft()), feedback="One more.")

    assert (plan.version, plan.feedback) == (2, "One more.")
    assert plan.changes == (PlanChange(kind=K.ADDED, step_key="d", after="Do d"),)


def test_steps_given_as_a_list_become_a_tuple() -> None:
    assert numbered(draft(steps=list(steps("ab")))).steps == steps("ab")


# Changes


def test_a_step_that_is_gone_comes_first_then_the_others_in_their_new_order() -> None:
    before = (step("a"), step("b"), step("c", "Count", detail="by hand"))
    after = (step("d", "Draw", detail="a chart"), step("c", "Count", detail="by machine"), step("a"))

    assert changes(before, after) == (
        PlanChange(kind=K.REMOVED, step_key="b", before="Do b"),
        PlanChange(kind=K.ADDED, step_key="d", after="Draw\n\na chart"),
        PlanChange(kind=K.MODIFIED, step_key="c", before="Count\n\nby hand", after="Count\n\nby machine"),
        PlanChange(kind=K.MOVED, step_key="c", before="3", after="2"),
    )


def test_a_step_whose_text_stays_and_whose_spec_changes_is_modified() -> None:
    found = changes((step("a", spec={"x": 1}),), (step("a", spec={"x": 2}),))

    assert [(change.kind, change.step_key) for change in found] == [(K.MODIFIED, "a")]


def test_one_step_put_elsewhere_is_the_only_one_that_moved() -> None:
    assert [(c.step_key, c.before, c.after) for c in changes(steps("abcdef"), steps("bcdefa"))] == [("a", "1", "6")]


def test_steps_after_one_that_is_removed_or_added_have_not_moved() -> None:
    assert [c.kind for c in changes(steps("abc"), steps("bc"))] == [K.REMOVED]
    assert [c.kind for c in changes(steps("bc"), steps("abc"))] == [K.ADDED]


KEYS = st.lists(st.sampled_from("abcdefghij"), unique=True).map("".join)


@given(keys=KEYS)
def test_a_plan_does_not_differ_from_itself(keys: str) -> None:
    assert changes(steps(keys), steps(keys)) == ()


@given(before=KEYS, after=KEYS, modified=st.sets(st.sampled_from("abcdefghij")))
def test_changes_name_each_difference_once(before: str, after: str, modified: set[str]) -> None:
    new = tuple(step(key, "Changed") if key in modified else step(key) for key in after)

    found = changes(steps(before), new)

    def keys(kind: ChangeKind) -> list[str]:
        return [change.step_key for change in found if change.kind is kind]

    assert keys(K.REMOVED) == [key for key in before if key not in after]
    assert keys(K.ADDED) == [key for key in after if key not in before]
    assert keys(K.MODIFIED) == [key for key in after if key in before and key in modified]
    assert set(keys(K.MOVED)) <= set(before) & set(after)
    for change in found:
        assert (change.before is None) == (change.kind is K.ADDED)
        assert (change.after is None) == (change.kind is K.REMOVED)


@given(before=KEYS, after=KEYS)
def test_as_few_steps_as_possible_are_called_moved(before: str, after: str) -> None:
    moved = {change.step_key for change in changes(steps(before), steps(after)) if change.kind is K.MOVED}
    old = [key for key in before if key in after]
    new = [key for key in after if key in before]

    kept = [key for key in new if key not in moved]
    assert kept == [key for key in old if key not in moved]
    assert len(kept) == longest_common(old, new)


def longest_common(left: list[str], right: list[str]) -> int:
    if not left or not right:
        return 0
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


# Rules


def test_a_plan_at_its_limits_is_taken() -> None:
    check(
        PlanDraft(
            summary="s" * p.MAX_TEXT,
            complexity="XL",
            steps=(
                step("k" * p.MAX_KEY, "t" * p.MAX_TITLE, detail="d" * p.MAX_TEXT),
                *(step(f"step-{place}") for place in range(p.MAX_STEPS - 1)),
            ),
        )
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (draft(""), "no steps"),
        (draft(steps=tuple(step(str(n)) for n in range(p.MAX_STEPS + 1))), "has 2001 steps; at most 2000"),
        (draft(complexity="HUGE"), "'HUGE' is none of XS, S, M, L, XL"),
        (draft(summary="s" * (p.MAX_TEXT + 1)), "summary is longer than 20000"),
        (draft("aba"), "Two steps of the plan have the key 'a'"),
        (draft(steps=(step(" "),)), "key must have 1 to 128"),
        (draft(steps=(step("k" * 129),)), "key must have 1 to 128"),
        (draft(steps=(step("a", " "),)), "title of step 'a' must have 1 to 500"),
        (draft(steps=(step("a", "t" * 501),)), "title of step 'a' must have 1 to 500"),
        (draft(steps=(step("a", detail="d" * 20_001),)), "detail of step 'a' is longer than 20000"),
        (draft(steps=(step("a", status=StepStatus.COMPLETED),)), "can't be under way"),
        (draft(steps=(step("a", starts=1),)), "can't be under way"),
        (draft(steps=(step("a", output="done"),)), "can't be under way"),
        (draft(spec={"x": "x" * p.MAX_BYTES}), "larger than 1048576 bytes"),
        (draft(spec={"x": math.nan}), "JSON has no form for"),
        (draft(spec={"x": object()}), "JSON has no form for"),
        (draft(summary="\ud800"), "JSON has no form for"),
        (draft(summary=None), "must be a summary and PlanSteps"),
        (draft(spec=[]), "must be a summary and PlanSteps"),
        (draft(steps=None), "must be a summary and PlanSteps"),
        (draft(steps=("Do a",)), "must be a summary and PlanSteps"),
        (draft(steps=(PlanStep(key=1, title="One"),)), "must be a summary and PlanSteps"),  # type: ignore[arg-type]
        (draft(steps=(step("a", assignee=7),)), "must be a summary and PlanSteps"),
        (draft(steps=(step("a", spec=None),)), "must be a summary and PlanSteps"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_with_the_rule(content: PlanDraft, message: str) -> None:
    with pytest.raises(InvalidPlanError, match=message):
        numbered(content)
