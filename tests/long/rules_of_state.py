"""P1, P7: what was acknowledged is kept and counts, and a run is what its events say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.long.api import SAMPLE
from tests.long.records import TERMINAL, Ack, Event, Json, Story

_DECISIONS = {"APPROVED", "REJECTED", "CHANGES_REQUESTED", "TIMEOUT"}
_REFUSALS = {
    "approveRun": {"INVALID_STATE", "APPROVAL_EXPIRED", "CONFLICT"},
    "requestPlanChanges": {"INVALID_STATE", "APPROVAL_EXPIRED", "CONFLICT"},
    "cancelRun": {"INVALID_STATE"},
    "retryRun": {"INVALID_STATE", "INVALID"},
    "createMetrics": {"INVALID_STATE"},
}


def check_acks(story: Story) -> Iterator[str]:
    """Yield what was acknowledged and did not count, or was refused and did."""
    for ack in story.acks:
        if ack.code is not None and ack.code not in _REFUSALS[ack.mutation]:
            yield f"P1 {ack.mutation} was refused with {ack.code}: {ack.input}"
        found = _effects(ack, story)
        if found is not None and found != (ack.code is None):
            yield f"P1 {ack.mutation} was answered {ack.code or 'with success'}, and counts {found} times: {ack.input}"
    by_hand = [event for event in story.events if event["data"].get("decision", {}).get("actor") == "anonymous"]
    for event in by_hand:
        if not any(_shown(ack, event, story.events) for ack in story.acks):
            yield f"P7 nobody took the decision of event {event['sequence']} on the plan that they were shown"


def check_state(story: Story) -> Iterator[str]:
    """Yield where the run, as it is read, differs from the fold of its events."""
    expected = _fold(story.events)
    for name, value in expected.items():
        if (actual := _actual(story.state, name)) != value:
            yield f"P2 the run's {name} is {actual}, its events say {value}"


def check_task(task: Json, stories: list[Story]) -> Iterator[str]:
    """Yield what is wrong with a task's counters and with its list of runs."""
    ids = [run["id"] for run in task["runs"]]
    if Counter(ids) != Counter(story.run_id for story in stories):
        yield f"P1 task {task['name']} has runs {sorted(ids)}, created were {sorted(s.run_id for s in stories)}"
    ends = Counter(story.state["status"] for story in stories)
    finished = sum(ends.values())
    expected = {
        "totalRuns": len(stories),
        "successfulRuns": ends["COMPLETED"],
        "failedRuns": ends["FAILED"] + ends["TIMEOUT"],
        "successRate": round(100 * ends["COMPLETED"] / finished, 6) if finished else 0.0,
    }
    actual = {name: task[name] for name in expected} | {"successRate": round(task["successRate"], 6)}
    if actual != expected:
        yield f"P1 task {task['name']} counts {actual}, its runs are {expected}"
    if sorted(story.state["number"] for story in stories) != list(range(1, len(stories) + 1)):
        yield f"P1 the runs of task {task['name']} are not numbered 1..{len(stories)}"


def check_turns(events: list[Event], task_id: str) -> Iterator[str]:
    """Yield where two runs were worked on at once, of a task whose policy does not allow that."""
    begun: str | None = None
    for event in events:
        if event["taskId"] != task_id:
            continue
        if event["type"] == "ANALYSIS_START":
            if begun is not None:
                yield f"P4 run {event['runId']} was begun before run {begun} had ended"
            begun = event["runId"]
        elif event["type"] in TERMINAL and event["runId"] == begun:
            begun = None


def _effects(ack: Ack, story: Story) -> int | None:
    """Return how often the log has what a mutation asked for; None where that proves nothing."""
    events, version = story.events, ack.input.get("planVersion")
    match ack.mutation:
        case "approveRun":
            type_ = "APPROVED" if ack.input["approved"] else "REJECTED"
            return sum(_decides(event, type_, planVersion=version, actor="anonymous") for event in events)
        case "requestPlanChanges":
            feedback = ack.input["feedback"]
            return sum(_decides(event, "CHANGES_REQUESTED", planVersion=version, feedback=feedback) for event in events)
        case "cancelRun":
            return sum(bool(event["type"] == "CANCELLED") for event in events)
        case "createMetrics":
            return _samples(story.state)
        case _:
            return None


def _decides(event: Event, type_: str, **values: Any) -> bool:
    decision = event["data"].get("decision", {})
    return event["type"] == type_ and all(decision.get(name) == value for name, value in values.items())


def _shown(ack: Ack, event: Event, events: list[Event]) -> bool:
    """Whether a mutation took a decision, and its client had been shown the very plan that was decided on."""
    decision = event["data"]["decision"]
    plans = {e["data"]["plan"]["version"]: e["data"]["plan"]["digest"] for e in events if e["type"] == "PLAN_READY"}
    if ack.code is not None or ack.shown != plans[decision["planVersion"]]:
        return False
    if ack.mutation == "requestPlanChanges":
        return bool(event["type"] == "CHANGES_REQUESTED" and decision["feedback"] == ack.input["feedback"])
    return ack.mutation == "approveRun" and event["type"] == ("APPROVED" if ack.input["approved"] else "REJECTED")


def _fold(events: list[Event]) -> Json:
    """Return what a run must look like after its events."""
    plans = [event["data"]["plan"] for event in events if event["type"] == "PLAN_READY"]
    steps = {step["key"]: (step["status"], step["output"]) for step in plans[-1]["steps"]} if plans else {}
    for event in events:
        data = event["data"]
        if event["type"] == "PROGRESS":
            steps[data["step"]] = (data["stepStatus"], data["output"])
    closed = {"RUNNING": "FAILED", "PENDING": "SKIPPED"}
    last = events[-1]["data"]
    return {
        "status": events[-1]["status"],
        "plans": [(plan["version"], plan["digest"]) for plan in plans],
        "steps": [(key, closed.get(status, status), output) for key, (status, output) in steps.items()],
        "decisions": [_decision(event["data"]["decision"]) for event in events if event["type"] in _DECISIONS],
        "progress": _progress(events),
        "results": last.get("results"),
        "failure": last["failure"]["code"] if "failure" in last else None,
        "lines": [line["message"] for event in events for line in event["data"].get("lines", ())],
        # One that a client adds after the end has no event.
        "metrics": sum(m["name"] != SAMPLE for event in events for m in event["data"].get("metrics", ())),
        # A retry from a step begins with the files of the steps that it skips.
        "artifacts": [
            (artifact["name"], artifact["sha256"])
            for event in events
            for artifact in (*event["data"].get("artifacts", ()), *filter(None, [event["data"].get("artifact")]))
        ],
        "createdAt": events[0]["timestamp"],
        "completedAt": events[-1]["timestamp"],
        "currentStep": None,
        "approvalExpiresAt": None,
    }


def _progress(events: list[Event]) -> float | None:
    """Return how far a run is: nothing is said before its approval, and then it is at the beginning."""
    said = [float(e["data"].get("progress", 0.0)) for e in events if e["type"] in {"APPROVED", "PROGRESS"}]
    return said[-1] if said else None


def _actual(state: Json, name: str) -> Any:
    plan = state["plan"]
    match name:
        case "plans":
            return [(plan["version"], plan["digest"]) for plan in state["plans"]]
        case "steps":
            return [(step["key"], step["status"], step["output"]) for step in plan["steps"]] if plan else []
        case "decisions":
            return [_decision(decision) for decision in state["decisions"]]
        case "failure":
            return state["failure"]["code"] if state["failure"] else None
        case "lines":
            return [line["message"] for line in state["logs"]["nodes"]]
        case "metrics":
            return state["metrics"]["totalCount"] - _samples(state)
        case "artifacts":
            return [(artifact["name"], artifact["sha256"]) for artifact in state["artifacts"]]
        case _:
            return state[name]


def _samples(state: Json) -> int:
    return sum(int(summary["count"]) for summary in state["samples"])


def _decision(decision: Json) -> tuple[Any, ...]:
    return tuple(decision[name] for name in ("kind", "planVersion", "feedback", "actor"))
