"""Servers that are measured beside one another: each by itself on the first core, the client on the second."""

from __future__ import annotations

import re
import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.node import NODE
from benchmarks.sockets import pin
from tests.servers import MGX, environment

PATIENCE: Final = 60.0
_ADDRESS: Final = re.compile(r"https?://[^\s,]+")
_OF_NODE: Final = {"NODE_ENV": "production"}
"""As the documentation of each server there says; what they do in development costs much."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to be measured.

    Attributes:
        name: For people.
        command: What starts it; it prints its address when it is ready.
        is_ours: Whether it is the product.
        env: What it finds in its environment besides.
    """

    name: str
    command: Sequence[str]
    is_ours: bool = False
    env: Mapping[str, str] = field(default_factory=dict, hash=False)

    def folder(self, parent: Path, *words: object) -> Path:
        """Make a folder for it, with words in its name where it needs several."""
        made = parent / re.sub(r"\W+", "-", "-".join(map(str, (*words, self.name))))
        made.mkdir()
        return made


def python(module: str, *arguments: str) -> Sequence[str]:
    """Return what starts a module of the benchmarks."""
    return sys.executable, "-m", f"benchmarks.{module}", *arguments


def node(program: str, *arguments: str) -> Sequence[str]:
    """Return what starts a program on Node.js."""
    return NODE, f"benchmarks/peers/node/{program}", *arguments


def mgx(*arguments: str) -> Sequence[str]:
    """Return what starts the product as its users do."""
    return str(MGX), *arguments


@contextmanager
def running(
    contender: Contender, folder: Path, *, database: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Have a server on the first core while the block runs; yields its address and pid.

    Args:
        contender: The server.
        folder: Where its log is, and its database if it makes one.
        database: A database that it shall serve.
        env: Settings of ours.
    """
    arguments = () if database is None or contender.is_ours else (str(database),)
    place = {} if database is None else {"MGX_DATABASE_URL": f"sqlite+aiosqlite:///{database}"}
    settings = environment(folder, {**place, **(env or {}), **contender.env})
    process = _start([*contender.command, *arguments], folder, settings)
    pin(0, process.pid)  # before it has threads, which keep to the core of who starts them
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), f"{contender.name} is not ready"
        address = _ADDRESS.search(process.stdout.readline())
        assert address, (folder / "log").read_text()
        yield address[0], process.pid
    finally:
        process.terminate()
        process.stdout.close()
        process.wait()


def _start(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**env, **_OF_NODE, "PYTHONUNBUFFERED": "1"},
        )


OURS: Final = Contender("mgx-graph", mgx("serve"), is_ours=True)
STRAWBERRY: Final = Contender("Strawberry, SQLAlchemy ORM", python("peers.strawberry_orm"))
FASTAPI: Final = Contender("FastAPI (REST)", python("peers.fastapi_core"))
