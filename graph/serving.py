"""Serving over HTTP: from settings to a socket, and an orderly end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from graph.app import create_app
from graph.bootstrap import Application, open_application
from graph.server import HttpProtocol, SocketProtocol
from graph.settings import Settings

_SHUTDOWN_SECONDS = 5


class _Server(uvicorn.Server):
    """Tells open streams and sockets of the end before uvicorn waits for them."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: sockets get 1012, streams stop, then connections close."""
        self._application.transport.shutdown.begin()
        await super().shutdown(sockets)


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: What to serve, and where.
        announce: Called once with our address, such as http://127.0.0.1:8000, when requests are answered.

    Raises:
        OSError: The address can't be listened on.
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
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
