"""How a peer in Python is served: uvicorn on uvloop and httptools, as ours is."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


def serve(app: ASGIApp) -> None:
    """Serve on a free port, which is printed."""
    config = uvicorn.Config(
        app, port=0, loop="uvloop", http="httptools", log_level="error", access_log=False, ws_per_message_deflate=False
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


def database() -> Path:
    """Return the database that the command line names last."""
    return Path(sys.argv[-1])
