"""The teams that tasks can name: the built-in ones and those that the operator registered."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

from domain.errors import InvalidInputError, TeamError
from domain.model import JsonObject
from domain.ports import Team, TeamInfo
from teams.errors import TeamSetupError
from teams.mgx import MgxTeam
from teams.playbook import DEFAULT_PLAYBOOK, Playbooks
from teams.rehearsal import Rehearsal
from teams.schema import check_config, check_schema

ANY_CONFIG: Final[JsonObject] = {"type": "object"}

__all__ = ["Registry", "TeamFactory", "TeamSetupError", "parse_teams"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_log: Final = logging.getLogger(__name__)


class TeamFactory(Protocol):
    """Makes a team for one phase of a run.

    It may carry `description` (a sentence), `config_schema` (JSON Schema, draft 2020-12) and `validate(config)`, which
    raises ValueError or `domain.errors.InvalidInputError`; they are read by name, so a plain function will do.
    """

    def __call__(self, config: JsonObject, /) -> object:
        """Return a `domain.ports.Team`, or an object with `analyze_and_plan` and `execute`."""
        ...


def parse_teams(text: str) -> dict[str, str]:
    """Read `name=package.module:factory, ...`.

    Returns:
        The places of the factories by name, in the order given; empty for blank text.

    Raises:
        TeamSetupError: A part does not have that form, or a name comes twice.
    """
    teams: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, place = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise TeamSetupError(f"{part!r} is not of the form name=package.module:factory.")
        if name in teams:
            raise TeamSetupError(f"The team {name!r} is registered twice.")
        _check_place(name, place)
        teams[name] = place
    return teams


class Registry:
    """The registered teams; everything is imported and checked when it is made.

    Args:
        custom: Places of the operator's factories, `package.module:factory`, by name.
        playbooks: The operator's folder of playbooks; None when there is none.
        default_playbook: The playbook of a config that names none.
        environment: The server's environment variables, of which commands see what their playbook lists.

    Raises:
        TeamSetupError: A factory can't be imported or is unusable, a name is taken or malformed, or the playbooks are
            not there.
    """

    def __init__(
        self,
        custom: Mapping[str, str] | None = None,
        *,
        playbooks: Path | None = None,
        default_playbook: str = DEFAULT_PLAYBOOK,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._factories: dict[str, TeamFactory] = {
            "playbook": Playbooks(folder=playbooks, default=default_playbook, environment=environment),
            "rehearsal": Rehearsal,
        }
        for name, place in (custom or {}).items():
            if name in self._factories:
                raise TeamSetupError(f"The team {name!r} is built in; register yours by another name.")
            _check_place(name, place)
            self._factories[name] = _load(name, place)

    def describe(self) -> Sequence[TeamInfo]:
        """Return the teams, sorted by name."""
        return [
            TeamInfo(name=name, description=_description(factory), config_schema=_schema(factory))
            for name, factory in sorted(self._factories.items())
        ]

    def validate(self, name: str, config: JsonObject, /) -> None:
        """Check a config by the team's schema, then by its own `validate`.

        Raises:
            InvalidInputError: Unknown team (path ("team",)), or a config that the team refuses (path ("config", ...)).
        """
        factory = self._factories.get(name)
        if factory is None:
            raise InvalidInputError(
                f"There is no team {name!r}; registered are {', '.join(sorted(self._factories))}.", path=("team",)
            )
        check_config(_schema(factory), config)
        validate = _validate(factory)
        if validate is None:
            return
        try:
            validate(config)
        except InvalidInputError as error:
            path = error.path if error.path[:1] == ("config",) else ("config", *error.path)
            raise InvalidInputError(error.message, path=path) from error
        except ValueError as error:
            raise InvalidInputError(str(error) or "The team refuses this config.", path=("config",)) from error

    def create(self, name: str, config: JsonObject, /) -> Team:
        """Make a team for one phase of a run.

        Raises:
            TeamError: It is not registered any more (TEAM_UNAVAILABLE), its factory failed, or it made no team.
        """
        factory = self._factories.get(name)
        if factory is None:
            raise TeamError(f"The team {name!r} is not registered on this server.", code="TEAM_UNAVAILABLE")
        try:
            made = factory(config)
        except TeamError:
            raise
        except Exception as error:
            _log.exception("The factory of team %r failed.", name)
            raise TeamError(f"The team {name!r} can't be made: {type(error).__name__}: {error}") from error
        return _team(name, made)


def _team(name: str, made: object) -> Team:
    if _has(made, "plan", "execute"):
        return cast("Team", made)
    if _has(made, "analyze_and_plan", "execute"):
        return MgxTeam(made)
    raise TeamError(
        f"The factory of team {name!r} returned {type(made).__name__}, which has neither plan and execute nor "
        "analyze_and_plan and execute.",
        retryable=False,
    )


def _has(made: object, *methods: str) -> bool:
    return all(callable(getattr(made, method, None)) for method in methods)


def _check_place(name: str, place: str) -> None:
    if not _NAME.fullmatch(name):
        raise TeamSetupError(
            f"{name!r} can't be a team's name: 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit."
        )
    module, colon, attribute = place.partition(":")
    if not (colon and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise TeamSetupError(f"Team {name!r}: {place!r} is not of the form package.module:factory.")


def _load(name: str, place: str) -> TeamFactory:
    module_name, _, attribute = place.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise TeamSetupError(_one_line(f"Team {name!r}: can't import {module_name!r}: {_say(error)}")) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise TeamSetupError(f"Team {name!r}: the module {module_name!r} has no function or class {attribute!r}.")
    try:
        check_schema(_schema(factory))
    except ValueError as error:
        raise TeamSetupError(_one_line(f"Team {name!r}: config_schema of {place!r} is unusable: {error}")) from error
    validate = getattr(factory, "validate", None)
    if validate is not None and (not callable(validate) or inspect.iscoroutinefunction(validate)):
        raise TeamSetupError(f"Team {name!r}: validate of {place!r} must be a plain function of the config.")
    return cast("TeamFactory", factory)


def _schema(factory: TeamFactory) -> JsonObject:
    return cast("JsonObject", getattr(factory, "config_schema", ANY_CONFIG))


def _description(factory: TeamFactory) -> str:
    text = str(getattr(factory, "description", None) or inspect.getdoc(factory) or "")
    return text.split("\n\n", maxsplit=1)[0].strip()


def _validate(factory: TeamFactory) -> Callable[[JsonObject], Any] | None:
    return cast("Callable[[JsonObject], Any] | None", getattr(factory, "validate", None))


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
