"""The spans of one claim of a run: one for each phase of its work, below it one for each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from domain import commands as c
from domain.events import Event, EventType
from domain.model import Run, RunStatus
from domain.tracing import NO_SPAN, Attribute, Span, SpanKind, Tracer, about, within

_PHASES: Final = {RunStatus.ANALYZING: "run.plan", RunStatus.RUNNING: "run.execute"}

_LOST: Final = "LOST"
"""The work stopped without a word: another claim has the run, or it has ended, or the process ends."""


class WorkTrace:
    """Follows one claim by what is written of it.

    Args:
        tracer: Where it is told.
        run: The run as it was claimed.
        owner: Name of the worker.
    """

    def __init__(self, tracer: Tracer, run: Run, owner: str) -> None:
        self._tracer = tracer
        self._about: dict[str, Attribute] = {**about(run), "mgx.run.attempt": run.attempt, "mgx.worker": owner}
        self._traces = run.traces
        self._phase = NO_SPAN
        self._outcome = _LOST
        self._steps: dict[str, Span] = {}
        self._left: set[str] = set()
        self._inside = ExitStack()

    @contextmanager
    def phase(self, status: RunStatus) -> Iterator[None]:
        """Follow the work that a run in this state needs: in the trace of the request that created the run.

        The request that decided last, perhaps days later and in a trace of its own, is linked.
        """
        self._phase = self._tracer.start(
            _PHASES[status],
            kind=SpanKind.CONSUMER,
            parent=next(iter(self._traces), None),
            links=self._traces[1:],
            attributes=self._about,
        )
        self._outcome = _LOST
        try:
            with within(self._phase), self._inside:
                yield
        finally:
            for key in list(self._steps):
                self._end_step(key, self._outcome)
            self._phase.set(**{"mgx.outcome": self._outcome})
            self._phase.end()

    @contextmanager
    def reporting(self, commands: Sequence[c.WorkerCommand]) -> Iterator[None]:
        """Follow the writing of commands, which the block is; the team then goes on within its newest step."""
        for command in commands:
            if isinstance(command, c.StartStep):
                self._start_step(command.key)
        with within(self._writing(commands)):
            yield
        for command in commands:
            self._written(command)
        self._go_on()

    def leave(self, key: str) -> None:
        """Have the team go on outside of a step, whose end is not written yet."""
        self._left.add(key)
        self._go_on()

    def _go_on(self) -> None:
        self._inside.close()
        self._inside.enter_context(within(self._newest()))

    def _writing(self, commands: Sequence[c.WorkerCommand]) -> Span:
        return NO_SPAN if self._phase is NO_SPAN else _Report(self._writer(commands), self._of)

    def _of(self, event: Event) -> Span | None:
        """Return the span that an event belongs to whatever it is written with."""
        match event.type:
            case EventType.PROGRESS:
                return self._steps.get(str(event.data["step"]))
            case EventType.COMPLETION:
                return self._phase
            case _:
                return None

    def _writer(self, commands: Sequence[c.WorkerCommand]) -> Span:
        """Return the span of the step that commands are about, or else of the newest."""
        for command in commands:
            if isinstance(command, c.StartStep | c.AdvanceStep | c.FinishStep | c.FailStep):
                return self._steps.get(command.key, self._phase)
        return self._newest()

    def _newest(self) -> Span:
        return next((span for key, span in reversed(self._steps.items()) if key not in self._left), self._phase)

    def _start_step(self, key: str) -> None:
        self._end_step(key, _LOST)  # one that is started again
        with within(self._phase):
            self._steps[key] = self._tracer.start("run.step", attributes={**self._about, "mgx.step.key": key})

    def _end_step(self, key: str, outcome: str, *, failed: bool = False) -> None:
        self._left.discard(key)
        step = self._steps.pop(key, NO_SPAN)
        step.set(**{"mgx.outcome": outcome})
        if failed:
            step.fail(outcome)
        step.end()

    def _written(self, command: c.WorkerCommand) -> None:
        match command:
            case c.FinishStep():
                self._end_step(command.key, "SKIPPED" if command.skipped else "COMPLETED")
            case c.FailStep():
                self._end_step(command.key, "FAILED", failed=True)
            case c.Fail():
                self._outcome = "FAILED"
                self._phase.fail(command.failure.code)
            case c.DeliverPlan():
                self._outcome = "PLANNED"
            case c.Finish():
                self._outcome = "COMPLETED"
            case c.Stopped():
                self._outcome = "CANCELLED"
            case c.HandOver():
                self._outcome = "HANDED_OVER"
            case _:
                pass


class _Report:
    """The span of what writes a report; an event of another span's is told there, with those that follow it."""

    def __init__(self, writer: Span, of: Callable[[Event], Span | None]) -> None:
        self._writer = writer
        self._of = of

    @property
    def traceparent(self) -> str | None:
        return self._writer.traceparent

    def attached(self) -> AbstractContextManager[None]:
        return self._writer.attached()

    def set(self, **attributes: Attribute) -> None:
        self._writer.set(**attributes)

    def wrote(self, events: Sequence[Event], /) -> None:
        span = self._writer
        for event in events:
            span = self._of(event) or span
            span.wrote([event])

    def fail(self, reason: str, /) -> None:
        self._writer.fail(reason)

    def end(self) -> None:
        self._writer.end()
