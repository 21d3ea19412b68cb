"""What a playbook's file may say; every mistake is named with its line."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from teams.playbook import check_playbook
from teams.playbook.library import PACKAGED

FINE = """\
description: Counts.
parameters:
  word: {type: string, default: a}
steps:
  - key: count
    title: Count
    command: [grep, --count, "--regexp={word}", words.txt]
    files: [words.txt]
"""


def problems(folder: Path, text: str) -> list[str]:
    (folder / "words.txt").write_text("a\nb\n")
    path = folder / "count.yaml"
    path.write_text(dedent(text))
    return check_playbook(path)


def changed(old: str, new: str) -> str:
    assert old in FINE
    return FINE.replace(old, new)


def test_a_fine_playbook_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path, FINE) == []


def test_the_packaged_playbooks_are_fine() -> None:
    paths = list(PACKAGED.glob("*/playbook.yaml"))
    assert paths
    assert [check_playbook(path) for path in paths] == [[] for _ in paths]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "description: Counts.",
            "descripton: Counts.",
            "line 1: descripton: descripton is not a known key; known are: ",
        ),
        ("title: Count", "titel: Count", "line 6: steps.1.titel: titel is not a known key; known are: command, env,"),
        ("    title: Count\n", "", "line 5: steps.1.title: title is required."),
        ('[grep, --count, "--regexp={word}", words.txt]', "grep", "line 7: steps.1.command: command must be a list."),
        ("[grep, --count", "[grep, 3", "line 7: steps.1.command.2: item 2 must be a string."),
        ("files: [words.txt]", "timeout: 0", "line 8: steps.1.timeout: timeout must be at least 0.1; it is 0."),
        ("files: [words.txt]", "retries: 11", "line 8: steps.1.retries: retries must be at most 10; it is 11."),
        ("files: [words.txt]", "timeout: .nan", "line 8: steps.1.timeout: timeout must be a finite number."),
        ("type: string,", "type: text,", "line 3: parameters.word.type: type must be one of string, integer, number,"),
        ("  word:", "  Word:", "line 2: parameters: Word can't be a key of parameters; it must match the pattern"),
        ("  word:", "  python:", "line 2: parameters: python can't be a key of parameters; it must match the pattern"),
        ("default: a}", "default: 3}", "line 3: parameters.word.default: word must be a string."),
        (
            "default: a}",
            "pattern: '[0-9]+', default: a}",
            "line 3: parameters.word.default: word must match the pattern",
        ),
        ("default: a}", "pattern: '(', default: a}", "line 3: parameters.word.pattern: '(' is no regular expression: "),
        ("default: a}", "enum: [b], default: a}", "line 3: parameters.word.default: word must be one of b; it is a."),
        (
            "default: a}",
            "minimum: 1}",
            "line 3: parameters.word.minimum: minimum is not for parameters of type string.",
        ),
        (
            "type: string, default: a",
            "type: integer, minimum: 2, maximum: 1",
            "line 3: parameters.word.minimum: minimum is",
        ),
        (
            "type: string, default: a",
            "type: file, folder: ../up",
            "line 3: parameters.word.folder: there is no folder '../up'",
        ),
        ("type: string, default: a", "type: file", "line 3: parameters.word.folder: there is no folder 'data' beside"),
        ("--regexp={word}", "--regexp={wort}", "line 7: steps.1.command.3: there is no parameter 'wort'."),
        ("--regexp={word}", "--regexp=a", "line 3: parameters.word: no command uses this parameter."),
        (
            "--regexp={word}",
            "--regexp={word",
            "line 7: steps.1.command.3: a single { in '--regexp={word'; write {{ for",
        ),
        ("--regexp={word}", "{word} }", "line 7: steps.1.command.3: a single } in '{word} }'; write }} for"),
        ("--regexp={word}", "{word}{A B}", "line 7: steps.1.command.3: {A B} in '{word}{A B}' names no value"),
        ("--regexp={word}", "{word}{python}", "line 7: steps.1.command.3: {python} can only be the program"),
        ("--regexp={word}", "{word}{files.x}", "line 7: steps.1.command.3: the step has no 'x' among its files."),
        (
            "[grep,",
            '["{word}",',
            "line 7: steps.1.command.1: the program can't be a value; write its name, or {python}.",
        ),
        ("[grep,", '[" ",', "line 7: steps.1.command.1: the program can't be a value"),
        ("[grep,", '["a\\0",', "line 7: steps.1.command.1: a command can't hold the character NUL."),
        ("[words.txt]", "[../secret]", "line 8: steps.1.files.1: '../secret' must be a relative path to a file beside"),
        (
            "[words.txt]",
            "[/etc/passwd]",
            "line 8: steps.1.files.1: '/etc/passwd' must be a relative path to a file beside",
        ),
        ("[words.txt]", "[word.txt]", "line 8: steps.1.files.1: there is no file 'word.txt' beside the playbook."),
        ("files: [words.txt]", "inputs: [x]", "line 8: steps.1.inputs.1: no earlier step has the output 'x'."),
        (
            "files: [words.txt]",
            "env: [MGX_DATABASE_URL]",
            "line 8: steps.1.env.1: MGX_DATABASE_URL is a setting of the",
        ),
        ("files: [words.txt]", "env: [HOME]", "line 8: steps.1.env.1: HOME is always set for commands."),
        ("files: [words.txt]", "env: [A=B]", "line 8: steps.1.env.1: item 1 must match the pattern"),
        (
            "files: [words.txt]",
            "outputs: [{name: ../x, media_type: text/plain}]",
            "line 8: steps.1.outputs.1.name: '../x' must be a plain file name",
        ),
        (
            "files: [words.txt]",
            "outputs: [{name: x, media_type: text}]",
            "line 8: steps.1.outputs.1.media_type: media_type must match the pattern",
        ),
        (
            "files: [words.txt]",
            "outputs: [{name: x, media_type: text/plain}, {name: x, media_type: text/plain}]",
            "line 8: steps.1.outputs.2.name: 'x' is already an output of step 'count'.",
        ),
        (
            "files: [words.txt]",
            "files: [words.txt]\n    outputs: [{name: words.txt, media_type: text/plain}]",
            "line 5: steps.1: the step has 'words.txt' twice among its files, inputs and outputs.",
        ),
        (
            "files: [words.txt]",
            "files: [words.txt]\n  - {key: count, title: Again, command: [true]}",
            "line 9: steps.2.command.1: item 1 must be a string.",
        ),
        (
            "files: [words.txt]",
            "files: [words.txt]\n  - {key: count, title: Again, command: ['true']}",
            "line 5: steps.1.key: 'count' is the key of two steps.",
        ),
        ("default: a}", "default: a, default: b}", "line 3: the key 'default' comes twice"),
        ("default: a}", "default: 2026-11-23}", "line 3: put '2026-11-23' in quotes; a timestamp is not allowed here"),
        ("default: a}", "default: !!binary aGk=}", "line 3: put 'aGk=' in quotes; a binary is not allowed here"),
        ("default: a}", "3: a}", "line 3: put the key '3' in quotes; keys are texts"),
        ("default: a}", "default: a", "line 4, column 6: expected ',' or '}', but got"),
        ("Counts.", "[*x]", "line 1, column 15: found undefined alias"),
        ("Counts.", "&x [*x]", "line 1: anchors and aliases are not allowed; write the value out"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(tmp_path, changed(old, new)))


def test_all_mistakes_are_named_in_the_order_of_lines(tmp_path: Path) -> None:
    found = problems(tmp_path, changed("{word}", "{x}").replace("words.txt]", "nowhere.txt]"))
    assert found == [
        "line 7: steps.1.command.3: there is no parameter 'x'.",
        "line 8: steps.1.files.1: there is no file 'nowhere.txt' beside the playbook.",
    ]


def test_a_link_out_of_the_folder_is_no_file_of_the_playbook(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "secret")
    found = problems(tmp_path / "inside", changed("[words.txt]", "[link]"))
    assert found == ["line 8: steps.1.files.1: 'link' must be a relative path to a file beside the playbook."]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1: the playbook must be an object."),
        (b"- a", "line 1: the playbook must be an object."),
        (b"\xff\xfe\xfa", "line 1: the file is not UTF-8 at byte 0"),
        (b"a: \x07", "line 1: unacceptable character #x0007"),
        (b"[" * 100_000, "line 1: the values are nested too deeply"),
        (b" " * 300_000, "line 1: the file is larger than 262144 bytes"),
    ],
)
def test_a_file_that_is_no_playbook_says_so(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    assert check_playbook(path)[0].startswith(expected)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert check_playbook(tmp_path / "x.yaml") == ["line 1: the file can't be read: No such file or directory"]
