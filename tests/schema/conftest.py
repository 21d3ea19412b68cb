"""Fixtures of the schema's tests."""

import pytest

from tests.schema.support import Api


@pytest.fixture
async def api() -> Api:
    """The API of a test, whose parts answer as the test says."""
    return Api()
