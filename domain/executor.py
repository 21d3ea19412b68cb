"""Drives one run through its team: what the team says becomes commands, fenced by the claim's attempt.

Log lines, samples and progress within a step are collected for up to 250 ms and written together; a step's start and
end, artifacts and the end of a phase are written at once, after what was collected before them. When a team goes on
immediately after a step's end, that is written together with what follows; a step's start is written before the team
goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final, TypeVar, assert_never

from domain import commands as c
from domain import signals as s
from domain.batch import Batch
from domain.errors import InvalidSignalError, StaleAttemptError, StoreError, TeamError
from domain.hearing import end_talk, next_signal
from domain.ids import IdFactory, Kind
from domain.leash import Halt, Leash
from domain.log_context import doing
from domain.model import NO_USAGE, Artifact, JsonValue, RunFailure, RunStatus, StepStatus, Usage
from domain.plan import PlanDraft
from domain.ports import Clock, ExecutionContext, PlanContext, Teams
from domain.services.work import Assignment, WorkService
from domain.tracing import NO_TRACER, Tracer
from domain.work_trace import WorkTrace

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ERROR: Final = 2_000
"""Characters of a team's own error that are kept in a failure's message."""

LAST_GRACE: Final = timedelta(seconds=2)
"""How long a team may take to stop when the process ends."""


class _HaltedError(Exception):
    """The work was told to stop."""


class Executor:
    """Works on runs, each call of `advance` on one.

    Args:
        work: Where runs are claimed and reported.
        teams: Who plans and executes.
        ids: Makes ids of samples and artifacts.
        clock: When a line was said.
        owner: Name of this worker.
        lease: How long a claim counts without being renewed; None lasts as long as the process.
        stop_grace: How long a team may take to stop before it is left behind.
        silence: How long a team may say nothing before its run fails (TEAM_TIMEOUT).
        max_artifact_bytes: Size of one artifact at most.
        max_run_artifact_bytes: Size of a run's artifacts together at most.
        tracer: Where the work is traced.
    """

    def __init__(
        self,
        work: WorkService,
        teams: Teams,
        ids: IdFactory,
        clock: Clock,
        *,
        owner: str,
        lease: timedelta | None = None,
        stop_grace: timedelta,
        silence: timedelta,
        max_artifact_bytes: int,
        max_run_artifact_bytes: int,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.work = work
        self.teams = teams
        self.ids = ids
        self.clock = clock
        self.owner = owner
        self.lease = lease
        self.stop_grace = stop_grace
        self.silence = silence
        self.max_artifact_bytes = max_artifact_bytes
        self.max_run_artifact_bytes = max_run_artifact_bytes
        self.tracer = tracer

    async def advance(self, run_id: str, leash: Leash) -> None:
        """Do what a run needs now: plan it, execute it, or find that there is nothing to do.

        Args:
            run_id: The run.
            leash: Pulled to stop the work: a cancelled run is closed, one of a shutdown is handed over, one that was
                lost is left to whoever has it now.
        """
        assignment = await self.work.claim(run_id, owner=self.owner, lease=self.lease)
        if assignment is not None:
            leash.is_claimed = True
            with doing(run_id=run_id, task_id=assignment.task.id):
                await _Drive(self, assignment, leash).run()


class _Drive:
    """One claim of one run."""

    def __init__(self, executor: Executor, assignment: Assignment, leash: Leash) -> None:
        self._executor = executor
        self._assignment = assignment
        self._leash = leash
        self._state = assignment.state
        self._batch = Batch(executor.clock, executor.ids, assignment)
        self._usage = NO_USAGE
        self._draft: PlanDraft | None = None
        self._results: JsonValue = None
        self._has_results = False
        self._unwritten: list[c.WorkerCommand] = []
        self._ended: list[c.WorkerCommand] = []
        self._left_behind = False
        self._trace = WorkTrace(executor.tracer, assignment.state.run, executor.owner)

    async def run(self) -> None:
        """Work until the run waits, ends, or the work is halted."""
        try:
            await self._say_stopped()
            if self._state.run.status is RunStatus.ANALYZING:
                await self._phase(self._plan)
            if self._state.run.status is RunStatus.RUNNING:
                await self._phase(self._execute)
        except StaleAttemptError as error:
            # Nobody need look into what was ended on purpose, or by what the team said itself.
            level = logging.INFO if self._leash.is_halted_for(Halt.CANCELLED) else logging.WARNING
            logger.log(level, "the work on run %s stops here: %s", self._assignment.run_id, error)

    async def _phase(self, work: Callable[[], AsyncIterator[s.Signal]]) -> None:
        with self._trace.phase(self._state.run.status):
            await self._do(work)
            await self._say_stopped()

    async def _do(self, work: Callable[[], AsyncIterator[s.Signal]]) -> None:
        """Do one phase, and turn every way in which it can fail into the run's failure."""
        try:
            await self._follow(work())
            await self._end_phase()
        except _HaltedError:
            await self._stop()
        except (StaleAttemptError, asyncio.CancelledError):
            raise
        except TeamError as error:
            await self._fail(error.code, str(error), error.step, retryable=error.retryable)
        except InvalidSignalError as error:
            await self._fail("TEAM_ERROR", str(error), None)
        except Exception as error:
            logger.warning("the team of run %s failed", self._assignment.run_id, exc_info=True)
            await self._fail("TEAM_ERROR", f"The team failed: {type(error).__name__}: {error}", None)

    def _plan(self) -> AsyncIterator[s.Signal]:
        run, task = self._state.run, self._assignment.task
        context = PlanContext(run=run, name=task.name, description=task.description, rounds=self._assignment.rounds)
        return self._executor.teams.create(run.team, run.config).plan(context)

    def _execute(self) -> AsyncIterator[s.Signal]:
        run, task, plan = self._state.run, self._assignment.task, self._state.plan
        assert plan is not None

        async def read(name: str) -> bytes | None:
            return await self._patiently(lambda: self._executor.work.content(run.id, name))

        context = ExecutionContext(run=run, name=task.name, description=task.description, plan=plan, artifacts=read)
        return self._executor.teams.create(run.team, run.config).execute(context)

    async def _follow(self, stream: AsyncIterator[s.Signal]) -> None:
        """Take what the team says until it has said all, writing what was collected when it is due."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        pending: asyncio.Task[s.Signal] | None = None
        try:
            while True:
                if pending is None:
                    pending, asked = asyncio.ensure_future(next_signal(stream)), loop.time()
                silence = asked + self._executor.silence.total_seconds() - loop.time()
                timeout = 0 if self._ended else min(silence, self._batch.due_in())
                events: list[asyncio.Future[Any]] = [pending, self._leash.halted]
                await asyncio.wait(events, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if self._leash.halted.done():
                    raise _HaltedError
                if self._batch.due_in() <= 0 or (self._ended and not pending.done()):
                    await self._report([])
                if not pending.done():
                    if loop.time() - asked >= self._executor.silence.total_seconds():
                        raise TeamError("The team said nothing for too long.", code="TEAM_TIMEOUT")
                    continue
                done, pending = pending, None
                if done.cancelled():
                    raise TeamError("The team was cancelled from within; only the engine may cancel it.")
                try:
                    signal = done.result()
                except StopAsyncIteration:
                    return
                await self._handle(signal)
        finally:
            await self._close(stream, pending)

    async def _handle(self, signal: s.Signal) -> None:
        match signal:
            case PlanDraft():
                self._draft = signal
            case s.LineSaid() | s.LinesSaid():
                self._batch.add_lines(signal)
            case s.SampleTaken():
                self._batch.add_sample(signal)
            case s.StepMoved():
                self._batch.move(signal)
            case s.TokensUsed():
                self._usage += signal.usage
            case s.StepStarted() if self._leash.is_draining:
                self._leash.pull(Halt.SHUTDOWN)
                raise _HaltedError
            case s.StepStarted():
                await self._report([c.StartStep(key=signal.key)])
            case s.StepFinished():
                finish = c.FinishStep(key=signal.key, output=signal.output, skipped=signal.skipped, usage=self._spent())
                self._ended += [*self._take(), *self._batch.end_step(signal.key), finish]
                self._trace.leave(signal.key)
            case s.StepFailed():
                await self._fail_step(signal)
            case s.ArtifactMade():
                await self._store(signal)
            case s.ResultReady():
                self._results, self._has_results = signal.results, True
            case _:
                assert_never(signal)
        if self._batch.is_full:
            await self._report([])

    async def _end_phase(self) -> None:
        if self._state.run.status is RunStatus.ANALYZING:
            if self._draft is None:
                raise TeamError("The team ended without a plan.", code="INVALID_PLAN")
            created_by = self._state.run.team
            deliver = c.DeliverPlan(draft=self._draft, created_by=created_by, usage=self._spent())
            await self._report([*self._batch.end_step(None), deliver])
        elif self._state.run.status is RunStatus.RUNNING:
            finish = c.Finish(results=self._all_results(), usage=self._spent())
            await self._report([*self._batch.end_step(None), finish])

    async def _fail_step(self, signal: s.StepFailed) -> None:
        step = self._state.plan.step(signal.key) if self._state.plan else None
        failure = RunFailure(
            code="STEP_FAILED",
            message=f"Step {signal.key} failed: {signal.error}"[:MAX_ERROR],
            step=signal.key,
            retryable=signal.retryable,
        )
        ending: list[c.WorkerCommand] = [*self._batch.end_step(signal.key)]
        if step is not None and step.status is StepStatus.RUNNING:
            ending.append(c.FailStep(key=signal.key, error=signal.error[:MAX_ERROR], usage=self._spent()))
        await self._report([*ending, c.Fail(failure=failure, usage=self._spent())])

    async def _fail(self, code: str, message: str, step: str | None, *, retryable: bool = True) -> None:
        step = step or self._state.run.current_step
        failure = RunFailure(code=code, message=message[:MAX_ERROR], step=step, retryable=retryable)
        fail = c.Fail(failure=failure, usage=self._spent())
        try:
            await self._report([fail])
        except StaleAttemptError:
            raise
        except Exception:
            # A run must end whatever its team said before.
            logger.exception("what the team of run %s said last can't be written", self._assignment.run_id)
            self._unwritten = []
            unspeakable = RunFailure(code="TEAM_ERROR", message="The team said what can't be written.")
            await self._report([replace(fail, failure=unspeakable)])

    async def _stop(self) -> None:
        """Give the run back, or leave it to whoever has it now."""
        if self._leash.is_halted_for(Halt.SHUTDOWN):
            await self._report([c.HandOver()])
        if self._leash.is_halted_for(Halt.LOST):
            raise StaleAttemptError(f"Another worker has it; attempt {self._assignment.attempt} is over.")

    async def _say_stopped(self) -> None:
        """End a run that was cancelled, be it that its team was stopped or that it just then ended by itself."""
        run = self._state.run
        cancelled = run.status is RunStatus.CANCELLING or self._leash.is_halted_for(Halt.CANCELLED)
        if cancelled and run.owner is not None and not self._left_behind:
            await self._report([c.Stopped()])

    async def _store(self, signal: s.ArtifactMade) -> None:
        run, size = self._state.run, len(signal.content)
        digest = sha256(signal.content).hexdigest()
        kept = await self._patiently(lambda: self._executor.work.artifacts(run.id))
        if any((artifact.name, artifact.sha256) == (signal.name, digest) for artifact in kept):
            return  # a step that is done again after a takeover made the same file
        total = size + sum(artifact.size for artifact in kept)
        if size > self._executor.max_artifact_bytes or total > self._executor.max_run_artifact_bytes:
            message = f"The artifact {signal.name} of {size} bytes is beyond what is kept of an artifact or a run."
            raise TeamError(message, code="ARTIFACT_TOO_LARGE", step=signal.step, retryable=False)
        artifact = Artifact(
            id=self._executor.ids.new(Kind.ARTIFACT),
            tenant=run.tenant,
            task_id=run.task_id,
            run_id=run.id,
            step=signal.step,
            name=signal.name,
            media_type=signal.media_type,
            size=size,
            sha256=digest,
            created_at=self._executor.clock.now(),
        )
        await self._report([c.StoreArtifact(artifact=artifact)], {artifact.id: signal.content})

    async def _report(self, commands: Sequence[c.WorkerCommand], contents: dict[str, bytes] | None = None) -> None:
        """Write what was collected and then the commands, in one transaction; wait while the store can't."""
        ended, self._ended = self._ended, []
        collected = self._take()
        try:
            await self._write([*ended, *collected, *commands], contents)
        except (InvalidSignalError, TeamError):
            # What the team said before its mistake is kept; the mistake may be in how far a step is.
            self._unwritten = [said for said in collected if not isinstance(said, c.AdvanceStep)]
            for command in ended:
                await self._write([command])
            raise

    def _take(self) -> list[c.WorkerCommand]:
        """Return what was collected, to be written now."""
        taken, self._unwritten = [*self._unwritten, *self._batch.take()], []
        return taken

    async def _write(self, commands: Sequence[c.WorkerCommand], contents: dict[str, bytes] | None = None) -> None:
        if not commands:
            return
        with self._trace.reporting(commands):
            report = partial(self._executor.work.report, self._assignment, commands, contents)
            self._state = await self._patiently(report)
        if self._state.run.status is RunStatus.CANCELLING:
            self._leash.pull(Halt.CANCELLED)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store until it can answer, for as long as that takes.

        Raises:
            StaleAttemptError: The process ends first. What is not written did not happen: the next claim does it again.
        """
        patience = 0.05
        while True:
            try:
                return await ask()
            except StoreError as error:
                logger.warning("run %s waits for the store: %s", self._assignment.run_id, error)
            if self._leash.is_halted_for(Halt.CANCELLED):
                await asyncio.sleep(patience)
            else:
                await asyncio.wait({self._leash.halted}, timeout=patience)
            if self._leash.is_halted_for(Halt.SHUTDOWN, Halt.LOST):
                raise StaleAttemptError("It ends while the store can't be used.")
            patience = min(patience * 2, 2.0)

    async def _close(self, stream: AsyncIterator[s.Signal], pending: asyncio.Task[s.Signal] | None) -> None:
        """End a team's work: its generator gets a cancel where it stands, and time to clean up."""
        closing = asyncio.ensure_future(end_talk(stream, pending))
        grace = self._executor.stop_grace
        if self._leash.is_halted_for(Halt.SHUTDOWN):
            grace = min(grace, LAST_GRACE)
        done, _ = await asyncio.wait({closing}, timeout=grace.total_seconds())
        if not done:
            # A team that ignores its cancel can't hold the slot; its run is closed by force at its deadline.
            self._left_behind = True
            logger.warning("the team of run %s does not stop; it is left behind", self._assignment.run_id)

    def _all_results(self) -> JsonValue:
        if self._has_results or self._state.plan is None:
            return self._results
        ended = {command.key: command.output for command in self._ended if isinstance(command, c.FinishStep)}
        return {step.key: step.output for step in self._state.plan.steps} | ended

    def _spent(self) -> Usage:
        usage, self._usage = self._usage, NO_USAGE
        return usage
