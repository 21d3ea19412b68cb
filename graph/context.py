"""What resolvers work with: the parts of the application, and what belongs to one operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry

from domain.feed import Feed
from domain.model import Principal
from domain.paging import encode_event_cursor
from domain.ports import Bell, Clock, Teams
from domain.services.metrics import MetricService
from domain.services.runs import RunService
from domain.services.tasks import TaskService
from domain.store import Store
from graph.loaders import Loaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of the application that operations use; made once, by the composition root.

    Attributes:
        root_path: What a proxy puts in front of our paths, such as "/mgx"; empty without one.
        instance: Name of this process among others.
        connections: Tells how many streams and sockets are open.
    """

    tasks: TaskService
    runs: RunService
    metrics: MetricService
    teams: Teams
    store: Store
    feed: Feed
    clock: Clock
    bell: Bell
    instance: str
    connections: Callable[[], int]
    root_path: str = ""


@dataclass(slots=True, kw_only=True)
class Context:
    """One operation's own: who asks, and what was read for it.

    Attributes:
        request_id: Names the request in `extensions.requestId` and in the log.
        loaders: What was read so far; replaced by `refresh`.
    """

    services: Services
    principal: Principal
    request_id: str
    loaders: Loaders = field(init=False)
    _position: int = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Begin to read anew: after a mutation took effect, and for each event of a subscription.

        The log's head is noted before anything is read, so that `event_cursor` is never newer than the answer.
        """
        self._position = self.services.feed.position
        self.loaders = Loaders(self.services.store, self.principal)

    @property
    def event_cursor(self) -> str:
        """Cursor after which a subscription goes on from this answer."""
        return self.cursor_at(self._position)

    @property
    def log_id(self) -> str:
        """Name of the log that event cursors belong to."""
        return self.services.store.log_id

    def cursor_at(self, pos: int) -> str:
        """Return the cursor of a place in the log."""
        return encode_event_cursor(self.log_id, pos)


Info: TypeAlias = strawberry.Info[Context, None]
