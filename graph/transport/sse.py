"""GraphQL over Server-Sent Events, distinct connections mode: one stream for each operation.

`complete` means that nothing will ever follow. A stream that ends without it was cut: by the
network, by a shutdown, or because its client took nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from graphql import OperationType
from starlette.types import Message, Receive

from graph.execution.engine import Answer, Failure, Operation
from graph.fanout.ring import Block
from graph.transport.headers import Header, content_type
from graph.transport.negotiation import MediaType
from graph.transport.outlet import Outlet, OutletClosedError, SendStalledError
from graph.transport.responses import Exchange
from graph.transport.shared import RequestInfo, Transport

_log = logging.getLogger(__name__)

_OPENING: Final = b":\n\n"
_HEARTBEAT: Final = b": heartbeat\n\n"
_COMPLETE: Final = b"event: complete\ndata:\n\n"

STREAM_HEADERS: Final = (
    content_type(MediaType.EVENTS),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


def next_event(answer: Answer) -> bytes:
    """Encode one answer; JSON on one line needs no more than a prefix."""
    return b"event: next\ndata: " + answer.body + b"\n\n"


async def stream(transport: Transport, exchange: Exchange, prepared: Operation | Failure, info: RequestInfo) -> None:
    """Send an operation's answers until they end, the client leaves or the server stops.

    Args:
        transport: Runs the operation.
        exchange: The request to answer.
        prepared: The operation, or why there is none. A mutation is never cut.
        info: Where it came from.
    """
    options = transport.options
    stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    outlet = Outlet(exchange.scope, exchange.send, options.send_timeout, stopping.cancel)
    pump = asyncio.create_task(_pump(transport, outlet, exchange.headers, prepared, info))
    others = [asyncio.create_task(_beat(outlet, options.heartbeat)), asyncio.create_task(_until_gone(exchange.receive))]
    mutating = isinstance(prepared, Operation) and prepared.type is OperationType.MUTATION
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


class _Sink:
    """Takes a subscription's answers for one stream."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def write(self, block: Block, again: Callable[[], None]) -> bool:
        """Post the answers as one piece of the body."""
        if self._outlet.is_busy(again):
            return False
        self._outlet.post((_body(block.made[_events]),))
        return True


async def _pump(
    transport: Transport,
    outlet: Outlet,
    headers: Iterable[Header],
    prepared: Operation | Failure,
    info: RequestInfo,
) -> None:
    await outlet.send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *headers]})
    await outlet.send(_body(_OPENING))
    last: Answer | None
    if isinstance(prepared, Failure):
        last = prepared
    elif prepared.type is OperationType.SUBSCRIPTION:
        last = await transport.follow(prepared, info, _Sink(outlet))
    else:
        last = await transport.execute(prepared, info)
    if last is not None:
        await outlet.send(_body(next_event(last)))
    await outlet.send(_body(_COMPLETE))


async def _beat(outlet: Outlet, interval: float) -> None:
    """Send a comment whenever nothing else was sent for the interval."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(outlet.last_sent + interval - loop.time())
        if loop.time() >= outlet.last_sent + interval:
            await outlet.send(_body(_HEARTBEAT))


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _events(answers: Sequence[Answer]) -> bytes:
    return b"".join(map(next_event, answers))


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


def _log_unexpected(outcomes: Iterable[object]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, OutletClosedError | SendStalledError):
            _log.error("A stream broke off", exc_info=outcome)
