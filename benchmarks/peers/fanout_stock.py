"""Stock Strawberry with broadcaster in memory: what its documentation leads to.

https://strawberry.rocks/docs/general/subscriptions, https://github.com/encode/broadcaster
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
from broadcaster import Broadcast
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL

from benchmarks.peers.event import event
from benchmarks.peers.serving import serve

BUS = Broadcast("memory://")


@strawberry.type
class RunEvent:
    id: strawberry.ID
    cursor: str
    type: str
    timestamp: str
    message: str
    run_id: strawberry.ID
    sequence: int
    status: str


@strawberry.type
class Query:
    @strawberry.field
    def ready(self) -> bool:
        return True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def run_events(self, run_id: strawberry.ID) -> AsyncGenerator[RunEvent, None]:
        async with BUS.subscribe(channel=run_id) as subscriber:
            while True:
                yield RunEvent(**json.loads((await subscriber.get()).message))


async def publish(request: Request) -> JSONResponse:
    run_id, count = request.query_params["run"], int(request.query_params["count"])
    at = time.monotonic()
    for _ in range(count):
        await BUS.publish(channel=run_id, message=json.dumps(event(run_id, snake=True)))
    return JSONResponse({"at": at})


def main() -> None:
    graphql = GraphQL(strawberry.Schema(query=Query, subscription=Subscription))
    routes = [
        Route("/publish", publish, methods=["POST"]),
        Route("/graphql", graphql),
        WebSocketRoute("/graphql", graphql),
    ]
    serve(Starlette(routes=routes, lifespan=_bus))


@asynccontextmanager
async def _bus(_: Starlette) -> AsyncGenerator[None]:
    async with BUS:
        yield


if __name__ == "__main__":
    main()
