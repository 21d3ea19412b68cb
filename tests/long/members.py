"""The processes of a cluster: each is killed, stopped and frozen by itself, and started again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Process, Server, start_process, start_server


@dataclass(frozen=True, slots=True)
class Blow:
    """Something that was done to a process.

    Attributes:
        kind: KILL, FREEZE or STOP.
        member: Its name.
        at: When, in seconds since 1970.
    """

    kind: str
    member: str
    at: float


class Member:
    """One process and those that come after it in its place.

    Attributes:
        blows: What was done to it.
        is_busy: Whether it is being struck or brought back: leave it alone.
        to_ready: Seconds from each start to its first answer.
        to_stop: Seconds from each SIGTERM to its end.
        exit_codes: What each SIGTERM led to.
    """

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self.name = name
        self.blows: list[Blow] = []
        self.is_busy = False
        self.to_ready: list[float] = []
        self.to_stop: list[float] = []
        self.exit_codes: list[int] = []
        self._start = start
        self._process: Process | None = None
        self._up = asyncio.Event()

    @property
    def process(self) -> Process:
        """The process that there is now."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def is_up(self) -> bool:
        """Whether it is there, be it frozen."""
        return self._up.is_set()

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        began = time.perf_counter()
        self._process = await asyncio.to_thread(self._start)
        self.to_ready.append(time.perf_counter() - began)
        self._up.set()

    async def kill(self) -> None:
        """End it as a power cut does."""
        self._struck("KILL")
        self._up.clear()  # nobody else asks one that is gone
        await asyncio.to_thread(self.process.kill)

    async def stop(self) -> None:
        """End it as an operator does."""
        self._struck("STOP")
        began = time.perf_counter()
        self.exit_codes.append(await asyncio.to_thread(self.process.stop))
        self.to_stop.append(time.perf_counter() - began)
        self._up.clear()

    async def freeze(self, seconds: float) -> None:
        """Let it do nothing for a while, and then go on as if nothing had happened."""
        self._struck("FREEZE")
        self.process.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.process.thaw()

    def end(self) -> None:
        """End it, if it is there."""
        self._up.clear()
        if self._process is not None:
            self._process.kill()

    def complaints(self) -> list[str]:
        """Return what is wrong with how it ended and with what it logged."""
        complaints = [f"SIGTERM ended {self.name} with {code}" for code in self.exit_codes if code]
        odd = [line for line in self.process.log.read_text().splitlines() if "Traceback" in line]
        if odd:
            first = f"{odd[0][:200]} ... {odd[0][-1500:]}"
            complaints.append(f"{self.name} logged an error of ours, {len(odd)} times: {first}")
        return complaints

    def _struck(self, kind: str) -> None:
        self.blows.append(Blow(kind, self.name, time.time()))


class ApiMember(Member):
    """An API process; a `Front` that leads to it alone."""

    async def url(self) -> str:
        """Return its address, when it is up."""
        await self._up.wait()
        assert isinstance(self.process, Server)
        return self.process.url


def api_member(folder: Path, name: str, *flags: str, **env: str) -> ApiMember:
    """Return a place for `mgx serve`."""
    return ApiMember(name, lambda: start_server(folder, *flags, name=name, **env))


def worker_member(folder: Path, name: str, *flags: str, **env: str) -> Member:
    """Return a place for `mgx worker`."""

    def start() -> Process:
        process = start_process(folder, "worker", *flags, name=name, **env)
        assert process.said, f"{name} ended before it was ready:\n{process.log.read_text()}"
        return process

    return Member(name, start)
