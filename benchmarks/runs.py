"""How many runs a second the embedded engine does."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks import load
from benchmarks.results import Table
from tests.servers import running_server

ROUNDS = 3
WHOLE_RUNS = 200
CREATED = 400
IN_FLIGHT = 16
CLIENTS = 8


async def measure(folder: Path) -> Table:
    """Do the same with both settings of SQLite's durability, in turn."""
    whole: dict[str, list[float]] = {"FULL": [], "NORMAL": []}
    created: dict[str, list[float]] = {"FULL": [], "NORMAL": []}
    for number in range(ROUNDS):
        for synchronous, rates in whole.items():
            place = folder / f"{synchronous}-{number}"
            place.mkdir()
            with running_server(place, MGX_DATABASE_SYNCHRONOUS=synchronous) as server:
                rates.append(await load.whole_runs([server.url], WHOLE_RUNS, IN_FLIGHT))
                created[synchronous].append(await load.created([server.url], CREATED, CLIENTS))
    table = Table(
        f"median of {ROUNDS} rounds in turn: {WHOLE_RUNS} whole runs (plan, approve, 3 empty steps), {IN_FLIGHT} in "
        f"flight; {CREATED} createRun by {CLIENTS} clients, most of them while all slots are busy",
        samples={
            f"{what} {key}": values
            for what, by in (("whole", whole), ("created", created))
            for key, values in by.items()
        },
    )
    for name, figures in (("whole runs", whole), ("createRun", created)):
        for synchronous, values in figures.items():
            spread = f"{min(values):.0f} to {max(values):.0f}"
            table.row(f"{name}, {synchronous}", f"{median(values):.0f}/s", spread)
        table.row(f"{name}, NORMAL against FULL", f"{median(figures['NORMAL']) / median(figures['FULL']):.1f}x")
    return table
