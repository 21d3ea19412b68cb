"""P4, P5: in which order things may happen to a run, as a table of this checker's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.long.records import Event

PLANNED: Final = "(planned)"
"""Between PLAN_READY and what follows in the same transaction."""

_SAID: Final = ("LOG", "METRIC", "ARTIFACT", "RESUMED")
LEGAL: Final[dict[str, dict[str, str]]] = {
    "": {"RUN_CREATED": "PENDING"},
    "PENDING": {"ANALYSIS_START": "ANALYZING", "CANCELLED": "CANCELLED", "METRIC": "PENDING"},
    "ANALYZING": {
        "PLAN_READY": PLANNED,
        "CANCEL_REQUESTED": "CANCELLING",
        "FAILURE": "FAILED",
        **dict.fromkeys(_SAID, "ANALYZING"),
    },
    PLANNED: {"APPROVAL_REQUIRED": "AWAITING_APPROVAL", "APPROVED": "RUNNING"},
    "AWAITING_APPROVAL": {
        "APPROVED": "RUNNING",
        "REJECTED": "REJECTED",
        "CHANGES_REQUESTED": "ANALYZING",
        "TIMEOUT": "TIMEOUT",
        "CANCELLED": "CANCELLED",
        "METRIC": "AWAITING_APPROVAL",
    },
    "RUNNING": {
        "PROGRESS": "RUNNING",
        "COMPLETION": "COMPLETED",
        "CANCEL_REQUESTED": "CANCELLING",
        "FAILURE": "FAILED",
        **dict.fromkeys(_SAID, "RUNNING"),
    },
    "CANCELLING": {
        "CANCELLED": "CANCELLED",
        **dict.fromkeys(("LOG", "METRIC", "RESUMED"), "CANCELLING"),
    },
    **{status: {} for status in ("COMPLETED", "FAILED", "REJECTED", "CANCELLED", "TIMEOUT")},
}
"""Status -> type of event -> status after it."""


def check_life(events: list[Event]) -> Iterator[str]:
    """Yield what is wrong with the order of a run's events and with the statuses that they say."""
    status = ""
    folded: list[str] = []
    for event in events:
        after = LEGAL[status].get(event["type"])
        if after is None:
            yield f"P4 {event['type']} at {event['sequence']} can't follow {status or 'nothing'}"
            return
        status = after
        folded.append(status)
    for place, event in enumerate(events):
        # An event says the status after its transaction; what one transaction writes has one time.
        together = [
            folded[other] for other in range(place, len(events)) if events[other]["timestamp"] == event["timestamp"]
        ]
        if event["status"] not in together:
            yield f"P4 event {event['sequence']}, {event['type']}, says {event['status']} where it is {together}"
    yield from _check_steps(events)
    yield from _check_claims(events)


def _check_steps(events: list[Event]) -> Iterator[str]:
    """Yield what is wrong with the steps: each complete once, started again only after a takeover."""
    ended: dict[str, str] = {}
    starts: dict[str, int] = {}
    resumed = False
    progress = 0.0
    for event in events:
        data = event["data"]
        if event["type"] == "RESUMED":
            resumed = True
        if event["type"] != "PROGRESS":
            continue
        step, status, where = data["step"], data["stepStatus"], f"{data['step']} at {event['sequence']}"
        if step in ended:
            yield f"P5 {where} is {status} after it was {ended[step]}"
        if data["attempt"] == starts.get(step, 0) + 1 and status == "RUNNING":
            if data["attempt"] > 1 and not resumed:
                yield f"P5 {where} starts again though nobody was lost"
            starts[step], resumed = data["attempt"], False
        elif data["attempt"] != starts.get(step, 0):
            yield f"P5 {where} is of attempt {data['attempt']}, after {starts.get(step, 0)}"
        if status in {"COMPLETED", "FAILED", "SKIPPED"}:
            ended[step] = status
        if data["progress"] < progress:
            yield f"P5 the progress goes back from {progress} at {event['sequence']}"
        progress = data["progress"]
    if events and events[-1]["type"] == "COMPLETION":
        plan = next(event["data"]["plan"] for event in reversed(events) if event["type"] == "PLAN_READY")
        missing = [step["key"] for step in plan["steps"] if ended.get(step["key"]) not in {"COMPLETED", "SKIPPED"}]
        if missing:
            yield f"P5 completed without {missing}"


def _check_claims(events: list[Event]) -> Iterator[str]:
    attempts = [event["data"]["attempt"] for event in events if event["type"] == "RESUMED"]
    if attempts != sorted(set(attempts)):
        yield f"P5 claims are not in order: {attempts}"
    last = events[-1] if events else None
    if last is not None and last["type"] == "FAILURE" and last["data"]["failure"]["code"] == "WORKER_LOST":
        lost = [event for event in events if event["type"] == "RESUMED" and event["data"]["reason"] == "WORKER_LOST"]
        if len(lost) < 4:
            yield f"P6 given up after {len(lost) + 1} lost workers"
