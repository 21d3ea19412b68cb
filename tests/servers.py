"""`mgx serve` as a process of its own, as a user starts it, for tests from end to end."""

import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

MGX = Path(sys.executable).with_name("mgx")
START_SECONDS = 120
STOP_SECONDS = 30
_ADDRESS = re.compile(r"https?://[^\s,]+")


@dataclass(frozen=True)
class Process:
    """A process of ours that said that it is ready.

    Attributes:
        said: The line in which it did.
        log: Everything that it, and processes before it with the same log, wrote to standard error.
    """

    said: str
    log: Path
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> int:
        """Ask it to end, as an operator does, and return its exit code; twice is fine."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does; twice is fine."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it do nothing, as a machine that is suspended."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)  # does nothing when it has ended
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"The process did not end:\n{self.log.read_text()}") from None
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()
        return code


@dataclass(frozen=True)
class Server(Process):
    """A server that answered `/readyz` with 200.

    Attributes:
        url: Its address without a slash at the end; `{url}/graphql` is the API.
    """

    url: str

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port


def environment(tmp_path: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with no `MGX_*` of its own: a database in the folder, any free port."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MGX_")}
    ours = {"MGX_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'mgx.db'}", "MGX_PORT": "0"}
    return inherited | ours | dict(env or {})


def start_server(tmp_path: Path, *flags: str, name: str = "server", **env: str) -> Server:
    """Start `mgx serve` on `mgx.db` in the folder and wait until it is ready.

    Args:
        tmp_path: Also takes its log; start another server in the same folder to go on with the same database.
        flags: What follows `mgx serve`.
        name: Its log is `{name}.log`.
        env: Settings, such as `MGX_PORT="8123"`; the caller ends the server.
    """
    process = start_process(tmp_path, "serve", *flags, name=name, **env)
    try:
        match = _ADDRESS.search(process.said)
        assert match, f"The server ended before it was ready:\n{process.log.read_text()}"
        httpx.get(f"{match[0]}/readyz", timeout=START_SECONDS).raise_for_status()
    except BaseException:
        process.kill()
        raise
    return Server(said=process.said, log=process.log, process=process.process, url=match[0])


def start_process(tmp_path: Path, *words: str, name: str, **env: str) -> Process:
    """Start `mgx` with some words and wait for the one line that it prints when it is ready, or for its end.

    Args:
        tmp_path: Where it runs; `mgx.db` there is its database unless the settings say otherwise.
        words: Command and flags.
        name: Its log is `{name}.log` in the folder.
        env: Settings; the caller ends the process.
    """
    log = tmp_path / f"{name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [MGX, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(tmp_path, env),
            cwd=tmp_path,
        )
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(START_SECONDS), f"The process is not ready:\n{log.read_text()}"
        return Process(said=process.stdout.readline(), log=log, process=process)
    except BaseException:
        process.kill()
        process.communicate()
        raise


@contextmanager
def running_server(tmp_path: Path, **env: str) -> Iterator[Server]:
    """Have a server while the block runs; see `start_server`."""
    server = start_server(tmp_path, **env)
    try:
        yield server
    finally:
        server.stop()
