"""Connections that stay open: how many there may be, where they come from, and how they end."""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import Scope

from graph.errors import ErrorCode, RequestError
from graph.transport.tally import TransportName

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class TooManyConnectionsError(RequestError):
    """No more streams or sockets are taken, from this address or at all."""


class Connections:
    """Counts WebSockets and event streams together, in all and for each address.

    Args:
        total: How many there may be at once.
        per_address: How many of one client's address.
    """

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[TransportName] = Counter()
        self._by_address: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many are open now."""
        return self._open.total()

    @property
    def by_transport(self) -> Mapping[TransportName, int]:
        """How many are open now, for each transport that had one."""
        return self._open

    @contextmanager
    def admit(self, address: str, transport: TransportName) -> Iterator[None]:
        """Count a connection while the block runs.

        Raises:
            TooManyConnectionsError: BUSY when there are too many in all, RATE_LIMITED for the address.
        """
        if self.open >= self._total:
            raise TooManyConnectionsError(ErrorCode.BUSY, "The server has no connection left; try again later.")
        if self._by_address[address] >= self._per_address:
            message = f"Your address has {self._per_address} open connections, which is the limit."
            raise TooManyConnectionsError(ErrorCode.RATE_LIMITED, message)
        self._open[transport] += 1
        self._by_address[address] += 1
        try:
            yield
        finally:
            self._open[transport] -= 1
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class Shutdown:
    """Tells open connections that the server is going away, once."""

    def __init__(self) -> None:
        self._begun = False
        self._callbacks: dict[object, Callable[[], object]] = {}

    @property
    def begun(self) -> bool:
        """Whether the server is going away."""
        return self._begun

    def begin(self) -> None:
        """Call back everyone who asked for it; later calls do nothing."""
        if self._begun:
            return
        self._begun = True
        for callback in list(self._callbacks.values()):
            callback()

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Have a function called when the shutdown begins while the block runs, at once if it has."""
        token = object()
        self._callbacks[token] = callback
        try:
            if self._begun:
                callback()
            yield
        finally:
            del self._callbacks[token]


class Proxies:
    """Finds a client's address behind proxies that are trusted to tell it.

    Args:
        trusted: Addresses or networks, e.g. "10.0.0.0/8".

    Raises:
        ValueError: One of them is neither.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted: list[_Network] = [ipaddress.ip_network(network) for network in trusted]

    def client_address(self, scope: Scope) -> str:
        """Return the address nearest to us that is no trusted proxy.

        `X-Forwarded-For` grows to the right, so what stands left of an untrusted address may be invented.
        """
        peer = scope.get("client")
        address = peer[0] if peer else "unknown"
        if not self._trusted or not self._trusts(address):
            return address
        forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
        for hop in reversed(forwarded.split(",")):
            hop = hop.strip()  # noqa: PLW2901 - the same hop, cleaned
            if not _is_address(hop):
                return address
            address = hop
            if not self._trusts(hop):
                return hop
        return address

    def _trusts(self, address: str) -> bool:
        return _is_address(address) and any(ipaddress.ip_address(address) in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
