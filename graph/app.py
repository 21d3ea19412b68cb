"""The ASGI application: which address answers what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from domain.errors import StoreError
from domain.model import ANONYMOUS, Artifact
from graph.bootstrap import Application
from graph.graphiql import graphiql_routes
from graph.transport.origins import HostCheck
from graph.transport.routes import GraphQLFront

if TYPE_CHECKING:
    from graph.monitoring import Monitoring

# Whatever a team calls its file, a browser must not run it with our origin's rights.
_ARTIFACT_HEADERS: Final = {
    "cache-control": "private, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "x-content-type-options": "nosniff",
}


def create_app(application: Application, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Make the ASGI application of an application that is open, perhaps with more routes than it has of its own."""
    routes: list[BaseRoute] = [
        *more,
        Route("/artifacts/{artifact_id}", _artifact),
        Route("/healthz", _healthz),
        Route("/readyz", _readyz),
    ]
    if application.serves_graphiql:
        routes += graphiql_routes()
    if application.serves_metrics:
        routes.append(_metrics_route(application))
    return _checked(application, GraphQLFront(application.transport, _router(application, routes)))


def create_metrics_app(application: Application) -> ASGIApp:
    """Make the ASGI application that knows /metrics alone."""
    return _checked(application, _router(application, [_metrics_route(application)]))


def _router(application: Application, routes: Sequence[BaseRoute]) -> Starlette:
    router = Starlette(routes=routes)
    router.state.application = application
    return router


def _checked(application: Application, app: ASGIApp) -> ASGIApp:
    return app if application.hosts is None else HostCheck(app, application.hosts)


async def _healthz(_: Request) -> Response:
    """Say that the process lives."""
    return PlainTextResponse("ok\n")


async def _readyz(request: Request) -> Response:
    """Say whether the server serves: its store can be read, and it is not about to end.

    A bell that is degraded makes news of other processes late by a second, which is no reason to send clients away.
    """
    application: Application = request.app.state.application
    if application.transport.shutdown.begun:
        return JSONResponse({"status": "ending"}, status_code=503)
    try:
        async with application.services.store.read(ANONYMOUS) as tx:
            await tx.events.head()
    except StoreError as error:
        return JSONResponse({"status": "unavailable", "reason": str(error)}, status_code=503)
    return JSONResponse({"status": "ready", "bell": application.backend.bell.status.state.value})


def _metrics_route(application: Application) -> Route:
    @cache
    def monitoring() -> Monitoring:
        # Prometheus' library takes a tenth of a start to import, and many a server is never asked.
        from graph.monitoring import Monitored, Monitoring  # noqa: PLC0415

        return Monitoring(
            Monitored(
                store=application.backend.store,
                feed=application.services.feed,
                bell=application.backend.bell,
                crew=application.backend.engine.crew,
                transport=application.transport,
                clock=application.services.clock,
            )
        )

    async def metrics(request: Request) -> Response:
        """Answer Prometheus."""
        body, media_type = await monitoring().exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})

    return Route("/metrics", metrics)


async def _artifact(request: Request) -> Response:
    """Send an artifact's bytes; its content never changes, so its SHA-256 is its ETag."""
    application: Application = request.app.state.application
    artifact_id = request.path_params["artifact_id"]
    try:
        async with application.services.store.read(ANONYMOUS) as tx:
            artifact = (await tx.runs.artifacts([artifact_id])).get(artifact_id)
    except StoreError:
        return PlainTextResponse("The database can't be read now; try again.\n", status_code=503)
    if artifact is None:
        return PlainTextResponse("There is no such artifact.\n", status_code=404)
    headers = {
        **_ARTIFACT_HEADERS,
        "content-type": artifact.media_type,
        "etag": f'"{artifact.sha256}"',
    }
    if _knows(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    headers["content-length"] = str(artifact.size)
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(_content(application, artifact), headers=headers)


def _knows(if_none_match: str, etag: str) -> bool:
    """Compare as RFC 9110 §13.1.2 says: with any of a list, whether it is marked as weak or not, and `*` is any."""
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return not known.isdisjoint({etag, "*"})


async def _content(application: Application, artifact: Artifact) -> AsyncIterator[bytes]:
    async with application.services.store.read(ANONYMOUS) as tx:
        async for chunk in tx.runs.content(artifact):
            yield chunk
