from pathlib import Path

import pytest

from tests.long.rage import Load
from tests.long.storm import Size, storm


@pytest.mark.long
async def test_every_promise_is_kept_through_thirty_power_cuts_and_five_restarts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = await storm(Size(Load(runs=200, at_once=20), kills=30, stops=5), tmp_path)
    with capsys.disabled():
        print(f"\n{outcome.report()}")
    assert not outcome.violations, outcome.report()
