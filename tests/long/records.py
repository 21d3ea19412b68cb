"""What a storm writes down while it goes on, for the checker to judge afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Event: TypeAlias = dict[str, Any]

RETRYABLE = frozenset({"BUSY", "TIMEOUT"})
"""Codes of top-level errors after which a client tries again."""


class End(StrEnum):
    """How one connection of a subscriber ended."""

    COMPLETE = "COMPLETE"
    """The server said that nothing will follow."""
    CUT = "CUT"
    """The subscriber went away."""
    LOST = "LOST"
    """The connection broke, or the server closed it."""
    REFUSED = "REFUSED"
    """The server answered with an error."""
    SILENT = "SILENT"
    """Not even a heartbeat came for far too long."""


@dataclass(slots=True)
class Leg:
    """One connection of a subscriber: from where it was resumed, and what came.

    Attributes:
        after: Sequence of the event after which it was resumed; 0 for the beginning.
        detail: Close code or error, for people.
    """

    transport: str
    after: int
    events: list[Event] = field(default_factory=list)
    end: End | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    """A mutation's answer that reached its client.

    Attributes:
        code: The first userError's, None for a success.
        shown: Digest of the plan that the reviewer saw, for decisions.
    """

    mutation: str
    input: Json
    code: str | None
    run_id: str | None
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What the people around one run will do.

    Attributes:
        task: Which of the storm's tasks the run belongs to.
        revisions: How often the plan is sent back.
        verdict: APPROVE, REJECT, RACE (both at once) or LEAVE (let the deadline decide).
        cancel_at: Number of events after which somebody cancels.
        sample: Whether a client adds a metric to the run.
        stale: Whether a reviewer first decides on a plan that never was.
        retry: What follows an end that can be retried: nothing, the whole run, or its last step.
    """

    task: str
    config: Json
    auto_approve: bool = False
    priority: int = 0
    revisions: int = 0
    verdict: str = "APPROVE"
    cancel_at: int | None = None
    sample: bool = False
    stale: bool = False
    retry: str | None = None


@dataclass(slots=True)
class Story:
    """Everything known about one run.

    Attributes:
        legs: The connections of each subscriber, in order.
        events: The run's log as the `events` connection gave it after the storm.
        state: The run as it was read after the storm.
    """

    run_id: str
    script: Script
    created: Ack
    acks: list[Ack] = field(default_factory=list)
    legs: dict[str, list[Leg]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    state: Json = field(default_factory=dict)


class Watch:
    """What the subscribers of a run have seen so far, for the people who act on it."""

    def __init__(self) -> None:
        self.seen: dict[int, Event] = {}
        self._news = asyncio.Event()

    def notice(self, event: Event) -> bool:
        """Take an event from any subscriber and return whether it is new."""
        is_new = event["sequence"] not in self.seen
        self.seen.setdefault(event["sequence"], event)
        self._news.set()
        return is_new

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was seen fulfils a condition."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def until_asked(self, version: int) -> None:
        """Wait until a version of the plan asks for a decision, or the run has ended."""
        await self.until(lambda: self.ended or self._asks(version))

    @property
    def ended(self) -> bool:
        """Whether the run's terminal event was seen."""
        return any(event["type"] in TERMINAL for event in self.seen.values())

    def _asks(self, version: int) -> bool:
        asking = (event for event in self.seen.values() if event["type"] == "APPROVAL_REQUIRED")
        return any(event["data"]["plan"]["version"] == version for event in asking)


TERMINAL = frozenset({"COMPLETION", "FAILURE", "REJECTED", "CANCELLED", "TIMEOUT"})
