"""A subscriber whose connection is cut at random, and who goes on from the last event it saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.long.api import EVENT, REST
from tests.long.net import Net
from tests.long.records import End, Event, Json, Leg
from tests.long.streams import EventStream, LostError, RefusedError, SilentError, SocketStream, Stream


@dataclass(frozen=True, slots=True)
class Subject:
    """What is subscribed to.

    Attributes:
        start: Cursor to begin after, None for the beginning.
    """

    field: str
    document: str
    variables: Json
    start: str | None = None


def run_events(run_id: str) -> Subject:
    """Return a run's events, from its first."""
    document = f"subscription ($run: ID!, $after: String) {{ runEvents(runId: $run, after: $after) {{ {EVENT} }} }}"
    return Subject("runEvents", document, {"run": run_id})


def all_events(start: str) -> Subject:
    """Return all that happens after a cursor."""
    document = f"subscription ($after: String) {{ allEvents(after: $after) {{ {EVENT} }} }}"
    return Subject("allEvents", document, {}, start)


class Subscriber:
    """Follows something to its end.

    Args:
        transports: What each connection may use: "ws", "sse".
        notice: Is told of each event, repeats included.
    """

    def __init__(
        self, subject: Subject, transports: tuple[str, ...], net: Net, rng: Random, notice: Callable[[Event], None]
    ) -> None:
        self.legs: list[Leg] = []
        self._subject = subject
        self._transports = transports
        self._net = net
        self._rng = rng
        self._notice = notice
        self._cursors: list[str] = []
        self._left = False

    async def follow(self) -> None:
        """Follow until the server says that nothing will follow, then look once more that nothing does."""
        while not self._left and await self._leg(self._after()) in {End.CUT, End.LOST}:
            pass
        while self.legs[-1].end is End.COMPLETE and await self._leg(len(self._cursors), patient=True) is End.LOST:
            pass

    def leave(self) -> None:
        """Follow no more, after the event that is being noticed."""
        self._left = True

    def _after(self) -> int:
        """Choose from where to go on: mostly from the last event seen, sometimes from an earlier one, or anew."""
        seen = len(self._cursors)
        return self._rng.choices((seen, self._rng.randint(0, seen), 0), weights=(85, 12, 3))[0]

    async def _leg(self, after: int, *, patient: bool = False) -> End:
        """Have one connection; a patient one is not cut."""
        leg = Leg(transport=self._rng.choice(self._transports), after=after)
        self.legs.append(leg)
        try:
            stream = await self._open(leg)
            try:
                leg.end = await self._listen(stream, leg, patient=patient)
            finally:
                await stream.close(abruptly=self._rng.random() < 0.5)
        except LostError as error:
            leg.end, leg.detail = End.LOST, str(error)
            await asyncio.sleep(REST)
        except RefusedError as error:
            leg.end, leg.detail = End.REFUSED, str(error)
        except SilentError:
            leg.end = End.SILENT
        return leg.end

    async def _open(self, leg: Leg) -> Stream:
        subject, url = self._subject, await self._net.front.url()
        variables = {**subject.variables, "after": self._cursors[leg.after - 1] if leg.after else subject.start}
        if leg.transport == "ws":
            return await SocketStream.open(url, subject.document, variables)
        return await EventStream.open(self._net.http, url, subject.document, variables)

    async def _listen(self, stream: Stream, leg: Leg, *, patient: bool) -> End:
        """Take events until the stream ends, or until it is time to be cut off."""
        rng = self._rng
        until = time.monotonic() + rng.expovariate(1.0) if not patient and rng.random() < 0.3 else None
        count = rng.randint(0, 12) if not patient and rng.random() < 0.5 else None
        while not self._left and (count is None or len(leg.events) < count):
            try:
                async with asyncio.timeout(None if until is None else until - time.monotonic()):
                    data = await stream.next()
            except TimeoutError:
                break
            if data is None:
                return End.COMPLETE
            event: Event = data[self._subject.field]
            leg.events.append(event)
            if leg.after + len(leg.events) > len(self._cursors):
                self._cursors.append(event["cursor"])
            self._notice(event)
        return End.CUT
