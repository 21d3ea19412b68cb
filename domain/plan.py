"""What makes a plan: its rules, its digest, and how two versions differ."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.codec import to_json
from domain.errors import InvalidPlanError
from domain.model import ChangeKind, JsonObject, Plan, PlanChange, PlanStep

MAX_STEPS: Final = 2000
MAX_KEY: Final = 128
MAX_TITLE: Final = 500
MAX_TEXT: Final = 20_000
MAX_BYTES: Final = 1024 * 1024
COMPLEXITIES: Final = ("XS", "S", "M", "L", "XL")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """A plan as a team proposes it, before it is numbered."""

    summary: str
    steps: tuple[PlanStep, ...]
    complexity: str | None = None
    spec: JsonObject = field(default_factory=dict)


def number(draft: PlanDraft, *, previous: Plan | None, feedback: str | None, created_by: str, now: datetime) -> Plan:
    """Make the next version of a run's plan of a draft.

    Raises:
        InvalidPlanError: The draft breaks a rule; the message says which.
    """
    check(draft)
    return Plan(
        version=previous.version + 1 if previous else 1,
        digest=digest(draft),
        summary=draft.summary,
        complexity=draft.complexity,
        steps=tuple(draft.steps),
        spec=draft.spec,
        changes=changes(previous.steps, draft.steps) if previous else (),
        feedback=feedback,
        created_by=created_by,
        created_at=now,
    )


def check(draft: PlanDraft) -> None:
    """Refuse a draft that nobody could review or run.

    Raises:
        InvalidPlanError: It is not made of what its fields declare, has no steps or too many, two of one key, a blank
            name, a text or spec beyond its limit, an unknown complexity, or a step that claims to be done.
    """
    if not _is_draft(draft):
        raise InvalidPlanError(
            "The plan must be a summary and PlanSteps, with texts and JSON objects where they belong."
        )
    if not draft.steps:
        raise InvalidPlanError("The plan has no steps.")
    if len(draft.steps) > MAX_STEPS:
        raise InvalidPlanError(f"The plan has {len(draft.steps)} steps; at most {MAX_STEPS} are allowed.")
    if draft.complexity is not None and draft.complexity not in COMPLEXITIES:
        raise InvalidPlanError(f"The plan's complexity {draft.complexity!r} is none of {', '.join(COMPLEXITIES)}.")
    if len(draft.summary) > MAX_TEXT:
        raise InvalidPlanError(f"The plan's summary is longer than {MAX_TEXT} characters.")
    seen: set[str] = set()
    for step in draft.steps:
        _check_step(step)
        if step.key in seen:
            raise InvalidPlanError(f"Two steps of the plan have the key {step.key!r}.")
        seen.add(step.key)
    if len(_canonical(draft)) > MAX_BYTES:
        raise InvalidPlanError(f"The plan is larger than {MAX_BYTES} bytes.")


def digest(content: PlanDraft | Plan) -> str:
    """Return the SHA-256 of a plan's content: summary, complexity, spec, and each step's key, texts, assignee and spec.

    How far the steps are, who made the version and when is not part of it. The canonical form is JSON with sorted keys,
    no white space, in UTF-8.
    """
    return hashlib.sha256(_canonical(content)).hexdigest()


def changes(before: tuple[PlanStep, ...], after: tuple[PlanStep, ...]) -> tuple[PlanChange, ...]:
    """Return what differs between two versions' steps: what is gone, then what is new, changed or moved, in order."""
    old = {step.key: step for step in before}
    new = {step.key: step for step in after}
    moved = _moved([key for key in old if key in new], [key for key in new if key in old])
    old_places = {key: place for place, key in enumerate(old, 1)}
    found = [
        PlanChange(kind=ChangeKind.REMOVED, step_key=key, before=_text(step))
        for key, step in old.items()
        if key not in new
    ]
    for place, (key, step) in enumerate(new.items(), 1):
        if key not in old:
            found.append(PlanChange(kind=ChangeKind.ADDED, step_key=key, after=_text(step)))
            continue
        if _content(old[key]) != _content(step):
            found.append(PlanChange(kind=ChangeKind.MODIFIED, step_key=key, before=_text(old[key]), after=_text(step)))
        if key in moved:
            found.append(PlanChange(kind=ChangeKind.MOVED, step_key=key, before=str(old_places[key]), after=str(place)))
    return tuple(found)


def _is_draft(draft: PlanDraft) -> bool:
    """Whether a draft is made of what its fields declare: nobody type-checks the teams that operators bring."""
    if not (_are(str, draft.summary) and _are(dict, draft.spec) and _are((tuple, list), draft.steps)):
        return False
    return _are(PlanStep, *draft.steps) and all(
        _are(str, step.key, step.title, step.detail)
        and _are((str, type(None)), step.assignee)
        and _are(dict, step.spec)
        for step in draft.steps
    )


def _are(kind: type | tuple[type, ...], *values: object) -> bool:
    return all(isinstance(value, kind) for value in values)


def _check_step(step: PlanStep) -> None:
    if not step.key.strip() or len(step.key) > MAX_KEY:
        raise InvalidPlanError(f"A step's key must have 1 to {MAX_KEY} characters: {step.key[:MAX_KEY]!r}.")
    if not step.title.strip() or len(step.title) > MAX_TITLE:
        raise InvalidPlanError(f"The title of step {step.key!r} must have 1 to {MAX_TITLE} characters.")
    if len(step.detail) > MAX_TEXT:
        raise InvalidPlanError(f"The detail of step {step.key!r} is longer than {MAX_TEXT} characters.")
    if step != PlanStep(key=step.key, title=step.title, detail=step.detail, assignee=step.assignee, spec=step.spec):
        raise InvalidPlanError(f"Step {step.key!r} can't be under way before the plan is decided on.")


def _moved(before: list[str], after: list[str]) -> set[str]:
    """Return the fewest of the common keys that must have moved: all but a longest run that kept its order."""
    places = {key: place for place, key in enumerate(before)}
    # Patience sorting: ends[n] is the best end of an ordered run of n + 1 keys, links lead back along it.
    ends: list[int] = []
    links: dict[int, int | None] = {}
    for place in (places[key] for key in after):
        length = bisect_left(ends, place)
        links[place] = ends[length - 1] if length else None
        ends[length : length + 1] = [place]
    kept = ends[-1] if ends else None
    moved = set(after)
    while kept is not None:
        moved.remove(before[kept])
        kept = links[kept]
    return moved


def _text(step: PlanStep) -> str:
    return f"{step.title}\n\n{step.detail}" if step.detail else step.title


def _content(step: PlanStep) -> JsonObject:
    return {
        "key": step.key,
        "title": step.title,
        "detail": step.detail,
        "assignee": step.assignee,
        "spec": step.spec,
    }


def _canonical(content: PlanDraft | Plan) -> bytes:
    try:
        text = json.dumps(
            {
                "summary": content.summary,
                "complexity": content.complexity,
                "spec": to_json(content.spec),
                "steps": [to_json(_content(step)) for step in content.steps],
            },
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
        return text.encode()
    except (TypeError, ValueError) as error:
        raise InvalidPlanError(f"The plan holds something that JSON has no form for: {error}.") from error
