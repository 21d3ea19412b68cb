"""A command on a terminal of its own, as a person sees it."""

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.support import SECONDS
from tests.servers import MGX, environment

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x1b]*\x1b\\|\r")


class Terminal:
    """A command on a terminal of its own, 80 columns wide."""

    def __init__(self, process: subprocess.Popen[bytes], controller: int) -> None:
        self.process = process
        self._controller = controller
        self._raw = b""

    @property
    def seen(self) -> str:
        """Everything that was written so far, without what moves the cursor and changes colours."""
        return _ESCAPES.sub("", self._raw.decode(errors="replace"))

    def read_until(self, text: str) -> str:
        """Read on to a text and return everything since the last call."""
        begin = len(self.seen)
        while text not in self.seen[begin:]:
            assert self._read(), f"The command ended before it said {text!r}:\n{self.seen}"
        return self.seen[begin:]

    def read_rest(self) -> None:
        while self._read():
            pass

    def type(self, text: str) -> None:
        os.write(self._controller, text.encode())

    def leave(self, how: signal.Signals) -> int:
        """Send a signal, and return the code at the end."""
        self.process.send_signal(how)
        self.read_rest()
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        """Wait for more; return whether anything came before the other side was closed."""
        assert select.select([self._controller], [], [], SECONDS)[0], f"The command says nothing more:\n{self.seen}"
        try:
            more = os.read(self._controller, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self._raw += more
        return bool(more)


@contextmanager
def on_a_terminal(*arguments: str, cwd: Path, **env: str) -> Iterator[Terminal]:
    controller, theirs = pty.openpty()
    columns = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [MGX, *arguments],
        cwd=cwd,
        env=environment(cwd, columns | env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Terminal(process, controller)
    finally:
        process.terminate()
        process.wait(SECONDS)
        os.close(controller)
