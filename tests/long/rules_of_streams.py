"""P2, P3, P4: what every subscriber saw, against the log."""

from __future__ import annotations

from collections.abc import Iterator

from tests.long.records import TERMINAL, End, Event, Leg, Story

CLOSED_BY_SERVER = frozenset({"1012"})
"""How a server that ends in an orderly way closes its sockets; a broken connection has no code of its own (1006)."""


def check_streams(story: Story) -> Iterator[str]:
    """Yield what is wrong with what the run's subscribers saw."""
    for name, legs in story.legs.items():
        yield from check_legs(name, legs, story.events)
        if legs and not any(leg.end is End.COMPLETE for leg in legs):
            yield f"P4 never told that the run had ended: {name}"


def check_legs(name: str, legs: list[Leg], log: list[Event]) -> Iterator[str]:
    """Yield where what came on a subscriber's connections is not exactly what the log has after the cursor."""
    for number, leg in enumerate(legs, 1):
        for complaint in _leg(leg, log):
            yield f"{complaint}: {name}, connection {number} ({leg.transport}, after {leg.after})"


def check_log(events: list[Event]) -> Iterator[str]:
    """Yield what is wrong with the log of a run by itself."""
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        yield f"P2 the log is numbered {sequences}"
    if len({event["id"] for event in events}) != len(events):
        yield "P2 two events have one id"
    last = [event["sequence"] for event in events if event["type"] in TERMINAL]
    if last != [len(events)]:
        yield f"P4 terminal events are at {last} of {len(events)}"


def _leg(leg: Leg, log: list[Event]) -> Iterator[str]:
    expected = log[leg.after : leg.after + len(leg.events)]
    if [event["id"] for event in leg.events] != [event["id"] for event in expected]:
        yield f"P3 got {_places(leg.events)} instead of {_places(expected)}"
    elif leg.events != expected:
        yield f"P2 got another event than the log has: {_difference(leg.events, expected)}"
    match leg.end:
        case End.COMPLETE if leg.after + len(leg.events) != len(log):
            yield f"P4 complete after event {leg.after + len(leg.events)} of {len(log)}"
        case End.CUT | End.COMPLETE:
            pass
        case End.LOST:
            if leg.detail.isdecimal() and leg.detail not in CLOSED_BY_SERVER | {"1006"}:
                yield f"P3 the server closed the socket with {leg.detail}"
        case _:
            yield f"P3 the stream ended as {leg.end}: {leg.detail}"


def _places(events: list[Event]) -> list[str]:
    return [f"{event['type']} {event.get('sequence', '')}" for event in events]


def _difference(got: list[Event], log: list[Event]) -> str:
    mine, truth = next((mine, truth) for mine, truth in zip(got, log, strict=True) if mine != truth)
    fields = {name: (mine.get(name), truth[name]) for name in truth if mine.get(name) != truth[name]}
    return f"{truth['type']} {truth.get('sequence', '')} differs in {fields}"
