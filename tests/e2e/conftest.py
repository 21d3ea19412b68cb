"""One server for all tests of this folder that need no settings of their own, on the loop it runs on in production."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import uvloop

from graph.fanout import stream
from tests.e2e.client import Api
from tests.e2e.server import Served, serving


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server whose slots are never all taken, so that tests don't wait for each other's runs."""
    folder = tmp_path_factory.mktemp("e2e")
    settings = {"max_concurrent_runs": 500, "default_team": "rehearsal", "database_synchronous": "NORMAL"}
    async with serving(folder, **settings) as running:
        yield running


@pytest.fixture(scope="session")
def api(served: Served) -> Api:
    return served.api


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what falls due together be written together however slow the machine is."""
    monkeypatch.setattr(stream, "SLICE_SECONDS", 3600.0)
