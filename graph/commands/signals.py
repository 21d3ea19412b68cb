"""Signals that are noticed wherever they come.

Python runs a signal's handler between two of its own steps. One that comes just before a call that blocks is noticed
only after that call, so whoever blocks must also be woken.
"""

from __future__ import annotations

import asyncio
import select
import signal
import socket
import sys
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any, TypeVar

_Result = TypeVar("_Result")


@contextmanager
def _wakened() -> Generator[socket.socket]:
    """Yield a socket that is readable once a signal has come."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(before)


async def attentively(operation: Coroutine[Any, Any, _Result]) -> _Result:
    """Await something on a loop that wakes for every signal; in the main thread alone."""
    loop = asyncio.get_running_loop()
    with _wakened() as woken:
        loop.add_reader(woken, woken.recv, 64)
        try:
            return await operation
        finally:
            loop.remove_reader(woken)


def await_input() -> None:
    """Wait until standard input has a line or its end; handlers of signals may raise."""
    with _wakened() as woken:
        while sys.stdin not in select.select([sys.stdin, woken], [], [])[0]:
            woken.recv(64)


def await_ready(things: Sequence[Any], seconds: float | None = None) -> list[Any]:
    """Wait until one of the things is ready, as `multiprocessing.connection.wait`; handlers of signals may raise."""
    with _wakened() as woken:
        return connection.wait([*things, woken], seconds)


def await_signal(seconds: float) -> None:
    """Wait for a while; handlers of signals may raise before it is over."""
    with _wakened() as woken:
        select.select([woken], [], [], seconds)
