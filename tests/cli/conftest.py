"""One server for the tests that don't end it."""

import signal
from collections.abc import Iterator

import pytest

from tests.servers import Server, running_server


@pytest.fixture(scope="package", autouse=True)
def _interruptible() -> None:
    """Have commands hear Ctrl-C, which whatever a script starts in its background ignores, with all it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running
