"""What a storm was like, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from tests.long.api import Traffic
from tests.long.machine import Faults
from tests.long.records import Json, Leg, Story


def figures(stories: Sequence[Story], legs: Sequence[Leg], traffic: Traffic, faults: Faults) -> Json:
    """Return how much happened and how fast the server was back; times are seconds."""
    connections = Counter(f"{leg.transport} {leg.end}" for leg in legs)
    acks = Counter(f"{ack.mutation} {ack.code or 'ok'}" for story in stories for ack in (story.created, *story.acks))
    resumed = [
        _since_ready(event, faults.ready_at)
        for story in stories
        for event in story.events
        if event["type"] == "RESUMED"
    ]
    return {
        "runs": len(stories),
        "ends": dict(Counter(story.state["status"] for story in stories)),
        "connections": dict(sorted(connections.items())),
        "eventsReceived": sum(len(leg.events) for leg in legs),
        "mutations": dict(sorted(acks.items())),
        "requests": traffic.requests,
        "answersLost": traffic.lost,
        "answersAbandoned": traffic.abandoned,
        "kills": faults.kills,
        "stops": faults.stops,
        "restartToReady": quantiles(faults.to_ready),
        "sigtermToExit": quantiles(faults.to_stop),
        "readyToResumed": quantiles(resumed),
    }


def quantiles(values: Sequence[float]) -> Json:
    """Return how many values there are, their median, their 95th percentile and the largest."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0, "p50": 0.0, "p95": 0.0, "max": 0.0}
    places = {"p50": len(ordered) // 2, "p95": int(len(ordered) * 0.95), "max": len(ordered) - 1}
    return {"n": len(ordered)} | {name: round(ordered[place], 3) for name, place in places.items()}


def _since_ready(event: Json, ready_at: Sequence[float]) -> float:
    """Return how long after the newest start an event came; before a server answers it works already, which is 0."""
    at = datetime.fromisoformat(event["timestamp"]).timestamp()
    return max(0.0, at - max((ready for ready in ready_at if ready <= at), default=at))
