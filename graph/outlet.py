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
                self._closed = True
                raise SendStalledError from None
            except _GONE:
                self._closed = True
                raise OutletClosedError from None
            self.last_sent = asyncio.get_running_loop().time()

    async def close(self, message: Message, seconds: float) -> None:
        """Send a last message, ahead of all that wait; everyone else is refused from now on.

        Where the server offers it, a connection that doesn't take even this is dropped: an orderly
        close would wait for its reader for ever.
        """
        self._closed = True
        try:
            async with asyncio.timeout(seconds):
                await self._send(message)
        except TimeoutError:
            abort = self._scope.get("extensions", {}).get(ABORT_EXTENSION)
            if abort is not None:
                abort()
        except _GONE:
            return
