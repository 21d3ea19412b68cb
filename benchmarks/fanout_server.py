"""The product with one address more: `POST /publish?run=ID&count=N` has N events of a run committed together.

Run by `benchmarks.fanout`. With `--plain` frames go through the ASGI interface, as on a server that is not ours.
"""

from __future__ import annotations

import sys
import time

import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from domain import commands as c
from domain.lifecycle import decide_all
from domain.model import ENGINE
from graph import serving
from graph.app import create_app
from graph.bootstrap import Application, open_application
from graph.serving import Listeners, listeners, serve_app
from graph.settings import Settings
from graph.transport.outlet import WIRE_EXTENSION
from graph.transport.server import SocketProtocol

_SAMPLE = c.RecordMetrics(metrics=())


async def _publish(request: Request) -> JSONResponse:
    application: Application = request.app.state.application
    run_id, count = request.query_params["run"], int(request.query_params["count"])
    async with application.services.store.write(ENGINE) as tx:
        before = await tx.runs.lock(run_id)
        assert before is not None
        transition = decide_all(before, [_SAMPLE] * count, await tx.now())
        await application.backend.changes.save(tx, before, transition)
        at = time.monotonic()
    return JSONResponse({"at": at})


def publishing(application: Application) -> ASGIApp:
    """Return the product's application with the address more."""
    return create_app(application, [Route("/publish", _publish, methods=["POST"])])


async def _serve(settings: Settings, where: Listeners) -> None:
    async with open_application(settings) as application:
        await serve_app(application, publishing(application), where, lambda address: print(address, flush=True))


class _Plain(SocketProtocol):
    async def run_asgi(self) -> None:
        """Take back what our protocol offers beyond ASGI."""
        self.config.ws_per_message_deflate = True
        self.scope["extensions"] = {}
        await super().run_asgi()
        assert WIRE_EXTENSION not in self.scope["extensions"]


def main() -> None:
    if "--plain" in sys.argv:
        vars(serving)["SocketProtocol"] = _Plain
    settings = Settings()
    with listeners(settings) as places:
        uvloop.run(_serve(settings, places[0]))


if __name__ == "__main__":
    main()
