"""Traces: what is done, as spans that join a request with the work that it causes, wherever and whenever that is done.

The domain says what begins and ends; who opens the application says where that is told. By default nothing is.
A trace is named by a `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header), which runs keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from enum import Enum
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Final, Protocol, TypeAlias

from domain.events import Event
from domain.model import Run
from domain.store import WriteTx

Attribute: TypeAlias = str | int | bool | Sequence[str]


class SpanKind(Enum):
    """What a span is to the one before it in its trace."""

    SERVER = "SERVER"
    """Answers a request."""
    CONSUMER = "CONSUMER"
    """Does later what was asked for before."""
    INTERNAL = "INTERNAL"
    """Is a part of it."""


class Span(Protocol):
    """Something that takes time, as part of a trace."""

    @property
    def traceparent(self) -> str | None:
        """Names the span to those who go on with its trace; None where nobody is told of it."""
        ...

    def attached(self) -> AbstractContextManager[None]:
        """Have what others trace in the block, such as a team's own libraries, belong to the span."""
        ...

    def set(self, **attributes: Attribute) -> None:
        """Say more about it."""
        ...

    def wrote(self, events: Sequence[Event], /) -> None:
        """Say which events it wrote; a place of 0 is none."""
        ...

    def fail(self, reason: str, /) -> None:
        """Say that it failed, and by which code."""
        ...

    def end(self) -> None:
        """Say that it is over."""
        ...


class Tracer(Protocol):
    """Where spans are told."""

    def start(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        links: Sequence[str] = (),
        attributes: Mapping[str, Attribute] = MappingProxyType({}),
    ) -> Span:
        """Begin a span; whoever begins it ends it.

        Args:
            name: What is done; one of a few, so that spans can be counted by it.
            kind: See there.
            parent: Traceparent of the span that it goes on from; by default the current one. One that is malformed
                counts as none.
            links: Traceparents of spans of other traces that it has to do with.
            attributes: What it is about.
        """
        ...


class _NoSpan:
    """A span that nobody is told of."""

    traceparent: Final = None

    def attached(self) -> AbstractContextManager[None]:
        return _NOTHING

    def set(self, **_attributes: Attribute) -> None:
        pass

    def wrote(self, _events: Sequence[Event], /) -> None:
        pass

    def fail(self, _reason: str, /) -> None:
        pass

    def end(self) -> None:
        pass


class _NoTracer:
    """Tells nobody."""

    def start(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: str | None = None,
        links: Sequence[str] = (),
        attributes: Mapping[str, Attribute] = MappingProxyType({}),
    ) -> Span:
        return NO_SPAN


_NOTHING: Final[AbstractContextManager[None]] = nullcontext()

NO_SPAN: Final[Span] = _NoSpan()
"""What is current where nothing is traced."""

NO_TRACER: Final[Tracer] = _NoTracer()
"""Traces nothing."""

_current: Final[ContextVar[Span]] = ContextVar("span", default=NO_SPAN)


def current() -> Span:
    """Return the span that what is done here belongs to."""
    return _current.get()


def within(span: Span) -> AbstractContextManager[None]:
    """Have what is done in the block, and in the tasks that it starts, belong to a span."""
    return _NOTHING if span is NO_SPAN else _Within(span)


class _Within:
    """A class and no generator, for the sake of requests: it costs half of what one does."""

    __slots__ = ("_attached", "_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._attached = span.attached()
        self._token: Token[Span] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self._span)
        self._attached.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._attached.__exit__(kind, error, trace)
        assert self._token is not None
        _current.reset(self._token)


def asked() -> tuple[str, ...]:
    """Return what a run keeps of the request that is being answered: its traceparent, if it has one."""
    traceparent = current().traceparent
    return () if traceparent is None else (traceparent,)


def asked_again(traces: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a run keeps that was asked for before, and about which a request has decided now."""
    latest = asked()
    return (*traces[:1], *latest) if latest else traces


def told(tx: WriteTx, events: Sequence[Event]) -> None:
    """Have the current span say, once they are committed, that it wrote these events."""
    span = current()
    if span is not NO_SPAN:
        tx.after_commit(partial(span.wrote, events))


def told_of_run(tx: WriteTx, tracer: Tracer, run: Run, events: Sequence[Event]) -> None:
    """Have a run's events said likewise; what nobody asked for just now, such as a time-out, is a span of its own."""
    if current() is NO_SPAN and run.traces and events:
        tx.after_commit(partial(_alone, tracer, run, events))
    else:
        told(tx, events)


def _alone(tracer: Tracer, run: Run, events: Sequence[Event]) -> None:
    span = tracer.start(
        f"run.{events[0].type.value.lower()}", parent=run.traces[0], links=run.traces[1:], attributes=about(run)
    )
    span.wrote(events)
    span.end()


def about(run: Run) -> dict[str, Attribute]:
    """Return the attributes of a span that is about a run."""
    return {"mgx.run.id": run.id, "mgx.task.id": run.task_id, "mgx.team": run.team}
