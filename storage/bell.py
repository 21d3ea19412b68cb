"""The bell behind broadcaster: says that the log has grown, and never carries what it grew by.

One supervisor in each process has one subscription to one constant topic. It sends one message at a time and waits
until it hears that message itself; in silence it sends a ping. A message that does not come back, or a connection that
breaks, ends the bus: a new one is built, with growing waits, for as long as it takes. Rings that come meanwhile become
one, since only the newest place counts. Nothing of this is ever felt by those who ring.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from broadcaster import Broadcast, Event

from domain.background import background
from domain.ports import BellState, BellStatus
from storage.bell_backend import TOPIC, ConnectionLost, describe
from storage.bell_bus import MEMORY, bus_factory
from storage.bell_message import Kind, Message

logger = logging.getLogger(__name__)


class BusSilentError(Exception):
    """The bus does not bring our messages back, or its connection is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BellTimings:
    """How patient a bell is, in seconds.

    Attributes:
        ping: Silence after which a ping goes through the bus.
        patience: How long the bus may take to connect, to bring a message back, or to close.
        backoff: Wait before the bus is built anew; doubles with each failure.
        backoff_limit: What it doubles to at most.
        rest: Pause after a ring, in which further ones become one.
    """

    ping: float = 2.0
    patience: float = 2.0
    backoff: float = 0.05
    backoff_limit: float = 1.0
    rest: float = 0.0


DEFAULT_TIMINGS: Final = BellTimings()

ALONE: Final = BellTimings(rest=0.05)
"""Of a bus that only this process hears, whose feed is handed what is committed here: no ring is urgent there, and one
for each commit would cost a tenth of it."""


class BroadcastBell:
    """Implements `domain.ports.Bell`; made by `open_bell`."""

    def __init__(self, make_bus: Callable[[], Broadcast], timings: BellTimings) -> None:
        self._make_bus = make_bus
        self._timings = timings
        self._name = secrets.token_hex(8)
        self._status = BellStatus(state=BellState.DEGRADED, since=datetime.now(UTC), rebuilds=0)
        self._settled = asyncio.Event()
        self._listeners: set[_Listener] = set()
        self._pos = 0
        self._rung = asyncio.Event()
        self._number = 0
        self._echo = asyncio.Event()

    @property
    def status(self) -> BellStatus:
        """How the bell is now."""
        return self._status

    def ring(self, pos: int, /) -> None:
        """Say that the log has grown to a place; returns at once, whatever the bus does."""
        self._pos = max(self._pos, pos)
        self._rung.set()

    async def listen(self) -> AsyncIterator[int | None]:
        """Yield the places that were rung, from now on; several rings may come as one.

        None stands for rings that may have been lost, as the bus was: whoever hears it looks at the log.
        """
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.next()
        finally:
            self._listeners.discard(listener)

    async def settled(self) -> None:
        """Wait until the first attempt to connect has come to an end, good or bad."""
        await self._settled.wait()

    async def supervise(self) -> None:
        """Keep a bus for ever."""
        wait = self._timings.backoff
        while True:
            try:
                await self._use_bus()
            except Exception as error:  # whatever it was, a new bus is the cure
                if self._status.state is BellState.CONNECTED:
                    wait = self._timings.backoff
                self._degrade(error)
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311  # spreads processes, guards nothing
            wait = min(wait * 2, self._timings.backoff_limit)

    async def _use_bus(self) -> None:
        async with (
            self._open_bus() as bus,
            bus.subscribe(TOPIC) as subscriber,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._hear(subscriber.get))
            tasks.create_task(self._talk(bus))

    @asynccontextmanager
    async def _open_bus(self) -> AsyncGenerator[Broadcast]:
        bus = self._make_bus()
        async with asyncio.timeout(self._timings.patience):
            await bus.connect()
        try:
            yield bus
        finally:
            with suppress(Exception):  # a broken connection may not even close
                async with asyncio.timeout(self._timings.patience):
                    await bus.disconnect()

    async def _talk(self, bus: Broadcast) -> None:
        """Send rings as they come, and pings in silence; the first ping proves that the bus works both ways."""
        await self._send(bus, Kind.PING)
        self._connect()
        while True:
            try:
                async with asyncio.timeout(self._timings.ping):
                    await self._rung.wait()
            except TimeoutError:
                await self._send(bus, Kind.PING)
            else:
                await self._ring_out(bus)

    async def _ring_out(self, bus: Broadcast) -> None:
        self._rung.clear()
        try:
            await self._send(bus, Kind.RING)
        except BaseException:
            self._rung.set()  # so that the next bus brings it
            raise
        if self._timings.rest:
            await asyncio.sleep(self._timings.rest)

    async def _send(self, bus: Broadcast, kind: Kind) -> None:
        """Send a message and wait until it has come back."""
        self._number += 1
        self._echo.clear()
        message = Message(sender=self._name, number=self._number, kind=kind, pos=self._pos)
        try:
            async with asyncio.timeout(self._timings.patience):
                await bus.publish(TOPIC, message.encode())
                await self._echo.wait()
        except TimeoutError:
            raise BusSilentError(f"a message did not come back within {self._timings.patience:g} s") from None

    async def _hear(self, receive: Callable[[], Awaitable[Event]]) -> None:
        while True:
            event = await receive()
            if isinstance(event, ConnectionLost):
                raise BusSilentError(event.message)
            message = Message.decode(event.message)
            if message is None:
                continue
            if (message.sender, message.number) == (self._name, self._number):
                self._echo.set()
            if message.kind is Kind.RING:
                self._tell(message.pos)

    def _tell(self, pos: int | None) -> None:
        for listener in self._listeners:
            listener.put(pos)

    def _connect(self) -> None:
        is_rebuild = self._settled.is_set()
        rebuilds = self._status.rebuilds + is_rebuild
        self._status = BellStatus(state=BellState.CONNECTED, since=datetime.now(UTC), rebuilds=rebuilds)
        self._settled.set()
        if is_rebuild:
            logger.info("the bell rings again")
            self._tell(None)

    def _degrade(self, error: Exception) -> None:
        """Take note of a failure; a long outage makes one line in the log."""
        if self._status.state is BellState.CONNECTED or not self._settled.is_set():
            logger.warning("the bell is silent, events of other processes come by polling: %s", _reason(error))
            self._status = BellStatus(state=BellState.DEGRADED, since=datetime.now(UTC), rebuilds=self._status.rebuilds)
            self._settled.set()
        else:
            logger.debug("the bell is still silent: %s", _reason(error))


class _Listener:
    """What one listener has not been told yet: one place at most, however slow it is."""

    def __init__(self) -> None:
        self._pos = 0
        self._missed = False
        self._woken = asyncio.Event()

    def put(self, pos: int | None) -> None:
        if pos is None:
            self._missed = True
        else:
            self._pos = max(self._pos, pos)
        self._woken.set()

    async def next(self) -> int | None:
        await self._woken.wait()
        self._woken.clear()
        missed, self._missed = self._missed, False
        return None if missed else self._pos


@asynccontextmanager
async def open_bell(url: str = MEMORY, *, timings: BellTimings | None = None) -> AsyncGenerator[BroadcastBell]:
    """Open a bell that everyone with the same URL hears; with `memory://` this process alone.

    A bus that can't be reached is no error: the bell is degraded until it can. By default `ALONE` or `DEFAULT_TIMINGS`
    say how patient it is.

    Raises:
        BusUrlError: The URL is not one of a bus, or its driver is not installed.
    """
    bell = BroadcastBell(bus_factory(url), timings or (ALONE if url == MEMORY else DEFAULT_TIMINGS))
    async with background(bell.supervise()):
        await bell.settled()
        yield bell


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, BusSilentError) else describe(error)
