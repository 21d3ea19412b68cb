"""A server of its own and a fresh Chromium for each test."""

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.browser.graphiql_page import GraphiQLPage

MGX = Path(sys.executable).with_name("mgx")
START_SECONDS = 60
STOP_SECONDS = 30
ADDRESS = re.compile(r"http://127\.0\.0\.1:[1-9]\d*")
CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # Chromium's sandbox refuses root, which containers run as
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1440,900",
)


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mgx serve` on a free port and an empty database, as a user starts it."""
    database = tmp_path_factory.mktemp("server") / "mgx.db"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MGX_")} | {
        "MGX_DATABASE_URL": f"sqlite+aiosqlite:///{database}",
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        [MGX, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as server:
        assert server.stdout is not None
        lines: queue.Queue[str | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(server.stdout, lines))
        reader.start()
        try:
            address = _address(lines)
            httpx.get(f"{address}/readyz").raise_for_status()
            yield address
        finally:
            server.terminate()
            reader.join(STOP_SECONDS)
            server.kill()  # does nothing to a server that has ended by itself


def _read(output: IO[str], lines: queue.Queue[str | None]) -> None:
    """Read to the end, so that a full pipe never blocks the server."""
    for line in output:
        lines.put(line)
    lines.put(None)


def _address(lines: queue.Queue[str | None]) -> str:
    """Wait for the line that names the server's address."""
    seen = ""
    while (line := lines.get(timeout=START_SECONDS)) is not None:
        seen += line
        if match := ADDRESS.search(line):
            return match[0]
    pytest.fail(f"The server ended before it was ready:\n{seen}")


@pytest.fixture
def page(origin: str, tmp_path: Path) -> Iterator[GraphiQLPage]:
    """GraphiQL, opened by someone who was never there before."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail("These tests need Debian's packages chromium and chromium-driver.")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*CHROMIUM_FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        graphiql = GraphiQLPage(browser, origin)
        graphiql.open()
        yield graphiql
    finally:
        browser.quit()


@pytest.fixture
def api(origin: str) -> Iterator[httpx.Client]:
    """A client of the same server, for what happens beside the page."""
    with httpx.Client(base_url=origin) as client:
        yield client
