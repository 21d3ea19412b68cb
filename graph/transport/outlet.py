"""The one way out of a connection that stays open."""

import asyncio
from typing import Final

from starlette.types import Message, Scope, Send

ABORT_EXTENSION = "mgx.abort"
"""Key of an ASGI extension: a function that drops the connection with whatever it still buffers."""


# ASGI servers tell with an OSError that the client is gone; uvicorn raises a RuntimeError after it has
# closed a WebSocket by itself, because of a malformed frame.
_GONE: Final = (OSError, RuntimeError)


class OutletClosedError(Exception):
    """Nothing can be sent any more: the client is gone, or the connection is being closed."""


class SendStalledError(Exception):
    """The client took nothing for too long."""


class Outlet:
    """Sends messages one after the other and knows when the last one went.

    A slow reader holds up whoever sends to it, so that nothing piles up here.

    Args:
        scope: ASGI.
        send: ASGI.
        timeout: Seconds after which a client that takes nothing is given up.
    """

    def __init__(self, scope: Scope, send: Send, timeout: float) -> None:
        self._scope = scope
        self._send = send
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._closed = False
        self._stalled = False
        self.last_sent = asyncio.get_running_loop().time()

    async def send(self, message: Message) -> None:
        """Send when it is this message's turn.

        Raises:
            OutletClosedError: Before or while it was sent.
            SendStalledError: The client took nothing for the time-out; nothing more is sent.
        """
        async with self._turn:
            if self._closed:
                raise OutletClosedError
            try:
                async with asyncio.timeout(self._timeout):
                    await self._send(message)
            except TimeoutError:
                self._closed = self._stalled = True
                raise SendStalledError from None
            except _GONE:
                self._closed = True
                raise OutletClosedError from None
            self.last_sent = asyncio.get_running_loop().time()

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
            asyncio.get_running_loop().call_later(seconds, abort)
        elif self._stalled:
            abort()
            await asyncio.sleep(0)  # so that the server knows, and has no complaint about an answer that is not whole
