"""What a cluster must stand, in small; `tests/long` has the same at full size."""

from pathlib import Path
from typing import Final

import pytest

from tests.backing import has_redis
from tests.long.cluster import Layout
from tests.long.cluster_storm import Size, storm
from tests.long.races import Size as Races
from tests.long.races import race
from tests.long.rage import Load
from tests.long.upgrade import Size as Upgrades
from tests.long.upgrade import upgrade

SMALL: Final = Layout(workers=2, lease=3.0)

needs_redis = pytest.mark.skipif(not has_redis(), reason="there is no redis-server: neither a wheel nor on the PATH")


@needs_redis
async def test_every_promise_is_kept_while_a_process_is_killed_and_one_is_frozen(tmp_path: Path) -> None:
    outcome = await storm(Size(Load(runs=8, at_once=8), kills=1, freezes=1), SMALL, tmp_path)
    assert not outcome.violations, outcome.report()


@needs_redis
async def test_decisions_at_different_processes_have_one_winner(tmp_path: Path) -> None:
    outcome = await race(Races(races=12, at_once=12), SMALL, tmp_path)
    assert not outcome.violations, outcome.report()


async def test_an_upgrade_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    outcome = await upgrade(Upgrades(events=300, kills=1), tmp_path)
    assert not outcome.violations, outcome.report()
