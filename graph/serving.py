"""Serving over HTTP: from settings to a socket, and an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.app import create_app, create_metrics_app
from graph.bootstrap import Application, open_application
from graph.settings import Settings
from graph.transport.server import HttpProtocol, SocketProtocol

_SHUTDOWN_SECONDS = 5

_KEEP_ALIVE_SECONDS = 75
"""Of an idle connection; longer than proxies keep theirs (60 s), so that none sends a request on one that just ends."""


class ListenError(Exception):
    """The address can't be listened on; the message is one sentence that says why."""


class _Server(uvicorn.Server):
    """Tells open streams and sockets of the end before uvicorn waits for them."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: sockets get 1012, streams stop, then connections close; no step begins any more."""
        self._application.backend.engine.crew.drain()
        self._application.transport.shutdown.begin()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take a signal for the wish to end; uvicorn would raise it again, in the midst of closing the application."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that are listened on.

    Attributes:
        api: Where clients come; processes may share it.
        metrics: Where Prometheus asks this process, if that is a port of its own.
    """

    api: socket.socket
    metrics: socket.socket | None


@contextmanager
def listeners(settings: Settings) -> Generator[list[Listeners]]:
    """Listen for each process that is to serve while the block runs, before anything else is done.

    A port that is taken must not cost a migration.

    Raises:
        ListenError: See there.
    """
    with ExitStack() as stack:

        def listen(port: int) -> socket.socket:
            return stack.enter_context(_listen(settings.host, port))

        api, first = listen(settings.port), settings.metrics_port
        yield [Listeners(api, None if first is None else listen(first + n)) for n in range(settings.processes)]


async def serve(settings: Settings, where: Listeners, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: What to serve.
        where: The sockets, which the caller closes.
        announce: Called once with our address, such as http://127.0.0.1:8000, when requests are answered.

    Raises:
        ManifestError, TeamSetupError, StorageError: See `graph.bootstrap.open_application`.
    """
    async with open_application(settings) as application:
        await serve_app(application, create_app(application), where, announce)


async def serve_app(application: Application, app: ASGIApp, where: Listeners, announce: Callable[[str], None]) -> None:
    """Serve an application that is open, by an ASGI application that was made of it; as `serve`."""
    settings, sockets = application.settings, [where.api]
    if where.metrics is not None:
        app = _by_port(where.metrics.getsockname()[1], create_metrics_app(application), app)
        sockets.append(where.metrics)
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=SocketProtocol,
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        root_path=settings.root_path,
        proxy_headers=False,
        ws_max_size=settings.max_message_bytes,
        ws_per_message_deflate=False,
        # We ping with messages; a frame that a stalled reader can't answer would close with 1011, not 1013.
        ws_ping_interval=None,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    announce(f"http://{host}:{where.api.getsockname()[1]}{settings.root_path}")
    await _Server(config, application).serve(sockets=sockets)


def _by_port(port: int, there: ASGIApp, elsewhere: ASGIApp) -> ASGIApp:
    """Serve one application at a port, and another one at all others."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        app = there if scope["server"][1] == port else elsewhere
        await app(scope, receive, send)

    return dispatch


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
            stack.pop_all()
            return listener
    except OSError as error:
        raise ListenError(f"Can't listen on {host}, port {port}: {error.strerror or error}.") from error
