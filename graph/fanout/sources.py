"""What a subscription follows, as the fan-out sees it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable


class Placed(Protocol):
    """An event with its place."""

    @property
    def pos(self) -> int:
        """Its place; those that are followed come in rising order."""
        ...


class Way(Protocol):
    """One way through a source from some place on; `domain.feed.Following` is one.

    An empty batch says that everything there is was seen, and that what comes next is live.

    Attributes:
        audience: How many subscribers it serves.
    """

    audience: int

    @property
    def position(self) -> int:
        """Everything up to here that is wanted was yielded."""
        ...

    @property
    def live(self) -> bool:
        """Whether it waits for news rather than reads what was."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Sequence[Placed]: ...

    async def aclose(self) -> None:
        """Go no further."""
        ...


@runtime_checkable
class Source(Protocol):
    """What the resolver of a subscription returns if its events may be shared."""

    def rights(self, *, personal: bool) -> Hashable:
        """Return what must be equal for two subscribers to get the same answers.

        Args:
            personal: Whether the answers depend on who asks, beyond tenant and role.
        """
        ...

    async def admit(self) -> int:
        """Check the subscriber, and return the place after which it begins.

        Raises:
            Exception: It can't follow; this is its failure.
        """
        ...

    def follow(self, after: int) -> Way:
        """Follow what comes after a place."""
        ...

    def explain(self, error: Exception) -> Exception:
        """Return what a client is told about an exception of `admit` or of what `follow` returned."""
        ...

    def root(self, event: Placed) -> object:
        """Make what an event's execution begins with; what was read for the event before is forgotten."""
        ...

    def delivered(self, answers: int) -> None:
        """Take note of answers that were handed to subscribers."""
        ...


@dataclass(frozen=True, slots=True)
class _Numbered:
    pos: int
    value: object


class Unshared:
    """A source of its own for one subscriber, from any asynchronous iterable."""

    def __init__(self, values: AsyncIterable[object]) -> None:
        self._values = values

    def rights(self, *, personal: bool) -> Hashable:
        """Return something that equals nothing else as long as this is followed."""
        return id(self)

    async def admit(self) -> int:
        """Begin at the beginning."""
        return 0

    def follow(self, after: int) -> Way:
        """Number the values, which come one by one."""
        return _Values(self._values, after)

    def explain(self, error: Exception) -> Exception:
        """Return it as it is."""
        return error

    def root(self, event: Placed) -> object:
        """Return the value."""
        assert isinstance(event, _Numbered)
        return event.value

    def delivered(self, answers: int) -> None:
        """Nobody asks."""


class _Values:
    live = False

    def __init__(self, values: AsyncIterable[object], after: int) -> None:
        self.audience = 1
        self.position = after
        self._values: AsyncIterator[Any] = aiter(values)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Placed]:
        value = await anext(self._values)
        self.position += 1
        return (_Numbered(self.position, value),)

    async def aclose(self) -> None:
        close = getattr(self._values, "aclose", None)
        if close is not None:
            await close()
