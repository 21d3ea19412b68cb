"""From the URL of a bus to what makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from broadcaster import Broadcast

from storage.bell_backend import NetworkBackend
from storage.errors import StorageError

MEMORY: Final = "memory://"


class BusUrlError(StorageError):
    """There is no bus at such a URL; the message says what to write instead, and never repeats the URL's password."""


def bus_factory(url: str) -> Callable[[], Broadcast]:
    """Return what makes a new, unconnected bus at a URL, each time it is called.

    Raises:
        BusUrlError: The URL is not one of a bus, or its driver is not installed.
    """
    scheme, separator, _ = url.partition("://")
    match scheme + separator:
        case "memory://":
            return lambda: Broadcast(url)
        case "redis://" | "rediss://":
            backend = _redis(url)
        case "postgres://" | "postgresql://":
            backend = _postgres(url)
        case _:
            raise BusUrlError(
                "MGX_BUS_URL must begin with memory://, redis://, rediss://, postgres:// or postgresql://."
            )
    return lambda: Broadcast(backend=backend())


def _redis(url: str) -> Callable[[], NetworkBackend]:
    try:
        from storage.bell_redis import RedisBackend  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise BusUrlError("A bell over Redis needs the extra `redis`: install mgx-graph[redis].") from error
    try:
        RedisBackend(url)
    except ValueError:
        raise BusUrlError("MGX_BUS_URL is not a URL of Redis; write redis://HOST:6379/0.") from None
    return lambda: RedisBackend(url)


def _postgres(url: str) -> Callable[[], NetworkBackend]:
    try:
        from storage.bell_postgres import PostgresBackend, is_url  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise BusUrlError("A bell over PostgreSQL needs the extra `postgres`: install mgx-graph[postgres].") from error
    if not is_url(url):
        raise BusUrlError("MGX_BUS_URL is not a URL of PostgreSQL; write postgresql://USER@HOST:5432/DATABASE.")
    return lambda: PostgresBackend(url)
