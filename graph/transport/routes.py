"""The routes of the GraphQL address."""

from starlette.routing import BaseRoute, Route, WebSocketRoute

from graph.transport.shared import Transport
from graph.transport.socket import SocketView
from graph.transport.view import HttpView


def graphql_routes(transport: Transport, path: str = "/graphql") -> list[BaseRoute]:
    """Serve HTTP, event streams and WebSockets on one path.

    Args:
        transport: Its engine answers; its counters show what is open.
        path: Where.
    """
    return [Route(path, HttpView(transport)), WebSocketRoute(path, SocketView(transport))]
