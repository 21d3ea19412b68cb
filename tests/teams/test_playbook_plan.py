"""What a playbook's plan shows, and which parameters it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from domain.errors import InvalidInputError, TeamError
from domain.model import JsonObject, JsonValue
from domain.plan import changes
from domain.ports import Round
from teams.errors import TeamSetupError
from teams.playbook import Playbooks
from teams.registry import Registry
from tests.teams.playbooks import Stage, write
from tests.teams.support import numbered, planned, run_of, to_plan

EVERY_KIND: JsonObject = {
    "word": {"type": "string", "pattern": "[a-z ;$()'\"-]+", "default": "a"},
    "free": {"type": "string", "default": ""},
    "colour": {"type": "string", "enum": ["red", "-blue"], "default": "red"},
    "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
    "ratio": {"type": "number", "default": 0.5},
    "loud": {"type": "boolean", "default": False},
    "must": {"type": "integer"},
    "data": {"type": "file", "default": "a.csv"},
}
COMMAND: list[JsonValue] = [
    "tool",
    "--word={word}",
    "{free}",
    "{colour}",
    "{count}{ratio}",
    "{loud}",
    "{must}",
    "{data}",
    "{{}}",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("a.csv", "b.csv", ".hidden"):
        (tmp_path / "data" / name).write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "data" / "link.csv").symlink_to(tmp_path / "secret.txt")
    write(tmp_path, {"command": COMMAND, "timeout": 5, "retries": 2}, parameters=EVERY_KIND)
    return tmp_path


async def argv(folder: Path, **parameters: JsonValue) -> JsonValue:
    plan = await Stage(folder, None, must=1, **parameters).plan()
    return plan.steps[0].spec["command"]


async def test_the_plan_shows_what_will_run(folder: Path) -> None:
    step = (await Stage(folder, must=7).plan()).steps[0]
    assert step.detail.splitlines()[0] == "tool --word=a '' red 10.5 false 7 a.csv '{}'"
    assert "At most 5 s, repeated up to 2 times if it fails." in step.detail
    assert step.spec["command"] == ["tool", "--word=a", "", "red", "10.5", "false", "7", "a.csv", "{}"]
    assert (step.spec["timeout"], step.spec["retries"]) == (5, 2)


@pytest.mark.parametrize("word", ["a; rm -rf x", "$(id)", "a 'b' \"c\"", "--help"])
async def test_a_value_stays_within_its_argument(folder: Path, word: str) -> None:
    assert await argv(folder, word=word) == ["tool", f"--word={word}", "", "red", "10.5", "false", "1", "a.csv", "{}"]


async def test_a_value_is_not_looked_at_for_values(folder: Path) -> None:
    command = await argv(folder, free="{python} {must}")
    assert isinstance(command, list)
    assert command[2] == "{python} {must}"


async def test_whole_numbers_are_written_whole(folder: Path) -> None:
    command = await argv(folder, count=3.0, ratio=2)
    assert isinstance(command, list)
    assert command[4] == "32"


@pytest.mark.parametrize(
    ("parameters", "name", "message"),
    [
        ({}, "must", "must is required."),
        ({"must": "1"}, "must", "must must be a whole number."),
        ({"must": 1, "what": 1}, "what", "what is not a known key; known are: colour, count,"),
        ({"must": 1, "count": 0}, "count", "count must be at least 1; it is 0."),
        ({"must": 1, "count": 10}, "count", "count must be at most 9; it is 10."),
        ({"must": 1, "count": True}, "count", "count must be a whole number."),
        ({"must": 1, "ratio": float("inf")}, "ratio", "ratio must be a finite number."),
        ({"must": 1, "word": "A"}, "word", "word must match the pattern"),
        ({"must": 1, "word": "a\n"}, "word", "word must match the pattern"),
        ({"must": 1, "colour": "green"}, "colour", "colour must be one of red, -blue; it is green."),
        ({"must": 1, "loud": "yes"}, "loud", "loud must be true or false."),
        ({"must": 1, "free": "a\0b"}, "free", "free holds a character that no command can be given."),
        ({"must": 1, "free": "\ud800"}, "free", "free holds a character that no command can be given."),
        ({"must": 1, "free": "-o"}, "free", "free must not begin with '-': the program of step 's1' would take it for"),
        ({"must": 1, "data": "../secret.txt"}, "data", "data must be one of a.csv, b.csv; it is ../secret.txt."),
        ({"must": 1, "data": "/etc/passwd"}, "data", "data must be one of a.csv, b.csv; it is /etc/passwd."),
        ({"must": 1, "data": ".hidden"}, "data", "data must be one of a.csv, b.csv; it is .hidden."),
        ({"must": 1, "data": "link.csv"}, "data", "data must be one of a.csv, b.csv; it is link.csv."),
        ({"must": None}, "must", "must must be a whole number."),
    ],
)
def test_a_refused_parameter_is_named(folder: Path, parameters: JsonObject, name: str, message: str) -> None:
    config: JsonObject = {"playbook": "mine", "parameters": parameters}
    with pytest.raises(InvalidInputError) as refusal:
        Playbooks(folder=folder).validate(config)
    assert refusal.value.path == ("config", "parameters", name)
    assert refusal.value.message.startswith(message)
    with pytest.raises(InvalidInputError) as by_registry:
        Registry(playbooks=folder).validate("playbook", config)
    assert by_registry.value.path == ("config", "parameters", name)


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        (
            {"playbook": "../mine"},
            ("config", "playbook"),
            "playbook must be one of analyze-sales, mine; it is ../mine.",
        ),
        ({"playbook": 3}, ("config", "playbook"), "playbook must be a string."),
        ({"parameters": []}, ("config", "parameters"), "parameters must be an object."),
        ({"command": ["rm"]}, ("config", "command"), "command is not a known key; known are: parameters, playbook."),
        ({"parameters": {"top": 0}}, ("config", "parameters", "top"), "top must be at least 1; it is 0."),
        ({"playbook": "mine"}, ("config", "parameters", "must"), "must is required."),
    ],
)
def test_a_refused_config_names_the_field(
    folder: Path, config: JsonObject, path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        Registry(playbooks=folder).validate("playbook", config)
    assert (refusal.value.path, refusal.value.message) == (path, message)


def test_an_enum_may_hold_what_begins_with_a_dash(folder: Path) -> None:
    Registry(playbooks=folder).validate("playbook", {"playbook": "mine", "parameters": {"must": 1, "colour": "-blue"}})


def test_the_published_schema_tells_the_parameters_of_each_playbook(folder: Path) -> None:
    schema = Playbooks(folder=folder).config_schema
    rules = schema["allOf"]
    assert isinstance(rules, list)
    found = [yaml.safe_dump(rule) for rule in rules if "const: mine" in yaml.safe_dump(rule)]
    assert len(found) == 1
    assert all(f"{name}:" in found[0] for name in EVERY_KIND)


async def test_a_playbook_is_read_anew_for_each_plan(folder: Path) -> None:
    stage = Stage(folder, must=1)
    first = await stage.plan()
    write(folder, {"command": ["other", *COMMAND[1:]]}, parameters=EVERY_KIND)
    second = await stage.plan()
    assert [first.steps[0].detail.split()[0], second.steps[0].detail.split()[0]] == ["tool", "other"]


async def test_a_changed_file_beside_the_playbook_changes_the_digest(folder: Path) -> None:
    stage = Stage(folder, must=1)
    first = await stage.plan()
    (folder / "data" / "a.csv").write_text("changed")
    assert (await stage.plan()).digest != first.digest


async def test_feedback_is_noted_and_changes_no_step(folder: Path) -> None:
    stage = Stage(folder, must=1)
    first = await stage.plan()
    _, again = await planned(stage.team(), to_plan(stage.run, [Round(plan=first, feedback="Use count 3.")]))
    second = numbered(again, previous=first, feedback="Use count 3.")
    assert changes(first.steps, second.steps) == ()
    assert "Use count 3." in second.summary
    assert "feedback changed nothing" in second.summary


def test_a_playbook_of_the_operator_stands_before_a_packaged_one(tmp_path: Path) -> None:
    write(tmp_path, {"command": ["true"]}, name="analyze-sales")
    with pytest.raises(InvalidInputError, match="top is not a known key"):
        Registry(playbooks=tmp_path).validate("playbook", {"parameters": {"top": 3}})


def test_a_playbook_may_have_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "boxed").mkdir()
    write(tmp_path / "boxed", {"command": ["true"]}, name="playbook")
    Registry(playbooks=tmp_path).validate("playbook", {"playbook": "boxed"})


def test_an_unusable_playbook_is_refused_with_its_first_mistake(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("description: x\nsteps: []\n")
    with pytest.raises(InvalidInputError) as refusal:
        Registry(playbooks=tmp_path).validate("playbook", {"playbook": "mine"})
    assert refusal.value.path == ("config", "playbook")
    assert refusal.value.message == (
        "The playbook 'mine' can't be used until the operator mends its file: line 2: steps: steps must not be empty."
    )


async def test_a_playbook_that_is_gone_ends_the_planning(folder: Path) -> None:
    team = Playbooks(folder=folder)({"playbook": "mine", "parameters": {"must": 1}})
    (folder / "mine.yaml").unlink()
    with pytest.raises(TeamError, match="There is no playbook 'mine'; there are: analyze-sales"):
        await planned(team, to_plan(run_of("playbook", {})))


async def test_two_files_of_one_name_end_the_planning(folder: Path) -> None:
    parameters: JsonObject = {"data": {"type": "file"}}
    output: JsonObject = {"name": "a.csv", "media_type": "text/csv"}
    write(folder, {"command": ["cat", "{data}"], "outputs": [output]}, parameters=parameters)
    with pytest.raises(TeamError, match=r"Step 's1' would have two files 'a\.csv'"):
        await Stage(folder, data="a.csv").plan()


def test_a_missing_folder_or_default_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(TeamSetupError, match="is not there"):
        Registry(playbooks=tmp_path / "nowhere")
    with pytest.raises(TeamSetupError, match="There is no playbook 'x' to be the default; there are: analyze-sales"):
        Registry(default_playbook="x")
    (tmp_path / "bad.yaml").write_text("steps: 3")
    with pytest.raises(TeamSetupError, match="The default playbook 'bad' can't be used: line 1"):
        Registry(playbooks=tmp_path, default_playbook="bad")
