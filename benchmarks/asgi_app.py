"""The product behind any ASGI server that knows lifespans, with what `benchmarks.fanout_server` adds.

It opens when the server starts it, prints the address that `MGX_HOST` and `MGX_PORT` say, and closes when the server
ends.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.fanout_server import publishing
from graph.bootstrap import open_application
from graph.settings import Settings

_OPEN: list[ASGIApp] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        await _OPEN[0](scope, receive, send)
        return
    await receive()
    settings = Settings()
    async with open_application(settings) as application:
        _OPEN.append(publishing(application))
        await send({"type": "lifespan.startup.complete"})
        print(f"http://{settings.host}:{settings.port}", flush=True)
        await receive()
        application.transport.shutdown.begin()
    _OPEN.clear()
    await send({"type": "lifespan.shutdown.complete"})
