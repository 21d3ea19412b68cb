"""Serving over HTTP: from settings to a socket, and an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import uvicorn

from graph.app import create_app
from graph.bootstrap import Application, open_application
from graph.settings import Settings
from graph.transport.server import HttpProtocol, SocketProtocol

_SHUTDOWN_SECONDS = 5


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


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: What to serve, and where.
        announce: Called once with our address, such as http://127.0.0.1:8000, when requests are answered.

    Raises:
        ListenError: See there.
        TeamSetupError, StorageError: See `graph.bootstrap.open_application`.
    """
    listener = _listen(settings.host, settings.port)
    try:
        async with open_application(settings) as application:
            config = uvicorn.Config(
                create_app(application),
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
            )
            server = _Server(config, application)
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            announce(f"http://{host}:{listener.getsockname()[1]}{settings.root_path}")
            await server.serve(sockets=[listener])
    finally:
        listener.close()


def _listen(host: str, port: int) -> socket.socket:
    """Open the socket first: a port that is taken must not cost a migration."""
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
