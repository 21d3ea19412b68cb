"""The composition root: settings in, a running application out. Nothing else imports an adapter."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from domain.events import Event
from domain.executor import Executor
from domain.feed import Feed
from domain.ids import IdFactory
from domain.model import ANONYMOUS
from domain.ports import Bell
from domain.runner import Runner
from domain.services.changes import RunChanges
from domain.services.metrics import MetricService
from domain.services.runs import RunService
from domain.services.tasks import TaskService
from domain.services.work import WorkService
from domain.timed_store import TimedStore
from graph.clock import SystemClock
from graph.context import Context, Services
from graph.execution.engine import Engine, EngineOptions
from graph.execution.limits import Limits
from graph.schema import build_schema
from graph.settings import Settings
from graph.transport.connections import Shutdown
from graph.transport.origins import LOOPBACK_HOSTS
from graph.transport.shared import RequestInfo, Transport, TransportOptions
from storage.bell import open_bell
from storage.postgres import PostgresSettings
from storage.store import SqliteSettings, open_store
from teams.registry import Registry, parse_teams


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application that is open.

    Attributes:
        transport: Answers GraphQL; its `shutdown` ends open connections.
        bell: Tells other processes of news; its `status` says whether they hear.
        store: Where everything is kept, timed.
        runner: Works on runs.
        serves_metrics: Whether Prometheus may ask.
        hosts: Names under which the server may be reached; None allows any.
    """

    settings: Settings
    services: Services
    transport: Transport
    bell: Bell
    store: TimedStore
    runner: Runner
    serves_graphiql: bool
    serves_metrics: bool
    hosts: frozenset[str] | None


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncGenerator[Application]:
    """Open everything that the settings ask for, and close it again in reverse order.

    Raises:
        TeamSetupError: A team can't be registered.
        StorageError: The database can't be opened, or the bus of the bell is none that we know.
    """
    clock, ids = SystemClock(), IdFactory()
    teams = Registry(
        parse_teams(settings.teams),
        playbooks=settings.playbooks,
        default_playbook=settings.default_playbook,
        environment=os.environ,
    )
    instance = f"mgx-{secrets.token_hex(4)}"
    runner = Runner(slots=settings.max_concurrent_runs)
    async with AsyncExitStack() as stack:
        bell = await stack.enter_async_context(open_bell(settings.bus_url))

        def deliver(events: Sequence[Event]) -> None:
            feed.publish(events)
            bell.ring(events[-1].pos)

        store = TimedStore(
            await stack.enter_async_context(
                open_store(
                    settings.database_url,
                    clock=clock,
                    on_commit=deliver,
                    settings=SqliteSettings(synchronous=settings.database_synchronous),
                    postgres=PostgresSettings(pool_size=settings.database_pool_size),
                )
            )
        )
        feed = Feed(store, bell, clock)
        changes = RunChanges(runner)
        await stack.enter_async_context(feed.serve())
        work = WorkService(store, changes)
        executor = Executor(
            work,
            teams,
            ids,
            clock,
            owner=instance,
            stop_grace=timedelta(seconds=settings.cancel_grace),
            silence=timedelta(seconds=settings.team_timeout),
            max_artifact_bytes=settings.max_artifact_bytes,
            max_run_artifact_bytes=settings.max_run_artifact_bytes,
        )
        await stack.enter_async_context(runner.serve(work, executor))
        services = Services(
            tasks=TaskService(store, runner, teams, ids, default_team=settings.default_team),
            runs=RunService(store, changes, teams, ids, cancel_grace=timedelta(seconds=settings.cancel_grace)),
            metrics=MetricService(store, changes, ids),
            teams=teams,
            store=store,
            feed=feed,
            clock=clock,
            bell=bell,
            instance=instance,
            connections=lambda: transport.connections.open,
            root_path=settings.root_path,
        )
        transport = _transport(settings, services)
        yield Application(
            settings=settings,
            services=services,
            transport=transport,
            bell=bell,
            store=store,
            runner=runner,
            serves_graphiql=settings.serves_graphiql,
            serves_metrics=settings.serves_metrics,
            hosts=_hosts(settings),
        )


def _transport(settings: Settings, services: Services) -> Transport:
    async def make_context(info: RequestInfo) -> Context:
        return Context(services=services, principal=ANONYMOUS, request_id=info.request_id)

    limits = Limits(
        tokens=settings.max_tokens,
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        cost=settings.max_cost,
        body_bytes=settings.max_body_bytes,
        message_bytes=settings.max_message_bytes,
        operations=settings.max_operations_per_socket,
    )
    engine = Engine(
        build_schema(),
        EngineOptions(
            limits=limits,
            introspection=settings.is_open if settings.introspection is None else settings.introspection,
            suggestions=settings.is_open if settings.suggestions is None else settings.suggestions,
            query_timeout=settings.query_timeout,
        ),
    )
    options = TransportOptions(
        init_timeout=settings.init_timeout,
        heartbeat=settings.heartbeat,
        connections=settings.max_connections,
        connections_per_address=settings.max_connections_per_address,
        allowed_origins=frozenset(settings.allowed_origins),
        trusted_proxies=settings.trusted_proxies,
    )
    return Transport(engine, make_context, Shutdown(), options)


def _hosts(settings: Settings) -> frozenset[str] | None:
    """Return the names under which we answer: on loopback this keeps rebound foreign names out."""
    if settings.is_loopback:
        return LOOPBACK_HOSTS | frozenset(settings.allowed_hosts)
    return frozenset(settings.allowed_hosts) or None
