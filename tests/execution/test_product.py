"""Whatever is asked of the product's schema, compiled selections answer as Strawberry's own executor does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.events import EventType
from tests.execution.comparison import FORGETFUL, Compared
from tests.execution.product import SCHEMA, Product, event_types, product, spoil
from tests.execution.properties import check_events, check_mutations, check_queries

pytestmark = [FORGETFUL, pytest.mark.asyncio(loop_scope="module")]

some = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spoiled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """A store with rows that nothing of ours wrote."""
    folder = tmp_path_factory.mktemp("spoiled")
    async with product(folder) as made:
        spoil(folder)
        yield made


async def test_there_is_something_of_every_kind(filled: Product) -> None:
    assert await event_types(filled) == set(EventType)


@pytest.mark.parametrize("of", ["runs", "tasks", "events"])
async def test_there_are_edges_where_all_of_them_is_left_out(filled: Product, of: str) -> None:
    text = (
        f"query ($c: Boolean!) {{ {of}(first: 2) {{ edges {{ node @skip(if: $c) {{ id }} cursor @skip(if: $c) }} }} }}"
    )
    outcome = await Compared(SCHEMA, text).answer({"c": True}, filled.context)
    assert outcome.data == repr({of: {"edges": [{}, {}]}})


@some
@given(data=st.data())
async def test_queries(filled: Product, data: st.DataObject) -> None:
    await check_queries(filled, data)


@some
@given(data=st.data())
async def test_queries_of_rows_that_cannot_be(spoiled: Product, data: st.DataObject) -> None:
    await check_queries(spoiled, data)


@some
@given(data=st.data())
async def test_mutations(filled: Product, data: st.DataObject) -> None:
    await check_mutations(filled, data)


@some
@given(data=st.data())
async def test_events_of_every_type(filled: Product, data: st.DataObject) -> None:
    await check_events(filled, data)
