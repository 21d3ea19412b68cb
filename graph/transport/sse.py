"""GraphQL over Server-Sent Events, distinct connections mode: one stream for each operation.

`complete` means that nothing will ever follow. A stream that ends without it was cut: by the
network, by a shutdown, or because its client took nothing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from starlette.types import Receive

from graph.execution.engine import Answer
from graph.transport.outlet import Outlet, OutletClosedError, SendStalledError
from graph.transport.responses import Exchange
from graph.transport.shared import Transport

_log = logging.getLogger(__name__)

_OPENING: Final = b":\n\n"
_HEARTBEAT: Final = b": heartbeat\n\n"
_COMPLETE: Final = b"event: complete\ndata:\n\n"

STREAM_HEADERS: Final = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
)


def next_event(answer: Answer) -> bytes:
    """Encode one answer; JSON on one line needs no more than a prefix."""
    return b"event: next\ndata: " + answer.body + b"\n\n"


async def stream(
    transport: Transport, exchange: Exchange, answers: AsyncGenerator[Answer, None], *, mutating: bool
) -> None:
    """Send an operation's answers until they end, the client leaves or the server stops.

    Args:
        transport: For its options and the shutdown.
        exchange: The request to answer.
        answers: Closed at the end.
        mutating: Whether a mutation is run, which is never cut.
    """
    options = transport.options
    outlet = Outlet(exchange.scope, exchange.send, options.send_timeout)
    stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    pump = asyncio.create_task(_pump(outlet, exchange.headers, answers))
    others = [asyncio.create_task(_beat(outlet, options.heartbeat)), asyncio.create_task(_until_gone(exchange.receive))]
    try:
        with transport.shutdown.calling(stopping.cancel):
            await asyncio.wait({stopping, pump, *others}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in others if mutating else (pump, *others):
            task.cancel()
        outcomes = await asyncio.gather(pump, *others, return_exceptions=True)
        _log_unexpected(outcomes)
    end = {"type": "http.response.body", "body": b"", "more_body": False}
    await outlet.close(end, options.close_timeout, final=False)


async def _pump(outlet: Outlet, headers: Iterable[tuple[str, str]], answers: AsyncGenerator[Answer, None]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*STREAM_HEADERS, *headers)]
    async with aclosing(answers):
        await outlet.send({"type": "http.response.start", "status": 200, "headers": raw})
        await _write(outlet, _OPENING)
        async for answer in answers:
            await _write(outlet, next_event(answer))
    await _write(outlet, _COMPLETE)


async def _beat(outlet: Outlet, interval: float) -> None:
    """Send a comment whenever nothing else was sent for the interval."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(outlet.last_sent + interval - loop.time())
        if loop.time() >= outlet.last_sent + interval:
            await _write(outlet, _HEARTBEAT)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(outlet: Outlet, data: bytes) -> None:
    await outlet.send({"type": "http.response.body", "body": data, "more_body": True})


def _log_unexpected(outcomes: Iterable[object]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, OutletClosedError | SendStalledError):
            _log.error("A stream broke off", exc_info=outcome)
