"""The server itself: the teams that it has, and how its feed does."""

from __future__ import annotations

from typing import Self

import strawberry

from domain import ports
from domain.feed import FeedStatistics
from domain.ports import BellState
from graph.types.fields import attribute
from graph.types.scalars import JSON


@strawberry.type(description="Agents that plan and execute runs, registered by the operator.")
class Team:
    """Agents that plan and execute runs."""

    record: strawberry.Private[ports.TeamInfo]
    name: str = attribute("What tasks call it.")
    description: str = attribute("What it does.")
    config_schema: JSON = attribute("JSON Schema (draft 2020-12) of the config that it takes.")

    @classmethod
    def from_domain(cls, record: ports.TeamInfo) -> Self:
        """Show a team."""
        return cls(record=record)


@strawberry.type(description="Subscribers, queues and lag of the instance that answers.")
class FeedStats:
    """How the feed of this process does."""

    record: strawberry.Private[FeedStatistics]
    instance: str = strawberry.field(description="Which instance answers.")
    connections: int = strawberry.field(description="WebSockets and event streams that are open.")
    subscribers: int = attribute("Subscriptions that are followed now.")
    delivered: float = attribute("Events handed to subscribers since the start.")
    catching_up: int = attribute("Subscriptions that read the log now instead of what is published.")
    lag_ms: float = attribute("Milliseconds from the newest event's time until it was published here.")

    bell: BellState = strawberry.field(description="Whether news of other instances arrive at once.")

    @classmethod
    def from_domain(cls, record: FeedStatistics, *, instance: str, connections: int, bell: BellState) -> Self:
        """Show the feed of an instance."""
        return cls(record=record, instance=instance, connections=connections, bell=bell)
