from pathlib import Path

from tests.long.rage import Load
from tests.long.storm import Size, storm


async def test_every_promise_is_kept_while_the_server_is_killed_and_stopped(tmp_path: Path) -> None:
    outcome = await storm(Size(Load(runs=20, at_once=10), kills=3, stops=1), tmp_path)
    assert not outcome.violations, outcome.report()
