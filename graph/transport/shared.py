"""What the HTTP, event stream and WebSocket transports share."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from random import getrandbits
from types import MappingProxyType
from typing import TypeAlias

from starlette.types import Scope

from domain.tracing import NO_TRACER, Tracer
from graph.errors import RequestError, internal
from graph.execution.engine import Answer, Engine, Failure, Operation, Request
from graph.fanout.groups import Fanout
from graph.fanout.member import Sink
from graph.transport.connections import Connections, Proxies, Shutdown
from graph.transport.headers import headers_of, text_of
from graph.transport.origins import Origins
from graph.transport.tally import OK, Counting, Tally, TransportName
from graph.transport.tracing import traced


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """Where an operation came from.

    Attributes:
        request_id: Names the request in `x-request-id`, `extensions.requestId` and the log.
        kind: The transport.
        address: The client's, behind trusted proxies.
        raw_headers: Of the HTTP request or the WebSocket's handshake, by their names in lower case.
        connection_params: Payload of `connection_init`, empty elsewhere.
    """

    request_id: str
    kind: TransportName
    address: str
    raw_headers: Mapping[bytes, bytes]
    connection_params: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers' text, by their names in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.raw_headers.items()}

    @property
    def traceparent(self) -> str | None:
        """The client's place in a trace, as it came: of the payload of `connection_init`, or else the header's."""
        given = self.connection_params.get("traceparent")
        return given if isinstance(given, str) else text_of(self.raw_headers, b"traceparent")


ContextFactory: TypeAlias = Callable[[RequestInfo], Awaitable[object]]
"""Makes the context of one operation; a `RequestError` refuses the operation."""

Authorizer: TypeAlias = Callable[[RequestInfo], Awaitable[None]]
"""Checks who opens a WebSocket; a `RequestError` closes it with 4403."""


async def everybody(_info: RequestInfo) -> None:
    """Authorize without looking: the server has no authentication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Times in seconds and bounds of the connections.

    Attributes:
        init_timeout: From a WebSocket's handshake to its `connection_init`.
        heartbeat: Silence of ours after which a `ping` or an SSE comment is sent.
        silence: Silence of the client after a `ping` before its socket is closed.
        send_timeout: How long a client may take nothing of what is sent to it.
        close_timeout: How long a close message may take, and the client to close its side.
        body_timeout: How long a request's body may take.
        connections: Sockets and streams at once.
        connections_per_address: The same for one client's address.
        allowed_origins: Exact origins of web pages, besides our own.
        trusted_proxies: Addresses and networks whose `X-Forwarded-For` counts.
    """

    init_timeout: float = 10.0
    heartbeat: float = 15.0
    silence: float = 30.0
    send_timeout: float = 30.0
    close_timeout: float = 5.0
    body_timeout: float = 30.0
    connections: int = 10_000
    connections_per_address: int = 300
    allowed_origins: frozenset[str] = frozenset()
    trusted_proxies: tuple[str, ...] = ()


class Transport:
    """Runs operations for the transports and keeps count of their connections.

    Args:
        engine: Executes.
        make_context: Called once for each operation.
        shutdown: Begun by the application when the server stops.
        options: See there.
        authorize: Called once for each WebSocket, with the payload of its `connection_init`.
        tracer: Where operations are traced.

    Raises:
        ValueError: An allowed origin or a trusted proxy is malformed.
    """

    def __init__(
        self,
        engine: Engine,
        make_context: ContextFactory,
        shutdown: Shutdown,
        options: TransportOptions | None = None,
        authorize: Authorizer = everybody,
        *,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.engine = engine
        self.fanout = Fanout(engine)
        self.shutdown = shutdown
        self.options = options or TransportOptions()
        self.authorize = authorize
        self.origins = Origins(self.options.allowed_origins)
        self.proxies = Proxies(self.options.trusted_proxies)
        self.connections = Connections(self.options.connections, self.options.connections_per_address)
        self.tally = Tally()
        self._make_context = make_context
        self._tracer = tracer

    def describe(
        self,
        scope: Scope,
        kind: TransportName,
        request_id: str,
        connection_params: Mapping[str, object] = MappingProxyType({}),
    ) -> RequestInfo:
        """Collect what an operation's context can be made from."""
        return RequestInfo(
            request_id=request_id,
            kind=kind,
            address=self.proxies.client_address(scope),
            raw_headers=headers_of(scope),
            connection_params=connection_params,
        )

    def prepare(self, request: Request, kind: TransportName) -> Operation | Failure:
        """Make an operation of a request, or say why not; see `Engine.prepare`."""
        prepared = self.engine.prepare(request)
        if isinstance(prepared, Failure):
            self.tally.refused(kind, prepared)
        return prepared

    async def execute(self, operation: Operation, info: RequestInfo) -> Answer:
        """Execute a query or mutation in a context of its own."""
        with self._counting(operation, info) as counting:
            try:
                context = await self._make_context(info)
            except Exception as error:
                answer: Answer = _refusal(error, info)
            else:
                answer = await self.engine.execute(operation, context)
            counting.answered(answer)
            return answer

    async def follow(self, operation: Operation, info: RequestInfo, sink: Sink) -> Failure | None:
        """Follow a subscription in a context of its own; see `graph.fanout.groups.Fanout.follow`."""
        with self._counting(operation, info) as counting:
            try:
                context = await self._make_context(info)
            except Exception as error:
                failure: Failure | None = _refusal(error, info)
            else:
                failure = await self.fanout.follow(operation, context, sink)
            if failure is None:
                counting.outcome = OK
            else:
                counting.answered(failure)
            return failure

    def _counting(self, operation: Operation, info: RequestInfo) -> AbstractContextManager[Counting]:
        """Count and trace an operation whose execution the block is."""
        counting = Counting(self.tally, info.kind, operation.type)
        return counting if self._tracer is NO_TRACER else self._traced(operation, info, counting)

    @contextmanager
    def _traced(self, operation: Operation, info: RequestInfo, counting: Counting) -> Iterator[Counting]:
        with counting, traced(self._tracer, operation, counting, transport=info.kind, parent=info.traceparent):
            yield counting


def new_request_id() -> str:
    """Make an id that no other request has."""
    return f"{getrandbits(128):032x}"  # a name, no secret


def _refusal(error: Exception, info: RequestInfo) -> Failure:
    return Failure([error.formatted if isinstance(error, RequestError) else internal(error, info.request_id)])
