"""Registering teams: what the operator may write, what a task may name, and what each mistake is answered with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from domain.errors import InvalidInputError, TeamError
from domain.model import JsonObject
from domain.ports import Teams
from teams.registry import Registry, TeamSetupError, parse_teams
from teams.rehearsal import Rehearsal

MODULE = "operators_teams"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an importable module of an operator, with factories good and bad."""
    source = '''
        from domain.errors import InvalidInputError

        class Idle:
            async def plan(self, context):
                yield
            async def execute(self, context):
                yield

        def plain(config):
            """Does nothing.

            At some length.
            """
            return Idle()

        def picky(config):
            return Idle()

        picky.description = "Wants a colour."
        picky.config_schema = {
            "type": "object",
            "properties": {
                "colour": {"type": "string", "maxLength": 5},
                "deep": {"properties": {"n": {"type": "integer"}}},
            },
            "required": ["colour"],
        }

        def _validate(config):
            if config["colour"] == "grey":
                raise ValueError("grey is no colour.")
            if config["colour"] == "pink":
                raise InvalidInputError("Not pink.", path=("colour",))

        picky.validate = _validate

        def shapeless(config):
            return object()

        def broken(config):
            raise RuntimeError("out of order")

        def late(config):
            return Idle()
        late.config_schema = {"type": "objekt"}

        def remote(config):
            return Idle()
        remote.config_schema = {"$ref": "http://127.0.0.1:9/schema.json"}

        def slow(config):
            return Idle()
        async def _slow(config): ...
        slow.validate = _slow

        number = 3
    '''
    (tmp_path / f"{MODULE}.py").write_text(dedent(source))
    (tmp_path / "operators_broken.py").write_text("raise RuntimeError('no licence\\nfound')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield MODULE
    for name in (MODULE, "operators_broken"):
        sys.modules.pop(name, None)


def test_teams_are_read_from_one_line() -> None:
    assert parse_teams(" a=pkg.mod:make , b-2 = mod:Team,") == {"a": "pkg.mod:make", "b-2": "mod:Team"}
    assert parse_teams("  ") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mine", "'mine' is not of the form name=package.module:factory."),
        ("mine=pkg.mod", "'pkg.mod' is not of the form package.module:factory."),
        ("mine=:make", "':make' is not of the form"),
        ("mine=pkg..mod:make", "'pkg..mod:make' is not of the form"),
        ("mine=pkg.mod:a.b", "'pkg.mod:a.b' is not of the form"),
        ("=pkg.mod:make", "'' can't be a team's name"),
        ("my team=pkg.mod:make", "'my team' can't be a team's name"),
        ("a=m:f,a=m:g", "The team 'a' is registered twice."),
    ],
)
def test_a_malformed_line_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(TeamSetupError) as refusal:
        parse_teams(text)
    assert message in str(refusal.value)


def test_built_in_and_custom_teams_are_described_by_name(module: str) -> None:
    described = {
        team.name: team for team in Registry({"zebra": f"{module}:picky", "ant": f"{module}:plain"}).describe()
    }
    assert list(described) == sorted(described)
    assert described["rehearsal"].config_schema == Rehearsal.config_schema
    assert described["zebra"].description == "Wants a colour."
    assert described["ant"].description == "Does nothing."
    assert described["ant"].config_schema == {"type": "object"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("operators_missing:make", "Team 'x': can't import 'operators_missing': ModuleNotFoundError: No module named"),
        ("operators_broken:make", "Team 'x': can't import 'operators_broken': RuntimeError: no licence found"),
        (f"{MODULE}:nothing", f"Team 'x': the module '{MODULE}' has no function or class 'nothing'."),
        (f"{MODULE}:number", f"Team 'x': the module '{MODULE}' has no function or class 'number'."),
        (f"{MODULE}:late", "Team 'x': config_schema of 'operators_teams:late' is unusable: 'objekt' is not valid"),
        (f"{MODULE}:slow", "Team 'x': validate of 'operators_teams:slow' must be a plain function"),
    ],
)
@pytest.mark.usefixtures("module")
def test_an_unusable_factory_stops_the_start_with_one_line(place: str, message: str) -> None:
    with pytest.raises(TeamSetupError) as refusal:
        Registry({"x": place})
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_a_built_in_name_is_taken(module: str) -> None:
    with pytest.raises(TeamSetupError, match="'rehearsal' is built in"):
        Registry({"rehearsal": f"{module}:plain"})


def test_an_unknown_team_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InvalidInputError, match=r"There is no team 'nobody'; registered are .*rehearsal") as refusal:
        Registry().validate("nobody", {})
    assert refusal.value.path == ("team",)


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({}, ("config", "colour"), "colour is required."),
        ({"colour": "purple"}, ("config", "colour"), "colour must have at most 5 characters."),
        ({"colour": "red", "deep": {"n": 1.5}}, ("config", "deep", "n"), "n must be a whole number."),
        ({"colour": "grey"}, ("config",), "grey is no colour."),
        ({"colour": "pink"}, ("config", "colour"), "Not pink."),
    ],
)
def test_a_refused_config_names_the_field(module: str, config: JsonObject, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        Registry({"picky": f"{module}:picky"}).validate("picky", config)
    assert (refusal.value.path, refusal.value.message) == (path, message)


def test_a_schema_is_never_fetched(module: str) -> None:
    with pytest.raises(InvalidInputError, match=r"refers to 'http://127.0.0.1:9/schema.json', which it does not hold"):
        Registry({"remote": f"{module}:remote"}).validate("remote", {})


def test_a_team_is_made_anew_each_time(module: str) -> None:
    registry: Teams = Registry({"mine": f"{module}:plain"})
    assert registry.create("mine", {}) is not registry.create("mine", {})


def test_a_team_that_is_gone_is_unavailable() -> None:
    with pytest.raises(TeamError) as refusal:
        Registry().create("retired", {})
    assert refusal.value.code == "TEAM_UNAVAILABLE"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("broken", "The team 'x' can't be made: RuntimeError: out of order"),
        ("shapeless", "The factory of team 'x' returned object, which has neither plan and execute nor"),
    ],
)
def test_a_factory_that_makes_no_team_is_a_team_error(module: str, factory: str, message: str) -> None:
    with pytest.raises(TeamError) as failure:
        Registry({"x": f"{module}:{factory}"}).create("x", {})
    assert str(failure.value).startswith(message)
