"""A server as a child process of a command."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from graph.commands.command import CommandError

_ADDRESS: Final = re.compile(r"https?://[^\s,]+")
_STOP_SECONDS: Final = 20.0  # beyond what an orderly end takes


@contextmanager
def child_server(flags: Sequence[str], log: Path) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Have `mgx serve` run while the block does.

    Args:
        flags: Of `mgx serve`; our environment is its environment too.
        log: File that takes its log.

    Yields:
        Its address and its process.

    Raises:
        CommandError: It ended before it was ready; the message is the last that it said.
    """
    # Without -P a folder of the user's named teams would hide ours. A process group of its own keeps Ctrl-C with us,
    # who then end it in order.
    command = [sys.executable, "-P", "-m", "graph.cli", "serve", *flags]
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, process_group=0
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = _ADDRESS.search(process.stdout.readline())
            if address is None:
                process.wait(_STOP_SECONDS)
                raise CommandError(_last_words(log))
            yield address[0], process
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.removeprefix("mgx: ") for line in lines if line.strip()]
    return said[-1] if said else "The server ended before it was ready, and did not say why."
