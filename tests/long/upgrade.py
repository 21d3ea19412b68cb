"""Upgrades that are killed in the middle, of a database with many events, and then begun again: all must be there.

On SQLite and PostgreSQL, by the migrations that come after the schema revision before the newest. Nothing in the
product waits to be killed: on PostgreSQL another session has a lock that the upgrade needs in the end, on SQLite the
process is stopped while it holds the database's write lock. Run it with `python -m tests.long.upgrade --help`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from storage.migrate import HEAD
from tests.backing import PostgresServer, running
from tests.e2e.client import Api
from tests.e2e.work import awaiting, ended, new_task
from tests.long.net import new_http
from tests.long.old_data import Shape, digests, fill, multiply, previous_revision, revision, shape
from tests.long.outcome import Outcome, draw_seed, run_program
from tests.long.records import Json
from tests.long.upgraded import PostgresPlace, SqlitePlace, UpgradePlace, start_upgrade
from tests.servers import running_server

_SAMPLE_RUNS: Final = 10
_CONFIG: Final = {"steps": 4, "stepSeconds": 0, "planSeconds": 0, "logsPerStep": 3, "metricsPerStep": 2}
_WAITING: Final = "{ runs(first: 1, filter: {needsApproval: true}) { totalCount nodes { id } } }"
_MISSES: Final = 10
"""How many upgrades may end before they are killed, for each that is."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many events there are at least, and how many upgrades are killed on each database."""

    events: int = 100_000
    kills: int = 3


async def upgrade(size: Size, folder: Path, *, seed: int | None = None) -> Outcome:
    """Upgrade both databases, and judge what came of it."""
    seed, began = draw_seed(seed), time.monotonic()
    source = folder / "source"
    source.mkdir()
    waiting = await _live(source)
    copies = await asyncio.to_thread(multiply, source / "mgx.db", size.events)
    trial = _Trial(size, folder, waiting * copies, Random(seed))
    await trial.of("sqlite", SqlitePlace(folder), source / "mgx.db")
    with running(PostgresServer) as postgres:
        await trial.of("postgresql", PostgresPlace(postgres), source / "mgx.db")
    figures = {"seconds": round(time.monotonic() - began, 1), "from": previous_revision(), "to": HEAD, **trial.figures}
    return Outcome(seed=seed, violations=trial.violations, figures=figures)


@dataclass(frozen=True, slots=True)
class _Old:
    """What a database was before its upgrade."""

    kind: str
    columns: Shape
    digests: Mapping[str, str]

    @classmethod
    def read(cls, kind: str, url: str) -> _Old:
        columns = shape(url)
        return cls(kind, columns, digests(url, columns))

    def compare(self, url: str, when: str, expected: str) -> list[str]:
        """Return what a copy of it has lost, and whether it is of another revision than is expected."""
        now = digests(url, self.columns)
        complaints = [f"{self.kind}: other rows in {name} {when}" for name in now if now[name] != self.digests[name]]
        if (actual := revision(url)) != expected:
            complaints.append(f"{self.kind}: revision {actual} instead of {expected} {when}")
        return complaints


class _Trial:
    """Upgrades one database after the other.

    Attributes:
        violations: What was lost.
        figures: What there was, by the kind of database.
    """

    def __init__(self, size: Size, folder: Path, waiting: int, rng: Random) -> None:
        self.violations: list[str] = []
        self.figures: Json = {}
        self._size = size
        self._folder = folder
        self._waiting = waiting
        self._rng = rng

    async def of(self, kind: str, place: UpgradePlace, source: Path) -> None:
        """Kill upgrades of copies of a database in the middle, and begin each again."""
        await asyncio.to_thread(fill, source, place.url)
        old = await asyncio.to_thread(_Old.read, kind, place.url)
        found: Counter[str] = Counter()
        while found["killed"] < self._size.kills and found["missed"] < _MISSES * self._size.kills:
            with place.copy() as url:
                if not await asyncio.to_thread(place.kill, url, self._rng):
                    found["missed"] += 1
                    continue
                found["killed"] += 1
                self.violations += old.compare(url, "after the kill", previous_revision())
                await asyncio.to_thread(self._finish, kind, url)
                self.violations += old.compare(url, "after the upgrade", HEAD)
                if found["killed"] == self._size.kills:
                    self.violations += [f"{kind}: {complaint}" for complaint in await self._live_on(url)]
        if found["killed"] < self._size.kills:
            self.violations.append(f"{kind}: upgrades are too quick to be killed: {dict(found)}")
        self.figures[kind] = dict(found) | {"tables": len(old.columns)}

    def _finish(self, kind: str, url: str) -> None:
        process = start_upgrade(self._folder, url)
        _, complaint = process.communicate()
        if process.returncode:
            self.violations.append(f"{kind}: the upgrade can't be begun again: {complaint}")

    async def _live_on(self, url: str) -> list[str]:
        """Go on with the upgraded database; return what is wrong with it."""
        complaints = []
        async with new_http() as http:
            with running_server(self._folder, MGX_DATABASE_URL=url) as server:
                api = Api(http, server.url)
                waiting = (await api.ask(_WAITING))["runs"]
                if waiting["totalCount"] != self._waiting:
                    complaints.append(f"{waiting['totalCount']} runs wait for a decision, {self._waiting} did")
                await api.do("approveRun", runId=waiting["nodes"][0]["id"], approved=True)
                old, new = await _completed(api, waiting["nodes"][0]["id"]), await ended(api)
                complaints += [f"run {run['id']} ended as {run['status']}" for run in (old, new) if not _is_done(run)]
        return complaints


async def _live(folder: Path) -> int:
    """Have some runs on a new database of SQLite; return how many wait for a decision."""
    async with new_http() as http:
        with running_server(folder) as server:
            api = Api(http, server.url)
            task = await new_task(api, config=_CONFIG, approvalTimeout=2_592_000)
            for number in range(_SAMPLE_RUNS):
                await ended(
                    api, task, config={"artifactsPerStep": number % 2, "failAt": 3 if number % 5 == 4 else None}
                )
            await awaiting(api, task)
    return 1


async def _completed(api: Api, run_id: str) -> Any:
    await api.life(run_id)
    return await api.run(run_id)


def _is_done(run: Any) -> bool:
    return bool(run["status"] == "COMPLETED")


async def _play(args: Namespace, folder: Path) -> Outcome:
    return await upgrade(Size(args.events, args.kills), folder, seed=args.seed)


def main() -> int:
    """Run upgrades from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=3, help="on each database")
    return run_program(parser, _play)


if __name__ == "__main__":
    sys.exit(main())
