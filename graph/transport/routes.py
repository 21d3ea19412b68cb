"""The GraphQL address."""

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.transport.shared import Transport
from graph.transport.socket import SocketView
from graph.transport.view import HttpView


class GraphQLFront:
    """Serves HTTP, event streams and WebSockets on one path, and leaves all others to an application, as ASGI.

    It stands in front of that application's router, which costs as much as a small query.

    Args:
        transport: Its engine answers; its counters show what is open.
        rest: What answers elsewhere.
        path: Where, below the application's root path.
    """

    def __init__(self, transport: Transport, rest: ASGIApp, path: str = "/graphql") -> None:
        self._rest = rest
        self._path = path
        self._views: dict[str, ASGIApp] = {"http": HttpView(transport), "websocket": SocketView(transport)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        view = self._views.get(scope["type"])
        if view is not None and scope["path"] == scope.get("root_path", "") + self._path:
            await view(scope, receive, send)
        else:
            await self._rest(scope, receive, send)
