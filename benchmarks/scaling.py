"""Where each part saturates, and what shards bring: a calculation from measured costs, `python -m benchmarks.scaling`.

Costs are those that `python -m benchmarks costs` measures; give your own by flags. What depends on chance (who has how
many runs, when they come) is simulated with a fixed seed, so that the same flags give the same tables.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random
from statistics import fmean, median

BUSY = 0.7
"""Share of a part's capacity that is used: beyond it, waits grow quickly (see the third table)."""

SEED = 1
DRAWS = 20


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured, and what is asked for; milliseconds are of one core's time.

    Attributes:
        api_ms: Of an API process, for a run with its requests.
        worker_ms: Of a worker, for a run.
        postgres_ms: Of PostgreSQL, for a run.
        delivery_us: Of an API process, for one event to one more subscriber who asks for the same as others.
        events: Of a run.
        watchers: Subscribers of a run.
        sequencer_eps: Events a second that get their places, by whichever process does it.
        wal_kib: Written ahead for a run.
        kept_kib: Kept of a run.
        disk_mib: MiB a second that the disk takes, log and tables.
        cores: That PostgreSQL has.
    """

    api_ms: float = 11.0
    worker_ms: float = 20.2
    postgres_ms: float = 14.3
    delivery_us: float = 9.0
    events: float = 13.0
    watchers: float = 3.0
    sequencer_eps: float = 8_000.0
    wal_kib: float = 43.1
    kept_kib: float = 20.6
    disk_mib: float = 200.0
    cores: float = 8.0


@dataclass(frozen=True, slots=True)
class Part:
    """Something that does work.

    Attributes:
        limit: Runs a second of one of it, if it does nothing else.
        grows: How more of it is had.
    """

    name: str
    limit: float
    grows: str


def parts(costs: Costs) -> Sequence[Part]:
    """Return the parts of one database, with the limit of each."""
    api = costs.api_ms + costs.delivery_us / 1000 * costs.events * costs.watchers
    return (
        Part("API process", 1000 / api, "add processes"),
        Part("worker process", 1000 / costs.worker_ms, "add processes"),
        Part("PostgreSQL, processors", 1000 / costs.postgres_ms * costs.cores, "more cores, then shards"),
        Part(
            "PostgreSQL, disk", costs.disk_mib * 1024 / (costs.wal_kib + costs.kept_kib), "a faster disk, then shards"
        ),
        Part("sequencer", costs.sequencer_eps / costs.events, "shards only"),
    )


def needed(costs: Costs, rate: float) -> Mapping[str, int]:
    """Return how many of each part a load needs at `BUSY`; those of a database count as shards.

    Args:
        costs: What one run costs.
        rate: Runs a second.
    """
    each = {part.name: math.ceil(rate / (part.limit * BUSY)) for part in parts(costs)}
    shards = max(each[name] for name in each if not name.endswith("process"))
    return {"API processes": each["API process"], "worker processes": each["worker process"], "databases": shards}


def imbalance(shards: int, tenants: int, runs: int, *, by_tenant: bool, random: Random) -> float:
    """Return how much more the fullest shard has than the average one.

    Tenants differ as words do: the n-th has a share of 1/n (Zipf's law). A shard is chosen by a hash, here by chance.
    """
    load = [0.0] * shards
    if by_tenant:
        for rank in range(1, tenants + 1):
            load[random.randrange(shards)] += 1 / rank
    else:
        for _ in range(runs):
            load[random.randrange(shards)] += 1
    return max(load) / fmean(load)


def wait_for_slot(slots: int, busy: float, *, arrivals: int, random: Random) -> tuple[float, float]:
    """Return the mean and the 99th percentile of the wait for a slot, in lengths of a run.

    Runs come at random and last as long as chance will (M/M/c); `erlang_c` gives the mean exactly.
    """
    free: list[float] = [0.0] * slots
    now, waits = 0.0, []
    for _ in range(arrivals):
        now += random.expovariate(slots * busy)
        begin = max(now, free[0])
        waits.append(begin - now)
        heapq.heapreplace(free, begin + random.expovariate(1.0))
    waits.sort()
    return fmean(waits), waits[int(0.99 * len(waits))]


def erlang_c(slots: int, busy: float) -> float:
    """Return the mean wait for a slot, in lengths of a run (Erlang, 1917)."""
    offered = slots * busy
    blocked = 1.0
    for used in range(1, slots + 1):
        blocked = offered * blocked / (used + offered * blocked)
    waiting = blocked / (1 - busy * (1 - blocked))
    return waiting / (slots * (1 - busy))


def report(costs: Costs) -> Iterator[str]:
    """Yield the tables, in Markdown."""
    yield "| part | runs/s of one, at most | more of it by |\n|---|---|---|"
    for part in parts(costs):
        yield f"| {part.name} | {part.limit:,.0f} | {part.grows} |"
    loads = (10, 100, 1_000, 5_000)
    yield "\n| runs/s | " + " | ".join(needed(costs, 1)) + " | kept a day |\n|---|---|---|---|---|"
    for rate in loads:
        day = rate * 86_400 * costs.kept_kib / 1024**2
        yield (
            f"| {rate:,} | "
            + " | ".join(f"{count:,}" for count in needed(costs, rate).values())
            + f" | {day:,.0f} GiB |"
        )
    yield f"\nAll at {BUSY:.0%} of what each can do.\n"
    yield "| slots | busy | mean wait | by Erlang's formula | p99 |\n|---|---|---|---|---|"
    for slots in (8, 32, 128):
        for busy in (0.5, 0.7, 0.9):
            mean, late = wait_for_slot(slots, busy, arrivals=200_000, random=Random(SEED))
            yield f"| {slots} | {busy:.0%} | {mean:.3f} | {erlang_c(slots, busy):.3f} | {late:.2f} |"
    yield "\nWaits are in lengths of a run.\n"
    yield "| shards | fullest by tenant | fullest by run | borne by tenant | borne by run |\n|---|---|---|---|---|"
    for shards in (2, 4, 8, 16, 32):
        tenant, run = (
            median(
                imbalance(shards, 1_000, 20_000, by_tenant=by_tenant, random=Random(SEED + draw))
                for draw in range(DRAWS)
            )
            for by_tenant in (True, False)
        )
        yield f"| {shards} | {tenant:.2f} | {run:.2f} | {shards / tenant:.1f}x | {shards / run:.1f}x |"
    yield f"\n1,000 tenants by Zipf's law, 20,000 runs; medians of {DRAWS} draws; 1.00 is even.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    for field in fields(Costs):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    for line in report(Costs(**vars(parser.parse_args()))):
        print(line)


if __name__ == "__main__":
    main()
