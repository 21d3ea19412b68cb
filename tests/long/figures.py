"""What a storm was like, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.long.api import Traffic
from tests.long.records import Json, Leg, Story


def figures(stories: Sequence[Story], legs: Sequence[Leg], traffic: Traffic) -> Json:
    """Return how much happened."""
    connections = Counter(f"{leg.transport} {leg.end}" for leg in legs)
    acks = Counter(f"{ack.mutation} {ack.code or 'ok'}" for story in stories for ack in (story.created, *story.acks))
    return {
        "runs": len(stories),
        "ends": dict(Counter(story.state["status"] for story in stories)),
        "connections": dict(sorted(connections.items())),
        "eventsReceived": sum(len(leg.events) for leg in legs),
        "mutations": dict(sorted(acks.items())),
        "requests": traffic.requests,
        "answersLost": traffic.lost,
        "answersAbandoned": traffic.abandoned,
    }


def quantiles(values: Sequence[float]) -> Json:
    """Return how many values there are, their median, their 95th percentile and the largest."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0, "p50": 0.0, "p95": 0.0, "max": 0.0}
    places = {"p50": len(ordered) // 2, "p95": int(len(ordered) * 0.95), "max": len(ordered) - 1}
    return {"n": len(ordered)} | {name: round(ordered[place], 3) for name, place in places.items()}
