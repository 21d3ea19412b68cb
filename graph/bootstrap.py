"""The composition root: settings in, a running application out; `graph.backend` is its lower half."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from domain.events import Event
from domain.feed import Feed
from domain.model import ANONYMOUS
from domain.retention import Retention
from domain.services.metrics import MetricService
from domain.services.runs import RunService
from domain.services.tasks import TaskService
from domain.tracing import Tracer
from graph.backend import Backend, open_backend
from graph.context import Context, Services
from graph.execution.engine import Engine, EngineOptions
from graph.execution.limits import Limits
from graph.schema import build_schema
from graph.settings import Settings
from graph.transport.connections import Shutdown
from graph.transport.origins import LOOPBACK_HOSTS
from graph.transport.shared import RequestInfo, Transport, TransportOptions
from graph.trusted import trust_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """An application that is open.

    Attributes:
        transport: Answers GraphQL; its `shutdown` ends open connections.
        backend: What answers and works: the store, the bell, the engine.
        serves_metrics: Whether Prometheus may ask.
        hosts: Names under which the server may be reached; None allows any.
    """

    settings: Settings
    services: Services
    transport: Transport
    backend: Backend
    serves_graphiql: bool
    serves_metrics: bool
    hosts: frozenset[str] | None


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncGenerator[Application]:
    """Open everything that the settings ask for, and close it again in reverse order.

    Raises:
        ManifestError: The manifest of trusted documents can't be used.
        TeamSetupError: A team can't be registered.
        StorageError: The database can't be opened, or the bus of the bell is none that we know.
    """
    engine = _engine(settings)
    async with AsyncExitStack() as stack:

        def publish(events: Sequence[Event]) -> None:
            feed.publish(events)

        backend = await stack.enter_async_context(
            open_backend(settings, publish, slots=settings.own_slots, shared=not settings.own_slots)
        )
        feed = Feed(backend.store, backend.bell, backend.clock)
        await stack.enter_async_context(feed.serve())
        if settings.own_slots:
            await stack.enter_async_context(backend.engine.serve(backend.work, backend.executor))
        if settings.event_retention is not None:
            await stack.enter_async_context(Retention(backend.store, settings.event_retention).serve())
        services = _services(settings, backend, feed, lambda: transport.connections.open)
        transport = _transport(settings, engine, services, backend.tracer)
        yield Application(
            settings=settings,
            services=services,
            transport=transport,
            backend=backend,
            serves_graphiql=settings.serves_graphiql,
            serves_metrics=settings.serves_metrics,
            hosts=_hosts(settings),
        )


def _services(settings: Settings, backend: Backend, feed: Feed, connections: Callable[[], int]) -> Services:
    store, teams, ids, grace = backend.store, backend.teams, backend.ids, timedelta(seconds=settings.cancel_grace)
    return Services(
        tasks=TaskService(store, backend.engine, teams, ids, default_team=settings.default_team),
        runs=RunService(store, backend.changes, teams, ids, cancel_grace=grace),
        metrics=MetricService(store, backend.changes, ids),
        teams=teams,
        store=store,
        feed=feed,
        clock=backend.clock,
        bell=backend.bell,
        instance=backend.instance,
        connections=connections,
        root_path=settings.root_path,
    )


def _engine(settings: Settings) -> Engine:
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
            trusted_only=settings.trusted_documents_only,
        ),
    )
    if settings.trusted_documents is not None:
        trust_documents(engine.documents, settings.trusted_documents)
    return engine


def _transport(settings: Settings, engine: Engine, services: Services, tracer: Tracer) -> Transport:
    async def make_context(info: RequestInfo) -> Context:
        return Context(services=services, principal=ANONYMOUS, request_id=info.request_id)

    options = TransportOptions(
        init_timeout=settings.init_timeout,
        heartbeat=settings.heartbeat,
        connections=settings.max_connections,
        connections_per_address=settings.max_connections_per_address,
        allowed_origins=frozenset(settings.allowed_origins),
        trusted_proxies=settings.trusted_proxies,
    )
    return Transport(engine, make_context, Shutdown(), options, tracer=tracer)


def _hosts(settings: Settings) -> frozenset[str] | None:
    """Return the names under which we answer: on loopback this keeps rebound foreign names out."""
    if settings.is_loopback:
        return LOOPBACK_HOSTS | frozenset(settings.allowed_hosts)
    return frozenset(settings.allowed_hosts) or None
