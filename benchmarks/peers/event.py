"""The event that all peers send: eight fields, as long as one of ours."""

from __future__ import annotations

from itertools import count

_NUMBERS = count(1)


def event(run_id: str, *, snake: bool = False) -> dict[str, object]:
    """Return the next event."""
    number = next(_NUMBERS)
    return {
        "id": f"event_{run_id}_{number}",
        "cursor": f"Q4G7gnkeAAAAAAA{number:07}",
        "type": "METRIC",
        "timestamp": "2026-11-24T09:30:00.123456Z",
        "message": "No samples.",
        "run_id" if snake else "runId": run_id,
        "sequence": number,
        "status": "AWAITING_APPROVAL",
    }
