"""How a playbook's commands are ended: whole groups, in time, whatever they do about it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from domain.model import JsonValue
from domain.signals import LinesSaid, Signal, StepFailed, StepFinished, StepStarted
from teams.playbook import process
from tests.teams.playbooks import Stage, write
from tests.teams.support import lines, only, to_execute

FAMILY = """
import os, signal, socket, subprocess, sys
name, role = sys.argv[1], sys.argv[2]
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "escapes" in sys.argv and role == "child":
    os.setsid()
held = socket.socket(socket.AF_UNIX)
held.connect(name)
held.sendall(role.encode() + b"\\n")
if role == "parent":
    subprocess.Popen([sys.executable, __file__, name, "child", *sys.argv[3:]])
    if "leaves" in sys.argv:
        held.recv(1)
        sys.exit(0)
print(role, flush=True)
held.recv(1) if "escapes" in sys.argv else signal.pause()
"""


class Witness:
    """Hears which processes live: each holds a connection that the kernel closes when it is gone."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._connections: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._joined = asyncio.Semaphore(0)
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._join, self.path)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        role = (await reader.readline()).decode().strip()
        self._connections[role] = (reader, writer)
        self._joined.release()

    async def joined(self, count: int) -> None:
        for _ in range(count):
            await self._joined.acquire()

    def let_go(self, role: str) -> None:
        """Let a process that waits for it go on."""
        self._connections[role][1].write(b"x")

    async def all_gone(self) -> None:
        for reader, _ in self._connections.values():
            assert await reader.read() == b""

    async def close(self) -> None:
        for _, writer in self._connections.values():
            writer.close()
        assert self._server is not None
        self._server.close()


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    # The path of a unix socket has little room.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        witness = Witness(Path(folder) / "s")
        await witness.listen()
        yield witness
        await witness.close()


def family(folder: Path, witness: Witness, *manners: str, **step: Any) -> Stage:
    """A playbook whose command has a child of its own; neither ends by itself."""
    (folder / "family.py").write_text(FAMILY)
    command: list[JsonValue] = ["{python}", "{files.family.py}", witness.path, "parent", *manners]
    write(folder, {"command": command, "files": ["family.py"], **step})
    return Stage(folder)


async def execution(stage: Stage) -> AsyncIterator[Signal]:
    return stage.team().execute(to_execute(stage.run, await stage.plan()))


async def collected(stage: Stage) -> list[Signal]:
    return [signal async for signal in await execution(stage)]


@pytest.mark.parametrize("manners", [(), ("deaf",)], ids=["polite", "deaf to SIGTERM"])
async def test_a_cancel_ends_the_whole_group(
    tmp_path: Path, witness: Witness, temporary: Path, manners: tuple[str, ...]
) -> None:
    work = asyncio.create_task(collected(family(tmp_path, witness, *manners)))
    await witness.joined(2)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await witness.all_gone()
    assert os.listdir(temporary) == []


async def test_closing_the_generator_ends_the_whole_group(tmp_path: Path, witness: Witness, temporary: Path) -> None:
    signals = cast("Any", await execution(family(tmp_path, witness)))
    async with aclosing(signals):
        async for signal in signals:
            if isinstance(signal, LinesSaid):
                break
        await witness.joined(2)
    await witness.all_gone()
    assert os.listdir(temporary) == []


async def test_a_second_cancel_kills_at_once(tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE", 3600.0)
    termed = asyncio.Event()
    kill = os.killpg

    def killpg(group: int, number: int) -> None:
        kill(group, number)
        termed.set()

    work = asyncio.create_task(collected(family(tmp_path, witness, "deaf")))
    await witness.joined(2)
    monkeypatch.setattr(os, "killpg", killpg)
    work.cancel()
    await termed.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await witness.all_gone()


@pytest.mark.parametrize("manners", [(), ("deaf",)], ids=["polite", "deaf to SIGTERM"])
async def test_a_timeout_ends_the_whole_group_and_fails_the_step(
    tmp_path: Path, witness: Witness, manners: tuple[str, ...]
) -> None:
    signals = await collected(family(tmp_path, witness, *manners, timeout=1.0))
    await witness.all_gone()
    assert isinstance(signals[-1], StepFailed)
    assert signals[-1].error == "The command took longer than 1 s and was ended."
    assert signals[-1].retryable


async def test_a_timed_out_attempt_is_repeated(tmp_path: Path) -> None:
    write(tmp_path, {"command": ["sleep", "60"], "timeout": 0.1, "retries": 1})
    signals = await collected(Stage(tmp_path))
    assert len(only(StepStarted, signals)) == 2
    assert [line.message for line in lines(signals)] == [
        "Attempt 1 of 2 failed and is repeated. The command took longer than 0.1 s and was ended."
    ]


async def test_what_a_command_leaves_behind_is_ended(tmp_path: Path, witness: Witness) -> None:
    work = asyncio.create_task(collected(family(tmp_path, witness, "leaves")))
    await witness.joined(2)
    witness.let_go("parent")
    signals = await work
    await witness.all_gone()
    assert isinstance(signals[-1], StepFinished)


async def test_a_process_that_left_the_group_does_not_hold_the_step_up(
    tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.1)
    work = asyncio.create_task(collected(family(tmp_path, witness, "leaves", "escapes")))
    await witness.joined(2)
    witness.let_go("parent")
    signals = await work
    assert isinstance(signals[-1], StepFinished)
    witness.let_go("child")
    await witness.all_gone()
