"""Fixtures for tests of execution."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.execution.product import Product, product


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """A store with something of every kind."""
    async with product(tmp_path_factory.mktemp("product")) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """See that what Strawberry's own executor forgot, see `FORGETFUL`, is not reported of another module."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()
