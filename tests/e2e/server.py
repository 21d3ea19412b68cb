"""The composed application on a free port, in the test's own process and loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from graph.app import create_app
from graph.bootstrap import Application, open_application
from graph.settings import Settings
from graph.transport.server import HttpProtocol, SocketProtocol
from tests.e2e.client import PATIENCE, Api


@dataclass(frozen=True)
class Served:
    """A running server: its API, and its inside for tests that count or break something there."""

    api: Api
    application: Application


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[Served]:
    """Serve while the block runs.

    Args:
        folder: Where the database is.
        **settings: As in `graph.settings.Settings`; the environment has no say.
    """
    given = {"database_url": f"sqlite+aiosqlite:///{folder / 'mgx.db'}", "port": 0, **settings}
    async with open_application(Settings.model_validate(given)) as application:
        config = uvicorn.Config(
            create_app(application),
            port=0,
            http=HttpProtocol,
            ws=SocketProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=5,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            async with httpx.AsyncClient(timeout=PATIENCE) as http:
                yield Served(Api(http, base), application)
        finally:
            application.transport.shutdown.begin()
            await server.shutdown()
