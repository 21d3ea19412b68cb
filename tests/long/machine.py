"""The server under test: killed, stopped and started again on the same database."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.long.rage import Reached
from tests.servers import Server, start_server

PATIENCE = 5.0
"""Seconds after which a fault strikes even though the runs have not come far enough."""


@dataclass(slots=True)
class Faults:
    """What was done to the server, and how it took it; seconds.

    Attributes:
        to_ready: From the start of each process after a fault to its first answer.
        to_stop: From each SIGTERM to the end of the process.
        ready_at: When servers became ready, as seconds since 1970.
    """

    kills: int = 0
    stops: int = 0
    to_ready: list[float] = field(default_factory=list)
    to_stop: list[float] = field(default_factory=list)
    ready_at: list[float] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)


class Machine:
    """A server that clients reach at `url()` while it is up, and wait for while it is down."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.faults = Faults()
        self._folder = folder
        self._env = env
        self._server: Server | None = None
        self._up = asyncio.Event()

    def complaints(self) -> list[str]:
        """Return what is wrong with how the servers ended and with what they logged."""
        log = (self._folder / "server.log").read_text()
        complaints = [f"SIGTERM ended a server with {code}" for code in self.faults.exit_codes if code]
        if "Traceback" in log:
            complaints.append(f"the server logged an error of ours:\n{log[-4000:]}")
        return complaints

    async def url(self) -> str:
        """Return the server's address, when there is one."""
        await self._up.wait()
        assert self._server is not None
        return self._server.url

    async def start(self) -> None:
        """Start a server on the database that is there."""
        self._server = await asyncio.to_thread(start_server, self._folder, **self._env)
        self.faults.ready_at.append(time.time())
        self._up.set()

    async def restart_after_kill(self) -> None:
        """End the server as a power cut does, and start another."""
        self.faults.kills += 1
        self._up.clear()  # nobody else asks a server that is gone
        await asyncio.to_thread(self._running.kill)
        await self._again()

    async def restart_after_stop(self) -> None:
        """End the server as an operator does, and start another."""
        self.faults.stops += 1
        started = time.perf_counter()
        self.faults.exit_codes.append(await asyncio.to_thread(self._running.stop))
        self.faults.to_stop.append(time.perf_counter() - started)
        await self._again()

    def end(self) -> None:
        """End the server, if there is one."""
        self._up.clear()
        if self._server is not None:
            self._server.kill()

    async def _again(self) -> None:
        self._up.clear()
        started = time.perf_counter()
        await self.start()
        self.faults.to_ready.append(time.perf_counter() - started)

    @property
    def _running(self) -> Server:
        assert self._server is not None
        return self._server


async def wreak(machine: Machine, kills: int, stops: int, rng: Random, reached: Reached) -> None:
    """Strike as often as asked, spread over the work: at random, but never all before or all after it.

    Args:
        machine: What to strike.
        kills: How often to kill -9.
        stops: How often to SIGTERM.
        rng: Says when and in which order.
        reached: Waits until the runs are so far.
    """
    faults = [machine.restart_after_kill] * kills + [machine.restart_after_stop] * stops
    rng.shuffle(faults)
    for place, fault in enumerate(faults):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await reached(place / len(faults))
        # Soon after a start as well: then it is still taking over what the one before left.
        await asyncio.sleep(rng.choice((rng.uniform(0.0, 0.1), rng.uniform(0.2, 1.0), rng.uniform(0.2, 1.0))))
        await fault()
