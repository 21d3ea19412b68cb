"""The transports are tested on uvicorn as it runs in production: uvloop, httptools, sans-io WebSockets."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.transport.support import Server, serve


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serve() as running:
        yield running


@pytest.fixture
async def fuzzed() -> AsyncIterator[Server]:
    """One server for all examples of a property."""
    async with serve() as running:
        yield running
