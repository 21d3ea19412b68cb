"""procrastinate as the work queue of many processes, in the same database as the runs.

A job says "look at this run" and is written in the transaction that makes the run need it. Who has a run is the lease
on its row; so jobs carry no lock, may come twice, and may get lost with the process that fetched them: whoever looks
at the run finds out what it needs, and what got lost is found by the workers' own looks (`domain.worker`).

The queue of a run is named like its team, so that workers can be kept for some teams.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException
from procrastinate.job_context import AbortReason
from procrastinate.jobs import DeleteJobCondition, Status
from sqlalchemy import text
from sqlalchemy.engine import URL

from domain.background import background
from domain.crew import Crew
from domain.executor import Executor
from domain.leash import Halt
from domain.model import Run
from domain.services.work import WorkService
from domain.store import WriteTx
from domain.worker import Worker
from storage.postgres_schema import CONNECT_SECONDS
from storage.transactions import SqlWriteTx

_logger = logging.getLogger(__name__)

ADVANCE: Final = "mgx.advance"
TIDY: Final = "mgx.tidy"

_TIDY_QUEUE: Final = "mgx:tidy"
"""No team can have this name."""

_POLL_SECONDS: Final = 0.25
"""How late a job is fetched when its notification is lost: procrastinate forgets one that comes while it fetches."""

_HEARTBEAT_SECONDS: Final = 10.0
_STALLED_SECONDS: Final = 60.0
"""After how long without a heartbeat a worker's jobs are cleared away; its runs are taken over long before."""

_BACKOFF: Final = (0.1, 0.5, 1.0)
"""Seconds between attempts to fetch jobs again."""

_DEFER: Final = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    ":queue, :task, CAST(:priority AS integer), NULL, NULL, CAST(:arguments AS jsonb), NULL"
    ")::procrastinate_job_to_defer_v1])"
)
"""procrastinate's own function. It goes along with the other statements of a transaction, where procrastinate's client
would wait for an answer, on a cursor of its own."""

_CONNECTIONS: Final = 4
_OPTIONS: Final = "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=2000"


class SharedQueue:
    """A `domain.crew.WorkEngine` on procrastinate; made by `open_queue`."""

    def __init__(self, app: App, worker: Worker) -> None:
        self._app = app
        self._worker = worker
        self._calls: set[asyncio.Task[None]] = set()
        app.task(name=ADVANCE, pass_context=True)(self._take)
        app.periodic(cron="* * * * *")(app.task(name=TIDY, queue=_TIDY_QUEUE)(self._tidy))

    @property
    def crew(self) -> Crew:
        """The runs that are worked on in this process."""
        return self._worker.crew

    async def submit(self, tx: WriteTx, run: Run, /, *, at: datetime | None = None) -> None:
        """Write a job, as part of a transaction; deadlines need none, since every worker looks at them."""
        assert isinstance(tx, SqlWriteTx)
        if at is not None:
            tx.after_commit(partial(self._worker.deadlines.expect, at))
            return
        arguments = json.dumps({"run_id": run.id})
        await tx.execute(_DEFER, {"queue": run.team, "task": ADVANCE, "priority": run.priority, "arguments": arguments})

    def cancel(self, run_id: str, /) -> None:
        """Have the worker that has the run stop; without this it notices at its next renewal."""
        if not self.crew.stop(run_id, Halt.CANCELLED):
            call = asyncio.create_task(self._abort(run_id))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    @asynccontextmanager
    async def serve(self, work: WorkService, executor: Executor) -> AsyncGenerator[None]:
        """Work until the block ends; then runs under way are handed over to other workers."""
        async with self._worker.serve(work, executor), background(self._deliver()):
            try:
                yield
            finally:
                self.crew.drain()

    async def _take(self, context: JobContext, run_id: str) -> None:
        try:
            await self._worker.take(run_id)
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.USER_REQUEST:
                self.crew.stop(run_id, Halt.CANCELLED)
            raise

    async def _abort(self, run_id: str) -> None:
        manager = self._app.job_manager
        try:
            for job in await manager.list_jobs_async(task=ADVANCE, status=Status.DOING.value):
                if job.task_kwargs.get("run_id") == run_id and job.id is not None:
                    await manager.cancel_job_by_id_async(job.id, abort=True)
        except ProcrastinateException as error:
            _logger.info("the worker of run %s can't be told to stop; it will notice: %s", run_id, error)

    async def _deliver(self) -> None:
        """Fetch jobs for ever; procrastinate's worker ends with its connections."""
        failures = 0
        queues = None if self._worker.teams is None else [*self._worker.teams, _TIDY_QUEUE]
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._app.run_worker_async(
                    queues=queues,  # type: ignore[arg-type]  # None is every queue, as Worker has it
                    concurrency=self.crew.slots,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    abort_job_polling_interval=_POLL_SECONDS,
                    shutdown_graceful_timeout=0,  # the work goes on without its job: see Worker.take
                    update_heartbeat_interval=_HEARTBEAT_SECONDS,
                    stalled_worker_timeout=_STALLED_SECONDS,
                    delete_jobs=DeleteJobCondition.ALWAYS.value,
                    install_signal_handlers=False,
                )
                reason = "a connection was lost"
            except Exception as error:
                reason = str(error.__cause__ or error)
            if asyncio.get_running_loop().time() - began > _STALLED_SECONDS:
                failures = 0
            if not failures:
                _logger.warning("jobs can't be fetched now: %s", reason)
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
            failures += 1

    async def _tidy(self, timestamp: int) -> None:  # procrastinate says when it was due
        """Clear away the jobs of workers that are gone: those who took their runs over need none."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED_SECONDS):
            if job.id is not None:
                await manager.finish_job_by_id_async(job.id, status=Status.FAILED, delete_job=True)
        await manager.prune_stalled_workers(_STALLED_SECONDS)


@asynccontextmanager
async def open_queue(url: URL, worker: Worker) -> AsyncGenerator[SharedQueue]:
    """Open the queue of a database, which has its schema already.

    Args:
        url: The database.
        worker: Works on what is delivered here, while the queue serves.
    """
    connector = PsycopgConnector(
        conninfo=url.set(drivername="postgresql").render_as_string(hide_password=False),
        min_size=1,
        max_size=_CONNECTIONS,
        kwargs={"application_name": "mgx queue", "connect_timeout": CONNECT_SECONDS, "options": _OPTIONS},
    )
    async with App(connector=connector).open_async() as app:
        yield SharedQueue(app, worker)
