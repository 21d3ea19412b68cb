"""Several processes that do the same: forked from one that has imported everything, watched and replaced by it.

The first one is ready before there are others: what is wrong with the settings is said once, and one process alone
brings the database to this version's schema. A process ends when the one that forked it does, however that happens.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from multiprocessing import active_children, connection, get_context
from multiprocessing.context import ForkProcess
from typing import Final, TypeAlias

from graph.commands.command import CommandError, tell
from graph.commands.process import run_process
from graph.commands.signals import await_ready

_log = logging.getLogger(__name__)

Work: TypeAlias = Callable[[Callable[[str], None]], Coroutine[None, None, None]]
"""What a process does until SIGTERM; it calls its argument with its address once it is ready."""

_AGAIN_SECONDS: Final = 5.0
"""A process that was ready is replaced at once; one that did not come so far after this time."""

_STOP_SECONDS: Final = 30.0
"""Beyond what an orderly end takes."""

_fork: Final = get_context("fork")


def run_processes(works: Sequence[Work], announce: Callable[[str], None]) -> int:
    """Have a process for each work until SIGTERM or SIGINT; return the exit code.

    Args:
        works: At least one.
        announce: Called with the address once all are ready.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # While we live nobody writes into this pipe; when we don't, all its readers see its end.
    lifeline, ours = os.pipe()
    places = [_Place(number, work, lifeline, ours) for number, work in enumerate(works, 1)]
    try:
        for place in places:
            place.fill()
            if not place.await_address():
                return place.exit_code
        announce(places[0].address)
        while True:
            _watch(places)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop()


class _Place:
    """One of the processes, and those that take its place.

    Args:
        number: For people, from 1.
        work: What it does.
        lifeline: Pipe whose end says that the process which forked it is no more.
        ours: Its other side, which is that process's alone.

    Attributes:
        address: What the process said when it was ready, empty before.
        due: When another process is to take the place, while there is none; as `time.monotonic`.
    """

    def __init__(self, number: int, work: Work, lifeline: int, ours: int) -> None:
        self.number = number
        self.address = ""
        self.process: ForkProcess
        self.due: float | None = None
        self._work = work
        self._lifeline = lifeline
        self._ours = ours
        self._told: connection.Connection[str, str]

    @property
    def exit_code(self) -> int:
        """What the process ended with; waits for its end."""
        self.process.join()
        return self.process.exitcode or 0

    def fill(self) -> None:
        """Fork the process."""
        self._told, teller = _fork.Pipe(duplex=False)
        self.address, self.due = "", None
        self.process = _fork.Process(target=self._live, args=(teller,), name=f"mgx-serve-{self.number}")
        self.process.start()
        teller.close()
        _log.info("process %d of the server begins, pid %d", self.number, self.process.pid)

    def await_address(self) -> str:
        """Wait until the process is ready, and return its address; nothing if it ended before."""
        await_ready([self._told])
        with suppress(EOFError):
            self.address = self._told.recv()
        return self.address

    def note_end(self) -> None:
        """Take note that the process ended, and set the time at which another one is due."""
        was_ready = self.address or self.await_address()
        self.due = time.monotonic() + (0.0 if was_ready else _AGAIN_SECONDS)
        _log.warning(
            "process %d of the server ended with code %d; another takes its place", self.number, self.exit_code
        )

    def _live(self, teller: connection.Connection[str, str]) -> None:
        os.close(self._ours)
        os.setpgid(0, 0)  # Ctrl-C is for the process that forked us, which then ends us in order
        try:
            code = run_process(_while_connected(self._lifeline, self._work(teller.send)))
        except CommandError as error:
            tell(error)
            code = error.exit_code
        sys.exit(code)


async def _while_connected(lifeline: int, work: Coroutine[None, None, None]) -> None:
    """Work, and take the end of a pipe for SIGTERM."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(lifeline)
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(lifeline, end)
    try:
        await work
    finally:
        loop.remove_reader(lifeline)


def _watch(places: Sequence[_Place]) -> None:
    """Wait until a process ends or is due, and do what follows."""
    dues = [place.due for place in places if place.due is not None]
    seconds = max(0.0, min(dues) - time.monotonic()) if dues else None
    ended = await_ready([place.process.sentinel for place in places if place.due is None], seconds)
    for place in places:
        if place.due is None and place.process.sentinel in ended:
            place.note_end()
        if place.due is not None and place.due <= time.monotonic():
            place.fill()


def _stop() -> None:
    """End all processes in order, and by force what does not end."""
    children = active_children()
    for child in children:
        child.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for child in children:
        child.join(max(0.0, deadline - time.monotonic()))
        child.kill()
