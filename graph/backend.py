"""What servers and workers have in common: the store, the bell, and what works on runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from domain.crew import WorkEngine
from domain.events import Event
from domain.executor import Executor
from domain.ids import IdFactory
from domain.ports import Bell
from domain.runner import Runner
from domain.services.changes import RunChanges
from domain.services.work import WorkService
from domain.timed_store import TimedStore
from domain.tracing import Tracer
from domain.worker import Worker
from graph.clock import SystemClock
from graph.settings import Settings
from graph.tracing import open_tracer
from storage.bell import open_bell
from storage.errors import StorageError
from storage.postgres import PostgresSettings
from storage.postgres_schema import postgres_url
from storage.store import SqliteSettings, open_store
from teams.registry import Registry, parse_teams


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What is open.

    Attributes:
        instance: Name of this process, new at each start.
        store: Where everything is kept, timed.
        bell: Tells other processes of news; its `status` says whether they hear.
        engine: Where runs are submitted, and what works on them here.
        tracer: Where spans are told.
    """

    instance: str
    clock: SystemClock
    ids: IdFactory
    teams: Registry
    store: TimedStore
    bell: Bell
    engine: WorkEngine
    changes: RunChanges
    work: WorkService
    executor: Executor
    tracer: Tracer


@asynccontextmanager
async def open_backend(
    settings: Settings,
    on_commit: Callable[[Sequence[Event]], None],
    *,
    slots: int,
    teams: Collection[str] | None = None,
    shared: bool = False,
) -> AsyncGenerator[Backend]:
    """Open the store, the bell and the engine, which does not work yet; close them in reverse order.

    Args:
        settings: What the operator wants.
        on_commit: Called with events in the order of the log, before the bell is rung.
        slots: Runs worked on at once.
        teams: Names of the teams whose runs are worked on here; None is all.
        shared: Whether others must be able to work on the same runs.

    Raises:
        TeamSetupError: A team can't be registered.
        StorageError: The database can't be opened or has no use for workers, or the bus of the bell is none we know.
    """
    url = postgres_url(settings.database_url)
    if shared and url is None:
        raise StorageError("On SQLite the server does all the work; workers need a database in PostgreSQL.")
    clock, ids = SystemClock(), IdFactory()
    registry = Registry(
        parse_teams(settings.teams),
        playbooks=settings.playbooks,
        default_playbook=settings.default_playbook,
        environment=os.environ,
    )
    instance = f"mgx-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        tracer = await stack.enter_async_context(open_tracer(settings.traces, instance=instance))
        bell = await stack.enter_async_context(open_bell(settings.bell_url))

        def deliver(events: Sequence[Event]) -> None:
            on_commit(events)
            bell.ring(events[-1].pos)

        store = await stack.enter_async_context(
            open_store(
                settings.database_url,
                clock=clock,
                on_commit=deliver,
                settings=SqliteSettings(synchronous=settings.database_synchronous),
                postgres=PostgresSettings(pool_size=settings.database_pool_size),
            )
        )
        timed = TimedStore(store)
        lease = timedelta(seconds=settings.lease) if url else None
        engine = await stack.enter_async_context(_open_engine(settings, slots, teams))
        changes = RunChanges(engine, tracer)
        work = WorkService(timed, changes)
        executor = Executor(
            work,
            registry,
            ids,
            clock,
            owner=instance,
            lease=lease,
            stop_grace=timedelta(seconds=settings.cancel_grace),
            silence=timedelta(seconds=settings.team_timeout),
            max_artifact_bytes=settings.max_artifact_bytes,
            max_run_artifact_bytes=settings.max_run_artifact_bytes,
            tracer=tracer,
        )
        yield Backend(
            instance=instance,
            clock=clock,
            ids=ids,
            teams=registry,
            store=timed,
            bell=bell,
            engine=engine,
            changes=changes,
            work=work,
            executor=executor,
            tracer=tracer,
        )


@asynccontextmanager
async def _open_engine(settings: Settings, slots: int, teams: Collection[str] | None) -> AsyncGenerator[WorkEngine]:
    """Open what works on runs: on SQLite this process alone, on PostgreSQL one of many."""
    url = postgres_url(settings.database_url)
    if url is None:
        yield Runner(slots=slots, grace=settings.shutdown_grace)
        return
    from storage.queue import open_queue  # noqa: PLC0415  # procrastinate is needed here alone

    lease = timedelta(seconds=settings.lease)
    async with open_queue(url, Worker(slots=slots, lease=lease, grace=settings.shutdown_grace, teams=teams)) as queue:
        yield queue
