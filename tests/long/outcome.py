"""What came of a program, for people, for programs and for tests."""

from __future__ import annotations

import asyncio
import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom

from tests.long.records import Json


@dataclass(frozen=True, slots=True)
class Goal:
    """A time or number that is aimed at; missing it breaks no promise, and depends on the machine."""

    name: str
    limit: float
    actual: float

    @property
    def is_met(self) -> bool:
        return self.actual <= self.limit

    def line(self) -> str:
        return f"{self.name} at most {self.limit:g}: {'PASS' if self.is_met else 'FAIL'} ({self.actual:g})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a program.

    Attributes:
        seed: Makes the same choices again, though not the same interleaving.
        violations: Every promise that was broken.
        figures: How much happened, and how fast.
        goals: What was aimed at.
        dumps: What is needed to understand the violations.
    """

    seed: int
    violations: list[str]
    figures: Json
    goals: list[Goal] = field(default_factory=list)
    dumps: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Return the outcome for people."""
        return "\n".join(
            [
                json.dumps(self.figures, indent=2),
                *self.dumps[:3],
                *self.violations[:50],
                *(goal.line() for goal in self.goals),
                f"{len(self.violations)} violations, seed {self.seed}",
            ]
        )

    def result(self) -> Json:
        """Return the outcome for programs."""
        goals = {goal.name: {"limit": goal.limit, "actual": goal.actual, "met": goal.is_met} for goal in self.goals}
        return {"violations": len(self.violations), "seed": self.seed, "goals": goals, **self.figures}


def draw_seed(seed: int | None) -> int:
    """Return the seed that was asked for, or one that nobody chose."""
    return SystemRandom().randrange(1_000_000) if seed is None else seed


def run_program(parser: ArgumentParser, play: Callable[[Namespace, Path], Awaitable[Outcome]]) -> int:
    """Run a program from the command line; the exit code says whether all promises were kept.

    Args:
        parser: With the program's own flags; `--seed`, `--json` and `--keep` are added.
        play: The program; gets the flags, and a folder for what it needs.
    """
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None, help="write the figures here as well")
    parser.add_argument(
        "--keep",
        type=Path,
        default=None,
        help="keep the logs of all processes, and what is known of runs with violations, in this folder",
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if args.keep is None else args.keep
        folder.mkdir(parents=True, exist_ok=True)

        async def main() -> Outcome:
            return await play(args, folder)

        outcome = asyncio.run(main())
    if args.keep is not None:
        (folder / "dumps.txt").write_text("\n\n".join(outcome.dumps))
    print(outcome.report())
    if args.json is not None:
        args.json.write_text(json.dumps(outcome.result(), indent=2))
    return 1 if outcome.violations else 0
