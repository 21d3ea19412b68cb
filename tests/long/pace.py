"""P6: how long runs stood still, and how soon another worker took them over; seconds.

Figures and no verdict: on a machine with too much to do everything takes its time.

Nobody outside knows which worker had a run. What is known is when a run was last heard of, and when processes were
struck after that: so what is measured is never shorter than what was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tests.long.figures import quantiles
from tests.long.members import Blow
from tests.long.outcome import Goal
from tests.long.records import Event, Json, Story

_FROM_OUTSIDE: Final = frozenset({"METRIC", "CANCEL_REQUESTED"})
"""Events that are no sign of life of a run's worker."""

_WAITS: Final = frozenset({"PENDING", "AWAITING_APPROVAL"})
"""Statuses in which a run waits for a person, a turn or a slot."""

_LONGEST_STEP: Final = 0.5
"""What the longest step of a script takes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Looks at how runs went on through failures.

    Attributes:
        blows: All that was struck, in order.
        limit: How long one failure may stop a run.
    """

    blows: Sequence[Blow]
    limit: float

    def is_odd(self, story: Story) -> bool:
        """Whether a run stood still for too long, or was taken over though nobody had been struck."""
        return max(self._standstills(story), default=0.0) > self.limit or bool(self._takeovers([story])[1])

    def figures(self, stories: Sequence[Story]) -> Json:
        """Return how long runs stood still for each failure, and how soon those that were lost were taken over."""
        takeovers, without_cause = self._takeovers(stories)
        still = [seconds for story in stories for seconds in self._standstills(story)]
        return {
            "takeover": quantiles(takeovers),
            "takeoversWithoutCause": without_cause,
            "standstill": quantiles(still),
        }

    def timeline(self) -> str:
        """Return what was struck and when, as the events tell their time."""
        times = [(datetime.fromtimestamp(blow.at, UTC), blow) for blow in self.blows]
        return "\n".join(["blows:", *(f"  {at:%Y-%m-%dT%H:%M:%S.%fZ} {blow.kind} {blow.member}" for at, blow in times)])

    def goals(self, figures: Json) -> list[Goal]:
        """Return what is aimed at."""
        return [
            Goal("seconds from a failure to the takeover, p95", self.limit, figures["takeover"]["p95"]),
            Goal("seconds that a run stood still for a failure", self.limit, figures["standstill"]["max"]),
        ]

    def _takeovers(self, stories: Sequence[Story]) -> tuple[list[float], list[str]]:
        """Return the times from the blow to RESUMED, and the runs taken from a worker which nobody had struck."""
        found: list[float] = []
        without_cause = []
        for story in stories:
            heard = 0.0
            for event in story.events:
                if event["type"] == "RESUMED" and event["data"]["reason"] == "WORKER_LOST":
                    causes = [blow.at for blow in self.blows if heard <= blow.at <= _time(event)]
                    if causes:
                        found.append(_time(event) - causes[0])
                    else:
                        without_cause.append(f"run {story.run_id}, event {event['sequence']}")
                if event["type"] not in _FROM_OUTSIDE:
                    heard = _time(event)
        return found, without_cause

    def _standstills(self, story: Story) -> list[float]:
        """Return for how long a run stood still each time, for each failure that can be to blame.

        It must not have waited for a free slot.
        """
        found = []
        for before, event in zip(story.events, story.events[1:], strict=False):
            if before["status"] not in _WAITS:
                stood = _time(event) - _time(before) - _LONGEST_STEP
                failures = sum(_time(before) - self.limit <= blow.at <= _time(event) for blow in self.blows)
                found.append(max(0.0, stood) / max(1, failures))
        return found


def _time(event: Event) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()
