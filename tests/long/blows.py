"""Blows to a cluster: processes are killed and frozen at random, and come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeAlias

from tests.long.cluster import Cluster
from tests.long.members import Member
from tests.long.rage import Reached

_Blow: TypeAlias = Callable[[Cluster, Member, Random], Awaitable[None]]

PATIENCE = 5.0
"""Seconds after which a blow is struck even though the runs have not come far enough."""


async def kill_and_freeze(cluster: Cluster, kills: int, freezes: int, rng: Random, reached: Reached) -> None:
    """Strike as often as asked, spread over the runs.

    Kills and freezes go on beside each other, but one worker is always left alone: with none, nothing moves on.

    Args:
        cluster: What to strike.
        kills: How often to kill -9 a process of ours; it is started again soon after.
        freezes: How often to SIGSTOP one for twice the lease.
        rng: Says when and whom.
        reached: Waits until the runs are so far.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_series(cluster, kills, _kill, rng, reached))
        group.create_task(_series(cluster, freezes, _freeze, rng, reached))


async def restart_one_by_one(cluster: Cluster, rounds: int, rng: Random, reached: Reached) -> None:
    """Stop each process as an operator does who brings in a new version, and start it again before the next."""
    for place in range(rounds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await reached(place / rounds)
        for member in rng.sample(cluster.members, len(cluster.members)):
            await asyncio.sleep(rng.uniform(0.2, 1.0))
            await member.stop()
            await member.start()


async def _series(cluster: Cluster, count: int, blow: _Blow, rng: Random, reached: Reached) -> None:
    for place in range(count):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await reached(place / count)
        await asyncio.sleep(rng.choice((rng.uniform(0.0, 0.1), rng.uniform(0.2, 1.0), rng.uniform(0.2, 1.0))))
        member = await _victim(cluster, rng)
        member.is_busy = True
        try:
            await blow(cluster, member, rng)
        finally:
            member.is_busy = False


async def _kill(cluster: Cluster, member: Member, rng: Random) -> None:
    await member.kill()
    await asyncio.sleep(rng.uniform(0.0, 1.5))
    await member.start()


async def _freeze(cluster: Cluster, member: Member, rng: Random) -> None:
    await member.freeze(2 * cluster.layout.lease)


async def _victim(cluster: Cluster, rng: Random) -> Member:
    """Return whom to strike next: two in three are workers; waits while only one worker is well."""
    while True:
        workers = [member for member in cluster.workers if not member.is_busy]
        apis: list[Member] = [member for member in cluster.apis if not member.is_busy]
        group = workers if rng.random() < 0.67 else apis
        if group is apis and apis:
            return rng.choice(apis)
        if group is workers and len(workers) > 1:
            return rng.choice(workers)
        await asyncio.sleep(0.05)
