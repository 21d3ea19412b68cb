"""Whatever objects hold, compiled selections answer as Strawberry's own executor does."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.execution.comparison import FORGETFUL
from tests.execution.properties import check_odd


@FORGETFUL
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_objects_that_hold_anything(data: st.DataObject) -> None:
    await check_odd(data)
