"""The one way out of a connection that stays open."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from starlette.types import Message, Scope, Send

from graph.transport.mailbox import Gate

ABORT_EXTENSION = "mgx.abort"
"""Key of an ASGI extension: a function that drops the connection with whatever it still buffers."""

WIRE_EXTENSION = "mgx.wire"
"""Key of an ASGI extension: a `Wire`, which takes bytes as they go over the network."""


# ASGI servers tell with an OSError that the client is gone; uvicorn raises a RuntimeError after it has
# closed a WebSocket by itself, because of a malformed frame.
_GONE: Final = (OSError, RuntimeError)


class Wire(Protocol):
    """The connection itself, past the ASGI interface; between messages of that, and in their order.

    Attributes:
        transport: Takes whole frames or chunks, as long as it is not closing.
        writable: Open while the client takes what is written, and when it is gone.
        close_sent: Whether nothing may follow what was sent.
    """

    transport: asyncio.Transport
    writable: Gate
    close_sent: bool


class OutletClosedError(Exception):
    """Nothing can be sent any more: the client is gone, or the connection is being closed."""


class SendStalledError(Exception):
    """The client took nothing for too long."""


class Outlet:
    """Sends messages one after the other and knows when the last one went.

    A slow reader holds up whoever sends to it, so that nothing piles up here: `send` waits, `post` and `write` refuse.

    Args:
        scope: ASGI.
        send: ASGI.
        timeout: Seconds after which a client that takes nothing is given up.
        on_stalled: Called when nobody waits in `send` to be told so.

    Attributes:
        last_sent: When something was sent last, by the loop's clock.
        has_wire: Whether bytes can be written past the ASGI interface.
    """

    __slots__ = (
        "_closed",
        "_loop",
        "_on_stalled",
        "_posted",
        "_relief",
        "_scope",
        "_send",
        "_sending",
        "_stalled",
        "_timeout",
        "_turn",
        "_waiting",
        "_wire",
        "has_wire",
        "last_sent",
    )

    def __init__(self, scope: Scope, send: Send, timeout: float, on_stalled: Callable[[], object]) -> None:
        self._scope = scope
        self._send = send
        self._timeout = timeout
        self._on_stalled = on_stalled
        self._wire = cast("Wire | None", scope.get("extensions", {}).get(WIRE_EXTENSION))
        self._turn = asyncio.Lock()
        self._sending = False
        self._closed = False
        self._stalled = False
        self._posted: Sequence[Message] = ()
        self._waiting: dict[Callable[[], None], None] = {}
        self._relief: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.has_wire = self._wire is not None
        self.last_sent = self._loop.time()

    async def send(self, message: Message) -> None:
        """Send when it is this message's turn.

        Raises:
            OutletClosedError: Before or while it was sent.
            SendStalledError: The client took nothing for the time-out; nothing more is sent.
        """
        async with self._turn:
            await self._send_posted()
            await self._send_now(message)

    def write(self, data: bytes, again: Callable[[], None]) -> bool:
        """Write bytes as they go over the network, all or nothing; only with a wire.

        Args:
            data: Whole frames or chunks.
            again: If they were not taken, called when there is room.

        Returns:
            Whether they were taken.
        """
        wire = self._wire
        assert wire is not None
        transport = wire.transport
        if (
            self._sending
            or self._closed
            or self._relief is not None
            or wire.close_sent
            or not wire.writable.is_open
            or transport.is_closing()
        ):
            return self._refuse(again)
        transport.write(data)
        self.last_sent = self._loop.time()
        return True

    def is_busy(self, again: Callable[[], None]) -> bool:
        """Whether nothing can be posted; if it is only for now, a function is called when there is room."""
        busy = self._sending or self._closed or self._relief is not None
        if busy:
            self._refuse(again)
        return busy

    def post(self, messages: Sequence[Message]) -> None:
        """Have messages sent one after the other, unless it is busy; what is sent later follows them."""
        self._posted = messages
        self._relieve()

    async def close(self, message: Message, seconds: float, *, final: bool) -> None:
        """Send a last message, ahead of all that wait; everyone else is refused from now on.

        An orderly close waits until everything was taken, which a client that never reads puts off for
        ever; so where the server offers it, what is left of the connection is dropped: at once when the client took
        nothing, else later.

        Args:
            message: ASGI.
            seconds: For the message to be taken, and then for the connection to end.
            final: Whether the connection ends with the message. If not, it is dropped only when its
                client took nothing.
        """
        self._closed = True
        if self._relief is not None:
            self._relief.cancel()
        try:
            async with asyncio.timeout(seconds):
                await self._send(message)
        except TimeoutError:
            self._stalled = True
        except _GONE:
            return
        abort = self._scope.get("extensions", {}).get(ABORT_EXTENSION)
        if abort is None:
            return
        if final:
            self._loop.call_later(seconds, abort)
        elif self._stalled:
            abort()
            await asyncio.sleep(0)  # so that the server knows, and has no complaint about an answer that is not whole

    def _refuse(self, again: Callable[[], None]) -> bool:
        """Take nothing; a function is called when there is room, unless there will never be any."""
        if not self._closed:
            self._waiting[again] = None
            self._relieve()
        return False

    def _relieve(self) -> None:
        if self._relief is None:
            self._relief = self._loop.create_task(self._make_room())

    async def _make_room(self) -> None:
        """Send what was posted and wait until the client takes it, then let those go on who wait for that."""
        try:
            async with self._turn:
                await self._send_posted()
                if self._wire is not None and not self._closed:
                    async with asyncio.timeout(self._timeout):
                        await self._wire.writable.wait()
        except OutletClosedError:
            return
        except (SendStalledError, TimeoutError):
            self._closed = self._stalled = True
            self._on_stalled()
            return
        self._relief = None
        waiting, self._waiting = self._waiting, {}
        for again in waiting:
            again()

    async def _send_posted(self) -> None:
        messages, self._posted = self._posted, ()
        for message in messages:
            await self._send_now(message)

    async def _send_now(self, message: Message) -> None:
        if self._closed:
            raise OutletClosedError
        self._sending = True
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(message)
        except TimeoutError:
            self._closed = self._stalled = True
            raise SendStalledError from None
        except _GONE:
            self._closed = True
            raise OutletClosedError from None
        finally:
            self._sending = False
        self.last_sent = self._loop.time()
