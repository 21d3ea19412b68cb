"""What the domain asks of the world beside its store: a clock, a bell, a work queue and teams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.model import JsonObject, Plan, Run
from domain.signals import Signal
from domain.store import WriteTx


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...


class BellState(StrEnum):
    """Whether rings reach other processes."""

    CONNECTED = "connected"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class BellStatus:
    """How a bell is.

    Attributes:
        state: Whether it works.
        since: When it came to be so.
        rebuilds: How often it has come back.
    """

    state: BellState
    since: datetime
    rebuilds: int


class Bell(Protocol):
    """Tells that something happened; losing a ring must be harmless, since the log is the truth."""

    @property
    def status(self) -> BellStatus:
        """How the bell is now."""
        ...

    def ring(self, pos: int, /) -> None:
        """Say that the log has grown to a place; returns at once."""
        ...

    def listen(self) -> AsyncIterator[int | None]:
        """Yield the places that were rung; None where rings may have been lost, so that the log must be looked at."""
        ...


class WorkQueue(Protocol):
    """Delivers "advance run X", now or at a time, at least once, to a living worker."""

    async def submit(self, tx: WriteTx, run: Run, /, *, at: datetime | None = None) -> None:
        """Ask, as part of a transaction, that a run be advanced, at a time or as soon as a worker is free."""
        ...

    def cancel(self, run_id: str, /) -> None:
        """Tell the worker that has a run that it shall stop; best effort, after the commit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamInfo:
    """A team that tasks can name; `config_schema` is a JSON Schema (draft 2020-12) of its config."""

    name: str
    description: str
    config_schema: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A planning round that came before: the plan, and the feedback that sent it back."""

    plan: Plan
    feedback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """What a team plans from.

    Attributes:
        run: The run; its `config` and `settings` are the team's.
        name: The task's name.
        description: The task's description.
        rounds: Earlier versions with their feedback, oldest first.
    """

    run: Run
    name: str
    description: str
    rounds: Sequence[Round] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """What a team executes.

    Attributes:
        plan: The approved plan; its steps that are final already (of an earlier attempt, or skipped) are not done again
            and carry their outputs.
        artifacts: Reads the bytes of the run's newest artifact of a name, None where there is none.
    """

    run: Run
    name: str
    description: str
    plan: Plan
    artifacts: Callable[[str], Awaitable[bytes | None]]

    def idempotency_key(self, step: str) -> str:
        """Return the key for a step's effects outside; every start of the step shares it."""
        return f"{self.run.id}/{self.plan.version}/{step}"


class Team(Protocol):
    """Agents that plan and execute one run.

    Made anew for each phase of a run; nothing is kept between `plan` and `execute`, which may happen in different
    processes. A team that gives up raises `domain.errors.TeamError`; a cancel arrives as asyncio.CancelledError.
    """

    def plan(self, context: PlanContext, /) -> AsyncIterator[Signal]:
        """Work out a plan; ends with a `PlanDraft`."""
        ...

    def execute(self, context: ExecutionContext, /) -> AsyncIterator[Signal]:
        """Do the steps that are not final, each from `StepStarted` to `StepFinished` or `StepFailed`, which ends it."""
        ...


class Teams(Protocol):
    """The teams that the operator registered."""

    def describe(self) -> Sequence[TeamInfo]:
        """Return them, sorted by name."""
        ...

    def validate(self, name: str, config: JsonObject, /) -> None:
        """Check a config.

        Raises:
            InvalidInputError: Unknown team (path ("team",)), or a config that the team refuses (path ("config", ...),
                down to the field at fault).
        """
        ...

    def create(self, name: str, config: JsonObject, /) -> Team:
        """Make a team for one phase of a run.

        Raises:
            TeamError: It is not registered any more (TEAM_UNAVAILABLE), or its factory failed.
        """
        ...
