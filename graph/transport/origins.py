"""Which web pages may talk to the server: CORS, the WebSocket's Origin check, and the Host check.

A browser names the page's origin in `Origin` and sends requests to any server, also one that listens
on the user's own machine; so the server has to refuse. Programs that are no browser send no `Origin`
and are not restricted.
"""

import logging
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from graph.transport.headers import Header, headers_of, text_of
from graph.transport.responses import refuse

_log = logging.getLogger(__name__)

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_HEADER_LIST: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:\s*,\s*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_PREFLIGHT_SECONDS: Final = b"600"

_REMEMBERED: Final = 64
"""Hosts that were asked for; nearly all requests have the same."""


class Origins:
    """Decides about the `Origin` of requests.

    Args:
        allowed: Exact origins such as "https://app.example:8443"; the server's own needs no entry.

    Raises:
        ValueError: One of them is no origin.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(_checked(origin) for origin in allowed)

    def allows(self, scope: Scope) -> bool:
        """Tell whether a request's page may talk to us; a refusal is logged."""
        headers = headers_of(scope)
        origin = text_of(headers, b"origin")
        if origin is None or origin.lower() in self._allowed or _same(origin, text_of(headers, b"host") or ""):
            return True
        _log.warning(
            "Refused origin %r on %s; list it in the allowed origins if that page is yours",
            origin[:200],
            scope["path"],
        )
        return False

    def response_headers(self, scope: Scope) -> list[Header]:
        """Return the CORS headers of a response to a request that `allows`."""
        origin = headers_of(scope).get(b"origin")
        if origin is None or origin.decode("latin-1").lower() not in self._allowed:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"x-request-id"),
        ]

    def preflight_headers(self, scope: Scope) -> list[Header]:
        """Return what the answer to a preflight has besides."""
        if not self.response_headers(scope):
            return []
        granted = [(b"access-control-allow-methods", b"GET, POST"), (b"access-control-max-age", _PREFLIGHT_SECONDS)]
        asked = (text_of(headers_of(scope), b"access-control-request-headers") or "").strip()
        if _HEADER_LIST.fullmatch(asked):
            granted.append((b"access-control-allow-headers", asked.encode("latin-1")))
        return granted


class HostCheck:
    """Refuses requests whose `Host` is not one of ours, as ASGI middleware.

    A page of evil.example may point that name at 127.0.0.1 (DNS rebinding); its requests have the
    same origin then, and only the Host header tells.

    Args:
        app: What is protected.
        hosts: Names and addresses without port.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOOPBACK_HOSTS) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._knows = lru_cache(_REMEMBERED)(self._look)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or answer it with 403."""
        if scope["type"] in {"http", "websocket"}:
            given = headers_of(scope).get(b"host", b"")
            if not self._knows(given):
                host = given.decode("latin-1")
                _log.warning("Refused host %r on %s", host[:200], scope["path"])
                await refuse(scope, send, 403, f"This server does not answer to the host {host[:200]!r}.")
                return
        await self._app(scope, receive, send)

    def _look(self, host: bytes) -> bool:
        return _netloc(f"//{host.decode('latin-1')}", "http")[0] in self._hosts


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query:
        raise ValueError(f"{origin!r} is no origin; write scheme://host or scheme://host:port.")
    return origin.lower()


def _same(origin: str, host: str) -> bool:
    """Compare host and port only: behind a proxy that ends TLS, the scheme is not ours."""
    scheme = origin.partition("://")[0]
    return scheme in _DEFAULT_PORTS and _netloc(origin, scheme) == _netloc(f"//{host}", scheme)


def _netloc(url: str, scheme: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or _DEFAULT_PORTS[scheme]
    except ValueError:
        return None, None
