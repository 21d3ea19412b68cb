"""What an object prints to standard output, caught for the run that it works on.

`sys.stdout` is one for the whole process, so a router takes its place and asks a context variable whose output a text
is. Tasks and `asyncio.to_thread` inherit the variable; a bare `threading.Thread` does not, and what it prints goes
where it would have gone without us.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

MAX_LINE: Final = 8 * 1024
"""Characters of a line that are held; what is beyond them in a line is forgotten."""

MAX_HELD: Final = 10_000
"""Lines that are held until they are taken; further ones are counted."""

_BREAK: Final = re.compile(r"[\r\n]+")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_capture: Final[ContextVar[Capture | None]] = ContextVar("mgx_capture", default=None)
_log: Final = logging.getLogger(__name__)


def clean(text: str) -> str:
    """Return a text with what no database has a form for replaced."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class Capture:
    """The lines of one object; safe to be written to from any thread.

    A carriage return ends a line as a line feed does, since progress bars are drawn with it; blank lines are left out.

    Args:
        wake: Called in the writer's thread when there are lines to take.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._open = ""
        self._lines: list[str] = []
        self._dropped = 0
        self._closed = False

    def write(self, text: str) -> None:
        """Take what was printed."""
        with self._lock:
            *lines, rest = _BREAK.split(text)
            if lines:
                lines[0] = self._open + lines[0]
                self._open = ""
            self._open = (self._open + rest)[:MAX_LINE]
            found = self._keep(lines)
            closed = self._closed
        if closed:
            self._log()
        elif found:
            self._wake()

    def take(self, *, rest: bool = False) -> tuple[list[str], int]:
        """Return the lines since the last time and how many more were not kept.

        Args:
            rest: Whether a line that lacks its end is taken as well.
        """
        with self._lock:
            if rest:
                self._keep([self._open])
                self._open = ""
            lines, dropped = self._lines, self._dropped
            self._lines, self._dropped = [], 0
        return lines, dropped

    def close(self) -> None:
        """Say that nobody takes lines any more; those that are left and later ones go to the server's log."""
        with self._lock:
            self._closed = True
            self._keep([self._open])
            self._open = ""
        self._log()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Route what is printed in this context, and in those copied from it, to this capture."""
        token = _capture.set(self)
        try:
            yield
        finally:
            _capture.reset(token)

    def _keep(self, lines: list[str]) -> bool:
        """Hold what is not blank, and return whether there was any."""
        found = [clean(line.rstrip()[:MAX_LINE]) for line in lines if line.strip()]
        room = MAX_HELD - len(self._lines)
        self._lines += found[:room]
        self._dropped += max(len(found) - room, 0)
        return bool(found)

    def _log(self) -> None:
        """Hand what is held to the server's log, which may itself be written to standard output."""
        lines, _ = self.take()
        token = _capture.set(None)
        try:
            for line in lines:
                _log.info("A team printed after its work had ended: %s", line)
        finally:
            _capture.reset(token)


class _Router:
    """Stands in for `sys.stdout`: passes on what nobody captures."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        capture = _capture.get()
        if capture is None:
            return cast("int", self._stream.write(text))
        capture.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _capture.get() is None:
            self._stream.flush()

    def isatty(self) -> bool:
        return _capture.get() is None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def route() -> None:
    """Put the router in place of standard output.

    It stays there, so that a thread that outlives its run can't write into the server's output.
    """
    if not isinstance(sys.stdout, _Router):
        sys.stdout = cast("Any", _Router(sys.stdout))
