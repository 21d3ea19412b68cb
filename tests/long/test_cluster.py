"""What a cluster must stand, at full size; `python -m tests.long.NAME` runs one, with a seed and other sizes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.long import cluster_storm, faults, races, rolling, upgrade
from tests.long.cluster import Layout
from tests.long.outcome import Outcome
from tests.long.rage import Load

pytestmark = pytest.mark.long


@pytest.fixture
def judge(capsys: pytest.CaptureFixture[str]) -> Callable[[Outcome], None]:
    """Print an outcome, and fail when a promise was broken."""

    def look(outcome: Outcome) -> None:
        with capsys.disabled():
            print(f"\n{outcome.report()}")
        assert not outcome.violations, outcome.report()

    return look


async def test_every_promise_is_kept_while_processes_are_killed_and_frozen(
    tmp_path: Path, judge: Callable[[Outcome], None]
) -> None:
    size = cluster_storm.Size(Load(runs=300, at_once=20), kills=30, freezes=10)
    judge(await cluster_storm.storm(size, Layout(), tmp_path))


async def test_every_promise_is_kept_while_the_database_and_the_bell_fail(
    tmp_path: Path, judge: Callable[[Outcome], None]
) -> None:
    judge(await faults.suffer(faults.Size(Load(runs=100, at_once=8)), Layout(is_proxied=True), tmp_path))


async def test_decisions_at_different_processes_have_one_winner(
    tmp_path: Path, judge: Callable[[Outcome], None]
) -> None:
    judge(await races.race(races.Size(races=200), Layout(), tmp_path))


async def test_a_rolling_restart_is_noticed_by_nobody(tmp_path: Path, judge: Callable[[Outcome], None]) -> None:
    judge(await rolling.roll(rolling.Size(Load(runs=100, at_once=12), rounds=3), Layout(), tmp_path))


async def test_upgrades_that_are_killed_lose_nothing(tmp_path: Path, judge: Callable[[Outcome], None]) -> None:
    judge(await upgrade.upgrade(upgrade.Size(events=100_000, kills=3), tmp_path))
