"""Ten thousand documents: compiled selections answer as Strawberry's own executor does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.execution.comparison import FORGETFUL
from tests.execution.product import Product
from tests.execution.properties import check_events, check_mutations, check_odd, check_queries

EXAMPLES: Final = 625
"""Of each of the four properties; an example is four documents."""

pytestmark = [FORGETFUL, pytest.mark.long, pytest.mark.asyncio(loop_scope="module")]
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("check", [check_queries, check_mutations, check_events])
@many
@given(data=st.data())
async def test_the_product(
    filled: Product, check: Callable[[Product, st.DataObject], Awaitable[None]], data: st.DataObject
) -> None:
    await check(filled, data)


@many
@given(data=st.data())
async def test_objects_that_hold_anything(data: st.DataObject) -> None:
    await check_odd(data)
