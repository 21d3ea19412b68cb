"""Where an object works: what it prints is caught, and its work ends when we do."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from domain.errors import TeamError
from domain.signals import LineSaid, LinesSaid
from teams.mgx.output import Capture, route


class Stage:
    """One object at work."""

    def __init__(self, team: object) -> None:
        self._team = team
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._capture = Capture(self._wake)
        self._work: asyncio.Task[object] | None = None

    def has(self, method: str) -> bool:
        """Whether the object can be asked this."""
        return callable(getattr(self._team, method, None))

    def accepts(self, method: str, **arguments: object) -> bool:
        """Whether a method takes these arguments, as far as its signature tells."""
        try:
            inspect.signature(getattr(self._team, method)).bind(**arguments)
        except TypeError:
            return False
        except ValueError:  # what is written in C may have no signature
            return True
        return True

    async def ask(self, method: str, *arguments: object, **named: object) -> object:
        """Return what a method returns, whether or not it is a coroutine.

        Raises:
            TeamError: It wanted to end the process.
        """
        function: Callable[..., Any] = getattr(self._team, method)
        with self._capture.installed():
            try:
                result = function(*arguments, **named)
                return await result if inspect.isawaitable(result) else result
            except SystemExit as error:
                # It would end the server: asyncio lets this exception through.
                raise TeamError(f"{method} called sys.exit({error.code!r}).") from error

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Start what takes its time."""
        self._work = asyncio.create_task(work)
        self._work.add_done_callback(lambda _: self._news.set())

    async def goes_on(self, within: float | None = None) -> bool:
        """Wait until something is printed, the work ends, or some seconds have passed; return whether it goes on."""
        assert self._work is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()
        self._news.clear()
        return not self._work.done()

    def result(self) -> object:
        """Return what the ended work returned, or raise what it raised.

        Raises:
            TeamError: It cancelled itself.
        """
        assert self._work is not None
        if self._work.cancelled():
            raise TeamError("The team cancelled its own work.")
        return self._work.result()

    def lines(self, step: str | None, *, rest: bool = False) -> list[LinesSaid]:
        """Return what was printed since the last time, as lines of a step; nothing is an empty list.

        Args:
            step: Key of the step, None while planning.
            rest: Whether a line that lacks its end counts.
        """
        lines, dropped = self._capture.take(rest=rest)
        if not (lines or dropped):
            return []
        return [LinesSaid(lines=[LineSaid(message=line, step=step) for line in lines], dropped=dropped, step=step)]

    async def leave(self) -> None:
        """Cancel the work if it still goes on, and return when it has ended."""
        try:
            if self._work is not None:
                self._work.cancel()
                await asyncio.wait({self._work})
                if not self._work.cancelled():
                    self._work.exception()  # asyncio complains of errors that nobody looked at
        finally:
            self._capture.close()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # a thread printed after the loop was closed: nobody is left to be woken
            self._loop.call_soon_threadsafe(self._news.set)


@asynccontextmanager
async def stage(team: object) -> AsyncGenerator[Stage]:
    """Let an object work; when this ends, so does what it still does."""
    route()
    place = Stage(team)
    try:
        yield place
    finally:
        await place.leave()
