"""The graphql-transport-ws protocol as an ASGI application.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md, with these codes:

    1007 text that is no UTF-8      4401 subscribe before init
    1009 message too large          4403 the init was refused
    1011 a mistake of ours          4406 no common subprotocol
    1012 the server stops           4408 no init in time, or no answer to a ping
    1013 the client takes nothing   4409 an operation with that id runs
    4400 malformed message          4429 a second init
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, assert_never

from graphql import OperationType
from starlette.types import Message, Receive, Scope, Send

from domain.log_context import doing
from graph.errors import ErrorCode, LimitExceededError, RequestError, internal
from graph.execution.engine import Answer, Failure, Operation, Request, Result
from graph.fanout.ring import Block
from graph.transport.connections import TooManyConnectionsError
from graph.transport.frames import (
    ACK,
    PING,
    SUBPROTOCOL,
    ClientMessage,
    Complete,
    Init,
    InvalidFrameError,
    Ping,
    Pong,
    Subscribe,
    complete,
    head,
    parse,
    pieces,
    pong,
    tail,
)
from graph.transport.outlet import Outlet, OutletClosedError, SendStalledError
from graph.transport.responses import refuse
from graph.transport.shared import Transport, new_request_id

_log = logging.getLogger(__name__)

# RFC 6455 §5.5: a control frame holds 125 bytes, two of them the code.
_LONGEST_REASON: Final = 123


class SocketView:
    """The WebSocket side of the GraphQL address, as an ASGI application.

    Args:
        transport: What it shares with the HTTP side.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take or refuse a handshake, then serve the socket until it is closed."""
        await receive()  # websocket.connect
        if not self._transport.origins.allows(scope):
            await refuse(scope, send, 403, "This origin is not allowed.")
            return
        try:
            address = self._transport.proxies.client_address(scope)
            with self._transport.connections.admit(address, "websocket"):
                await self._serve(scope, receive, send)
        except TooManyConnectionsError as error:
            status = 503 if error.code is ErrorCode.BUSY else 429
            await refuse(scope, send, status, error.message)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4406, "reason": f"Speak {SUBPROTOCOL}"})
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        await _Socket(self._transport, scope, receive, send).run()


class _CloseError(Exception):
    """The socket has to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _GoneError(Exception):
    """The client closed the socket."""


class _Running:
    """An operation in flight, and the sink of a subscription's answers.

    Attributes:
        task: What runs it.
        mutating: Whether it is only silenced when it is to stop, because it is not undone by leaving.
        silenced: Whether the client wants no more of it.
    """

    __slots__ = ("_head", "_outlet", "_pieces", "mutating", "silenced", "task")

    def __init__(self, outlet: Outlet, operation_id: str) -> None:
        self.task: asyncio.Task[None] | None = None
        self.mutating = False
        self.silenced = False
        self._outlet = outlet
        self._head = head(operation_id)
        self._pieces = pieces(len(self._head))

    def stop(self) -> None:
        """Say no more."""
        self.silenced = True
        if self.task is not None and not self.mutating:
            self.task.cancel()

    def write(self, block: Block, again: Callable[[], None]) -> bool:
        """Write the answers as frames with the operation's id, past the ASGI interface where that is offered."""
        if self.silenced:
            return True
        outlet = self._outlet
        if outlet.has_wire:
            return outlet.write(self._head.join(block.made[self._pieces]), again)
        if outlet.is_busy(again):
            return False
        outlet.post([_message((self._head + rest).decode()) for rest in block.made[_tails]])
        return True


class _Socket:
    """One accepted socket: its reader is the task that calls `run`, each operation has its own."""

    def __init__(self, transport: Transport, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport = transport
        self._options = transport.options
        self._limits = transport.engine.options.limits
        self._scope = scope
        self._receive = receive
        self._outlet = Outlet(scope, send, self._options.send_timeout, self._stall)
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.time()
        self._pinged: float | None = None
        self._initialised = False
        self._acknowledged = False
        self._params: Mapping[str, object] = MappingProxyType({})
        self._running: dict[str, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: _CloseError | None = None
        self._life = asyncio.timeout(None)
        self._alive = True

    async def run(self) -> None:
        try:
            async with self._life:
                with self._transport.shutdown.calling(lambda: self._close(1012, "The server is restarting")):
                    await self._converse()
        except TimeoutError:
            pass  # _close ended it
        except _CloseError as closing:
            self._closing = closing
        except (_GoneError, OutletClosedError):
            pass
        except SendStalledError:
            self._closing = _stalled()
        finally:
            self._alive = False
            await self._end()

    def _close(self, code: int, reason: str) -> None:
        """Close from outside of the reader, whatever it waits for."""
        if self._alive and self._closing is None:
            self._closing = _CloseError(code, reason)
            self._life.reschedule(self._loop.time())

    def _stall(self) -> None:
        stalled = _stalled()
        self._close(stalled.code, stalled.reason)

    async def _end(self) -> None:
        for running in self._running.values():
            running.stop()
        if self._closing is not None:
            reason = self._closing.reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            message = {"type": "websocket.close", "code": self._closing.code, "reason": reason}
            await self._outlet.close(message, self._options.close_timeout, final=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _converse(self) -> None:
        while True:
            try:
                async with asyncio.timeout_at(self._deadline()):
                    text = await self._read()
            except TimeoutError:
                await self._beat()
                continue
            self._pinged = None
            try:
                message = parse(text)
            except InvalidFrameError as error:
                raise _CloseError(4400, str(error)) from None
            await self._handle(message)

    async def _read(self) -> str:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise _GoneError
        text = message.get("text")
        if text is None:
            raise _CloseError(4400, "Messages are text")
        limit = self._limits.message_bytes
        if len(text) > limit or (len(text) > limit // 4 and len(text.encode()) > limit):
            raise _CloseError(1009, f"A message may have {limit} bytes")
        assert isinstance(text, str)
        return text

    def _deadline(self) -> float:
        if not self._initialised:
            return self._opened + self._options.init_timeout
        beat = self._outlet.last_sent + self._options.heartbeat
        return beat if self._pinged is None else self._pinged + self._options.silence

    async def _beat(self) -> None:
        now = self._loop.time()
        if not self._initialised:
            raise _CloseError(4408, "Connection initialisation timeout")
        if self._pinged is not None:
            raise _CloseError(4408, f"No message for {self._options.silence:g} s after a ping")
        if now >= self._outlet.last_sent + self._options.heartbeat:
            self._pinged = now
            await self._send(PING)

    async def _handle(self, message: ClientMessage) -> None:
        match message:
            case Init():
                await self._initialise(message)
            case Ping():
                await self._send(pong(message.payload))
            case Pong():
                pass
            case Subscribe():
                await self._subscribe(message)
            case Complete():
                if running := self._running.pop(message.id, None):
                    running.stop()
            case _:
                assert_never(message)

    async def _initialise(self, message: Init) -> None:
        if self._initialised:
            raise _CloseError(4429, "Too many initialisation requests")
        self._initialised = True
        self._params = message.payload
        info = self._transport.describe(self._scope, "websocket", new_request_id(), self._params)
        try:
            await self._transport.authorize(info)
        except RequestError as error:
            raise _CloseError(4403, error.message) from None
        except Exception as error:
            internal(error, info.request_id)
            raise _CloseError(1011, f"Internal error, request id {info.request_id}") from None
        self._acknowledged = True
        await self._send(ACK)

    async def _subscribe(self, message: Subscribe) -> None:
        if not self._acknowledged:
            raise _CloseError(4401, "Unauthorized")
        if message.id in self._running:
            raise _CloseError(4409, f"Subscriber for {message.id} already exists")
        if len(self._tasks) >= self._limits.operations:
            error = LimitExceededError(
                "The number of operations on this socket", len(self._tasks) + 1, self._limits.operations
            )
            await self._send_answer(message.id, Failure([error.formatted]))
            return
        running = self._running[message.id] = _Running(self._outlet, message.id)
        running.task = asyncio.create_task(self._operate(message, running))
        self._tasks.add(running.task)
        running.task.add_done_callback(self._tasks.discard)

    async def _operate(self, message: Subscribe, running: _Running) -> None:
        """Run an operation to its end and send what it says."""
        request_id = new_request_id()
        try:
            with doing(request_id=request_id):
                await self._run(message, running, request_id)
        except OutletClosedError:
            return
        except SendStalledError:
            self._stall()
        except Exception as error:
            await self._finish(message.id, running, Failure([internal(error, request_id)]))

    async def _run(self, message: Subscribe, running: _Running, request_id: str) -> None:
        request = Request(
            query=message.query,
            document_id=message.document_id,
            variables=message.variables,
            operation_name=message.operation_name,
            request_id=request_id,
        )
        operation = self._transport.prepare(request, "websocket")
        if isinstance(operation, Failure):
            await self._finish(message.id, running, operation)
            return
        last = await self._follow(message.id, running, operation)
        await self._finish(message.id, running, last)

    async def _follow(self, operation_id: str, running: _Running, operation: Operation) -> Failure | None:
        """Send what is answered; return the failure that ended it, if one did."""
        info = self._transport.describe(self._scope, "websocket", operation.request.request_id, self._params)
        if operation.type is OperationType.SUBSCRIPTION:
            return await self._transport.follow(operation, info, running)
        running.mutating = operation.type is OperationType.MUTATION
        answer = await self._transport.execute(operation, info)
        if isinstance(answer, Failure):
            return answer
        if not running.silenced:
            await self._send_answer(operation_id, answer)
        return None

    async def _finish(self, operation_id: str, running: _Running, failure: Failure | None) -> None:
        """Free the id, so that the client may use it again as soon as it reads this, and say so."""
        if running.silenced:
            return
        del self._running[operation_id]
        if failure is not None:
            await self._send_answer(operation_id, failure)
        else:
            await self._send(complete(operation_id))

    async def _send_answer(self, operation_id: str, answer: Answer) -> None:
        await self._send((head(operation_id) + tail(answer)).decode())

    async def _send(self, text: str) -> None:
        await self._outlet.send(_message(text))


def _message(text: str) -> Message:
    return {"type": "websocket.send", "text": text}


def _tails(answers: Sequence[Result]) -> list[bytes]:
    return [tail(answer) for answer in answers]


def _stalled() -> _CloseError:
    return _CloseError(1013, "Nothing was taken from this socket for too long")
