"""Reads what an object answers when it is asked for a plan.

---JSON_START---
{"task": "Add a login page", "complexity": "M"}
---JSON_END---

PLAN:
1. Write the form
   - with a field for the password
2. Test it
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from domain.errors import InvalidPlanError, TeamError
from domain.model import JsonObject, PlanStep
from domain.plan import MAX_TEXT, MAX_TITLE, PlanDraft
from teams.mgx.output import clean

START: Final = "---JSON_START---"
END: Final = "---JSON_END---"

_CROSSES: Final = tuple("❌❎✗✘✖✕🗙🗴🗵🗶🗷")
_FENCE: Final = re.compile(r"^```\w*\n|\n?```$")
_HEADING: Final = re.compile(r"^[\s#*_>]*plan[*_]*\s*:[*_]*", re.IGNORECASE | re.MULTILINE)
_ITEM: Final = re.compile(r"(?P<indent>\s*)(?:(?P<number>\d{1,4}[.)])|[-*•\u2013])\s+(?P<text>\S.*)")


def is_failure(text: str) -> bool:
    """Whether a text begins with a cross mark, by which these objects tell of a failure."""
    return text.lstrip().startswith(_CROSSES)


def read_plan(answer: object, asked: str) -> PlanDraft:
    """Return the plan that an answer holds.

    Its steps are the items that follow `PLAN:`, or else those of the JSON block's `plan`. Its spec holds the text that
    was asked with, and `task`, `complexity` and `plan` as `set_task_spec` takes them.

    Args:
        answer: What `analyze_and_plan` returned.
        asked: The text that it was given.

    Raises:
        TeamError: The answer is a failure's text.
        InvalidPlanError: It is no text, lacks the JSON block or the steps, or something in it is of the wrong type.
    """
    if not isinstance(answer, str):
        raise InvalidPlanError(f"analyze_and_plan must return a text; it returned {type(answer).__name__}.")
    if is_failure(answer):
        raise TeamError(f"The team could not plan: {clean(answer.strip())}")
    told, after = _block(clean(answer))
    task = _text(told, "task") or asked
    complexity = _text(told, "complexity")
    listed = _listed(told, after)
    spec: JsonObject = {"asked": asked, "task": task, "complexity": complexity or "M", "plan": listed.text}
    return PlanDraft(
        summary="\n\n".join(filter(None, [task, *listed.notes]))[:MAX_TEXT],
        complexity=complexity.upper() if complexity else None,
        steps=tuple(_step(number, item) for number, item in enumerate(listed.items, 1)),
        spec=spec,
    )


@dataclass(frozen=True, slots=True)
class _List:
    """A list of steps: the text it was read from, each item's lines, and what is said before and after it."""

    text: str = ""
    items: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()


def _block(answer: str) -> tuple[dict[str, Any], str]:
    """Return the JSON block's object and the text after the block."""
    _, start, rest = answer.partition(START)
    text, end, after = rest.partition(END)
    if not (start and end):
        raise InvalidPlanError(f"The team's answer has no JSON block between {START} and {END}.")
    try:
        told = json.loads(_FENCE.sub("", text.strip()))
    except (ValueError, RecursionError) as error:
        raise InvalidPlanError(f"What stands between {START} and {END} is not JSON: {error}.") from error
    if not isinstance(told, dict):
        raise InvalidPlanError(f"The JSON block must be an object with task and complexity; it is {_kind(told)}.")
    return told, after


def _text(told: dict[str, Any], name: str) -> str | None:
    value = told.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidPlanError(f"The JSON block's {name} must be a text; it is {_kind(value)}.")
    return value.strip() if value else None


def _listed(told: dict[str, Any], after: str) -> _List:
    heading = _HEADING.search(after)
    intro = after[: heading.start()] if heading else after
    in_block = _in_block(told.get("plan"))
    listed = _parse(after[heading.end() :]) if heading else in_block
    if not listed.items:
        listed = in_block
    if not listed.items:
        raise InvalidPlanError(
            "The team's answer has no steps: a list, numbered (1.) or dashed (-), must follow PLAN: or stand in the "
            "JSON block's plan."
        )
    return replace(listed, notes=[intro.strip(), *listed.notes])


def _in_block(plan: object) -> _List:
    """Read the JSON block's `plan`: a text that holds a list, or a list of texts."""
    match plan:
        case None:
            return _List()
        case str():
            return _parse(plan)
        case list() if all(isinstance(item, str) and item.strip() for item in plan):
            return _parse("\n".join(f"{number}. {item.strip()}" for number, item in enumerate(plan, 1)))
        case _:
            raise InvalidPlanError(f"The JSON block's plan must be a text or a list of texts; it is {_kind(plan)}.")


def _parse(text: str) -> _List:
    """Read a list: items like the first one, no deeper than it, are the steps; what stands between is their detail."""
    lines = text.strip("\n").splitlines()
    found = [(place, item) for place, line in enumerate(lines) if (item := _ITEM.fullmatch(line))]
    if not found:
        return _List(text.strip())
    first = found[0][1]
    starts = [
        (place, item["text"])
        for place, item in found
        if bool(item["number"]) == bool(first["number"]) and len(item["indent"]) <= len(first["indent"])
    ]
    end = next((place for place in range(starts[-1][0], len(lines)) if not lines[place].strip()), len(lines))
    stops = [*(place for place, _ in starts[1:]), end]
    items = [[title, *lines[start + 1 : stop]] for (start, title), stop in zip(starts, stops, strict=True)]
    notes = ("\n".join(lines[: found[0][0]]).strip(), "\n".join(lines[end:]).strip())
    return _List(text.strip(), items, notes)


def _step(number: int, item: Sequence[str]) -> PlanStep:
    title, *rest = item
    title = title.strip()
    if len(title) > MAX_TITLE:
        rest = [title, *rest]
        title = title[: MAX_TITLE - 1] + "…"
    return PlanStep(key=f"step-{number}", title=title, detail=_dedented(rest)[:MAX_TEXT])


def _dedented(lines: Sequence[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:].rstrip() for line in lines).strip("\n")


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return "null"
