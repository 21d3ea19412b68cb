"""A run in which every promise was kept, for tests of the rules to spoil."""

from __future__ import annotations

from typing import Any

from tests.long.records import Ack, End, Event, Json, Leg, Script, Story

RUN = "run_1"
_TASK = "task_1"
_DECISION = {"kind": "APPROVED", "planVersion": 1, "feedback": None, "actor": "anonymous"}


def good_story() -> Story:
    """Return a run of two steps: approved by hand, its worker lost in the second, and completed."""
    events = _events()
    return Story(
        run_id=RUN,
        script=Script(task="plain", config={"steps": 2}),
        created=Ack("createRun", {"taskId": _TASK}, None, RUN),
        acks=[
            Ack("approveRun", {"approved": True, "planVersion": 1}, None, RUN, shown="digest"),
            Ack("approveRun", {"approved": False, "planVersion": 1}, "INVALID_STATE", None, shown="digest"),
        ],
        legs={
            "subscriber 1": [
                Leg("ws", 0, events[:4], End.CUT),
                Leg("sse", 4, events[4:6], End.LOST, "1006"),
                Leg("ws", 5, events[5:], End.COMPLETE),
                Leg("ws", len(events), [], End.COMPLETE),
            ]
        },
        events=events,
        state=_state(events),
    )


def good_task(story: Story) -> Json:
    """Return the task of that run as the API tells of it."""
    return {
        "name": "Storm plain",
        "totalRuns": 1,
        "successfulRuns": 1,
        "failedRuns": 0,
        "successRate": 100.0,
        "runs": [{"id": story.run_id}],
    }


def _events() -> list[Event]:
    plan = {"version": 1, "digest": "digest", "steps": [_step("step-1"), _step("step-2")]}
    told: list[tuple[str, str, Json]] = [
        ("RUN_CREATED", "PENDING", {}),
        ("ANALYSIS_START", "ANALYZING", {}),
        ("PLAN_READY", "AWAITING_APPROVAL", {"plan": plan}),
        ("APPROVAL_REQUIRED", "AWAITING_APPROVAL", {"plan": plan}),
        ("APPROVED", "RUNNING", {"decision": _DECISION}),
        ("PROGRESS", "RUNNING", _moved("step-1", "RUNNING", 1, 0.0)),
        ("PROGRESS", "RUNNING", _moved("step-1", "COMPLETED", 1, 0.5)),
        ("PROGRESS", "RUNNING", _moved("step-2", "RUNNING", 1, 0.5)),
        ("RESUMED", "RUNNING", {"reason": "WORKER_LOST", "attempt": 2}),
        ("PROGRESS", "RUNNING", _moved("step-2", "RUNNING", 2, 0.5)),
        ("LOG", "RUNNING", {"lines": [{"message": "Nearly there."}]}),
        ("PROGRESS", "RUNNING", _moved("step-2", "COMPLETED", 2, 1.0)),
        ("COMPLETION", "COMPLETED", {"results": {"steps": 2}}),
    ]
    return [
        {
            "id": f"event_{sequence}",
            "cursor": f"cursor_{sequence}",
            "type": type_,
            # What one transaction writes has one time: PLAN_READY and APPROVAL_REQUIRED.
            "timestamp": f"2026-01-01T00:00:{3 if type_ == 'APPROVAL_REQUIRED' else sequence:02}.000000Z",
            "data": data,
            "taskId": _TASK,
            "runId": RUN,
            "sequence": sequence,
            "status": status,
        }
        for sequence, (type_, status, data) in enumerate(told, 1)
    ]


def _state(events: list[Event]) -> Json:
    return {
        "status": "COMPLETED",
        "number": 1,
        "progress": 1.0,
        "currentStep": None,
        "results": {"steps": 2},
        "plan": {"steps": [_step("step-1", "COMPLETED"), _step("step-2", "COMPLETED")]},
        "plans": [{"version": 1, "digest": "digest"}],
        "decisions": [_DECISION],
        "failure": None,
        "approvalExpiresAt": None,
        "createdAt": events[0]["timestamp"],
        "completedAt": events[-1]["timestamp"],
        "artifacts": [],
        "metrics": {"totalCount": 0},
        "samples": [],
        "logs": {"nodes": [{"message": "Nearly there."}]},
    }


def _step(key: str, status: str = "PENDING") -> dict[str, Any]:
    return {"key": key, "status": status, "output": None}


def _moved(step: str, status: str, attempt: int, progress: float) -> Json:
    return {"step": step, "stepStatus": status, "attempt": attempt, "progress": progress, "output": None}
