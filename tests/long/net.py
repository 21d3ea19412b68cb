"""How clients reach what they test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import httpx


class Front(Protocol):
    """Where there is a server to ask."""

    async def url(self) -> str:
        """Return the address of one that is up, when there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Net:
    """What a client needs."""

    front: Front
    http: httpx.AsyncClient


def new_http() -> httpx.AsyncClient:
    """Return an HTTP client for many at once, which ignores proxies that the environment names."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(limits=limits, trust_env=False)
