"""What a playbook's commands see, say and leave behind."""

from __future__ import annotations

import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from domain.errors import TeamError
from domain.model import JsonObject, LogLevel, MetricType, PlanStep
from domain.plan import PlanDraft
from domain.signals import (
    LinesSaid,
    SampleTaken,
    Signal,
    StepFailed,
    StepFinished,
    StepMoved,
    StepStarted,
)
from teams.playbook.output import MAX_LINE, MAX_LINES, LineSplitter, to_text
from tests.teams.playbooks import PROBE, Stage, python, write
from tests.teams.support import done, files, heard, lines, numbered, only, to_execute

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary directories, so that a test sees what is left in it."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def ran(folder: Path, *steps: JsonObject) -> list[Signal]:
    write(folder, *steps)
    return await Stage(folder).execute()


def failure(signals: list[Signal]) -> StepFailed:
    assert isinstance(signals[-1], StepFailed), signals[-1]
    return signals[-1]


def finished(signals: list[Signal]) -> list[str]:
    return [signal.key for signal in only(StepFinished, signals)]


async def probed(stage: Stage) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(lines(await stage.execute())[0].message)
    return seen


async def test_a_command_sees_its_files_its_arguments_and_little_else(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "notes.txt").write_text("n")
    step: JsonObject = {"command": python(PROBE, "{word}"), "files": ["tools/notes.txt"], "env": ["COLOUR", "UNSET"]}
    write(tmp_path, step, parameters={"word": {"type": "string"}})
    seen = await probed(Stage(tmp_path, {"COLOUR": "red", "SECRET": "s"}, word="a b; c"))
    assert seen["argv"] == ["a b; c"]
    assert seen["files"] == ["notes.txt"]
    assert seen["env"]["COLOUR"] == "red"
    assert seen["env"]["MGX_IDEMPOTENCY_KEY"] == "run-1/1/s1"
    assert set(seen["env"]) - {"LC_CTYPE", "PWD", "SHLVL", "_"} == {
        "PATH",
        "HOME",
        "TMPDIR",
        "LANG",
        "PYTHONUNBUFFERED",
        "COLOUR",
        "MGX_RUN_ID",
        "MGX_IDEMPOTENCY_KEY",
    }


async def test_outputs_become_artifacts_and_inputs_of_later_steps(tmp_path: Path, temporary: Path) -> None:
    signals = await ran(
        tmp_path,
        {
            "command": python("open('a.txt', 'w').write('made'); open('scrap', 'w').write('x')"),
            "outputs": [{"name": "a.txt", "media_type": "text/plain"}],
        },
        {
            "command": python("import os; print(os.listdir(), open('a.txt').read())"),
            "inputs": ["a.txt"],
        },
    )
    assert files(signals) == {"a.txt": b"made"}
    assert lines(signals)[-1].message == "['a.txt'] made"
    assert finished(signals) == ["s1", "s2"]
    assert os.listdir(temporary) == []


async def test_after_a_takeover_inputs_come_from_the_artifacts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"command": ["false"], "outputs": [{"name": "a.txt", "media_type": "text/plain"}]},
        {"command": ["cat", "{inputs.a.txt}"], "inputs": ["a.txt"]},
    )
    stage = Stage(tmp_path)
    plan = done(await stage.plan(), {"s1": {}})
    signals = await stage.execute(plan, {"a.txt": b"kept"})
    assert [line.message for line in lines(signals)] == ["kept"]
    assert finished(signals) == ["s2"]
    gone = await stage.execute(plan, {})
    assert failure(gone).error == "The artifact 'a.txt', which this step reads, is gone."


async def test_the_approved_plan_runs_and_not_the_file(tmp_path: Path) -> None:
    write(tmp_path, {"command": ["echo", "approved"]})
    stage = Stage(tmp_path)
    plan = await stage.plan()
    write(tmp_path, {"command": ["echo", "sneaked in"]})
    assert [line.message for line in lines(await stage.execute(plan))] == ["approved"]


async def test_a_file_that_changed_since_approval_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("print('approved')")
    write(tmp_path, {"command": ["{python}", "{files.tool.py}"], "files": ["tool.py"]})
    stage = Stage(tmp_path)
    plan = await stage.plan()
    assert [line.message for line in lines(await stage.execute(plan))] == ["approved"]
    (tmp_path / "tool.py").write_text("print('sneaked in')")
    changed = await stage.execute(plan)
    assert failure(changed).error.startswith("The playbook's file 'tool.py' has changed since the plan was made")
    assert lines(changed) == []
    (tmp_path / "tool.py").unlink()
    assert (
        failure(await stage.execute(plan)).error
        == "The playbook's file 'tool.py' can't be read: No such file or directory."
    )
    (tmp_path / "mine.yaml").unlink()
    context = to_execute(stage.run, plan)
    orphaned = failure(await heard(stage.playbooks(stage.config).execute(context)))
    assert orphaned.error == "The playbook of this plan is not on this server any more."


async def test_a_plan_of_another_team_is_not_run(tmp_path: Path) -> None:
    write(tmp_path, {"command": ["true"]})
    foreign = numbered(PlanDraft(summary="", steps=(PlanStep(key="k", title="t"),)))
    with pytest.raises(TeamError, match="not planned by a playbook") as refusal:
        await Stage(tmp_path).execute(foreign)
    assert refusal.value.step == "k"


async def test_standard_output_is_info_and_standard_error_a_warning(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); print('no end', end='')"
    said = lines(await ran(tmp_path, {"command": python(code)}))
    assert {(line.message, line.level, line.step) for line in said} == {
        ("out", LogLevel.INFO, "s1"),
        ("no end", LogLevel.INFO, "s1"),
        ("err", LogLevel.WARNING, "s1"),
    }


async def test_a_command_reads_nothing_from_us(tmp_path: Path) -> None:
    said = lines(await ran(tmp_path, {"command": python("import sys; print(repr(sys.stdin.read()))")}))
    assert [line.message for line in said] == ["''"]


async def test_metrics_and_progress_are_read_from_the_output(tmp_path: Path) -> None:
    code = """
    print('::metric {"name": "rows", "value": 480, "unit": "rows"}')
    print('::metric {"name": "sold", "value": 1.5, "type": "COUNTER", "labels": {"region": "north"}}')
    print('::progress 0.4')
    """
    signals = await ran(tmp_path, {"command": python(code)})
    assert only(SampleTaken, signals) == [
        SampleTaken(name="rows", value=480, unit="rows"),
        SampleTaken(name="sold", value=1.5, type=MetricType.COUNTER, labels={"region": "north"}),
    ]
    assert only(StepMoved, signals) == [StepMoved(key="s1", fraction=0.4)]
    assert lines(signals) == []
    assert only(StepFinished, signals)[0].output == {"attempts": 1, "artifacts": [], "metrics": {"rows": 480.0}}


@pytest.mark.parametrize(
    "line",
    [
        "::metric rows=3",
        "::metric []",
        '::metric {"name": "rows"}',
        '::metric {"name": "", "value": 1}',
        '::metric {"name": "rows", "value": NaN}',
        '::metric {"name": "rows", "value": true}',
        '::metric {"name": "rows", "value": 1, "type": ["GAUGE"]}',
        '::metric {"name": "rows", "value": 1, "unit": 3}',
        '::metric {"name": "rows", "value": 1, "labels": {"a": 1}}',
        '::metric {"name": "rows", "value": 1, "colour": "red"}',
        '::metric {"name": "rows", "value": 1' + "0" * 400 + "}",
        "::metric " + "[" * 8000,
        "::progress",
        "::progress 1.1",
        "::progress nan",
        "::other",
    ],
)
async def test_a_malformed_report_stays_a_log_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "line").write_text(line)
    signals = await ran(tmp_path, {"command": ["cat", "line"], "files": ["line"]})
    assert [said.message for said in lines(signals)] == [line]
    assert only(SampleTaken, signals) == []


async def test_a_program_that_is_not_there_fails_the_step_at_once(tmp_path: Path) -> None:
    signals = await ran(tmp_path, {"command": ["no-such-program"], "retries": 3}, {"command": ["true"]})
    assert signals == [
        StepStarted(key="s1"),
        StepFailed(key="s1", error="There is no program 'no-such-program' on this server.", retryable=False),
    ]


async def test_a_file_that_is_no_program_fails_the_step(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("x")
    signals = await ran(tmp_path, {"command": ["./tool"], "files": ["tool"]})
    assert failure(signals).error == "The program './tool' can't be run: Permission denied."


async def test_an_exit_code_fails_the_step_with_the_last_lines(tmp_path: Path) -> None:
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(9)]; sys.exit(3)"
    signals = await ran(tmp_path, {"command": python(code)}, {"command": ["true"]})
    assert failure(signals).error.splitlines() == [
        "The command ended with exit code 3.",
        *(f"line {number}" for number in range(4, 9)),
    ]
    assert failure(signals).retryable
    assert [started.key for started in only(StepStarted, signals)] == ["s1"]


async def test_a_command_that_kills_itself_fails_the_step(tmp_path: Path) -> None:
    signals = await ran(tmp_path, {"command": ["sh", "-c", "kill -9 $$"]})
    assert failure(signals).error == "The command was ended by SIGKILL."


async def test_a_failed_attempt_is_repeated_in_a_fresh_directory(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    code = """
    import os, sys
    seen = os.path.exists(sys.argv[1])
    print(os.listdir()); open(sys.argv[1], 'a').close(); open('scrap', 'w').close()
    sys.exit(0 if seen else 7)
    """
    signals = await ran(tmp_path, {"command": python(code, str(counter)), "retries": 2})
    assert len(only(StepStarted, signals)) == 2
    assert [line.message for line in lines(signals)] == [
        "[]",
        "Attempt 1 of 3 failed and is repeated. The command ended with exit code 7.",
        "[]",
    ]
    finish = only(StepFinished, signals)[0]
    assert finish.output == {"attempts": 2, "artifacts": [], "metrics": {}}


async def test_a_step_fails_when_no_attempt_is_left(tmp_path: Path) -> None:
    signals = await ran(tmp_path, {"command": ["false"], "retries": 2})
    assert len(only(StepStarted, signals)) == 3
    assert failure(signals).error == "The command ended with exit code 1."


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("pass", "The command did not write its output 'a.txt'."),
        (
            "import os; os.symlink('/etc/passwd', 'a.txt')",
            "The output 'a.txt' can't be read: Too many levels of symbolic",
        ),
        ("import os; os.mkdir('a.txt')", "The output 'a.txt' is no regular file."),
        ("import os; os.mkfifo('a.txt')", "The output 'a.txt' is no regular file."),
        ("open('a.txt', 'wb').truncate(33 << 20)", "The output 'a.txt' has 34603008 bytes; at most 33554432 are kept."),
    ],
)
async def test_an_output_that_is_not_as_declared_fails_the_step(tmp_path: Path, code: str, error: str) -> None:
    output: JsonObject = {"name": "a.txt", "media_type": "text/plain"}
    signals = await ran(tmp_path, {"command": python(code), "outputs": [output]})
    assert failure(signals).error.startswith(error)
    assert files(signals) == {}


@pytest.mark.parametrize("line_length", [1024, 2**40], ids=["lines", "one endless line"])
async def test_100_mib_of_output_neither_block_nor_fill_memory(tmp_path: Path, line_length: int) -> None:
    code = """
    import os, sys
    size, line = 1 << 20, int(sys.argv[1])
    block = (b'x' * (line - 1) + b'\\n') * (size // line) if line < size else b'x' * size
    for _ in range(100):
        sent = 0
        while sent < size:
            sent += os.write(1, block[sent:])
    """
    write(tmp_path, {"command": python(code, str(line_length))})
    stage = Stage(tmp_path)
    context = to_execute(stage.run, await stage.plan())
    kept = dropped = 0
    last: Signal | None = None
    tracemalloc.start()
    try:
        async for signal in stage.team().execute(context):
            last = signal
            if isinstance(signal, LinesSaid):
                kept += len(signal.lines)
                dropped += signal.dropped
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(last, StepFinished)
    expected = 100 * MIB // line_length or 1
    assert (kept, dropped) == (min(expected, MAX_LINES), max(expected - MAX_LINES, 0))
    assert peak < 16 * MIB


def test_a_long_line_is_cut_at_a_character() -> None:
    assert to_text(b"a" * MAX_LINE) == "a" * MAX_LINE
    cut = to_text("é".encode() * MAX_LINE)
    assert len(cut.encode()) <= MAX_LINE
    assert cut == "é" * (len(cut) - 1) + "…"
    assert len(to_text(b"\xff" * MAX_LINE).encode()) <= MAX_LINE
    assert to_text(b"a\0b\r") == "a\ufffdb"


def test_lines_are_found_however_the_bytes_arrive() -> None:
    text = b"one\n\ntwo three\n" + b"x" * 50 + b"\nlast"
    whole = LineSplitter(limit=20)
    expected = whole.feed(text) + whole.end()
    for size in range(1, len(text)):
        splitter = LineSplitter(limit=20)
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        found = [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()
        assert [line[:20] for line in found] == [line[:20] for line in expected]
