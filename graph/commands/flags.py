"""Settings as flags: each field of `graph.settings.Settings` under its own name, with dashes."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Collection
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from graph.commands.command import CommandError
from graph.settings import Settings

_PREFIX: Final = str(Settings.model_config.get("env_prefix"))


def add_settings(parser: ArgumentParser, only: Collection[str] | None = None) -> None:
    """Declare a flag for each setting.

    Args:
        parser: Of a command that calls `read_settings`.
        only: Names of the fields that get one; all of them by default.
    """
    parser.usage = "%(prog)s [SETTING ...]"
    for name, field in Settings.model_fields.items():
        if only is None or name in only:
            _add(parser, name, field)


def read_settings(arguments: Namespace) -> Settings:
    """Make the settings from the flags that were given and, for the rest, the environment.

    Raises:
        CommandError: A value is not possible; the message names the flag or variable that it came from.
    """
    given = {name: value for name, value in vars(arguments).items() if name in Settings.model_fields}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise CommandError(" ".join(_explain(detail, given) for detail in error.errors()), exit_code=2) from None


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{_PREFIX}{name.upper()}"


def _add(parser: ArgumentParser, name: str, field: FieldInfo) -> None:
    default = "" if field.default in {None, "", ()} else f", default {field.default}"
    text = f"{field.description} [{variable(name)}{default}]".replace("%", "%%")
    if bool in _types(field.annotation):
        parser.add_argument(flag(name), dest=name, default=SUPPRESS, action=BooleanOptionalAction, help=text)
    else:
        parser.add_argument(flag(name), dest=name, default=SUPPRESS, metavar=_metavar(field), help=text)


def _types(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) or (annotation,)


def _metavar(field: FieldInfo) -> str:
    types = _types(field.annotation)
    if get_origin(field.annotation) is Literal:
        return "|".join(types)
    if int in types or float in types:
        return "N"
    return "TEXT"


def _explain(detail: ErrorDetails, given: Collection[str]) -> str:
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    if not detail["loc"]:
        return f"{message}."
    name = str(detail["loc"][0])
    source = flag(name) if name in given else variable(name)
    return f"{source} is {detail['input']!r}: {message}."
