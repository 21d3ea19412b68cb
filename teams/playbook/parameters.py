"""What clients may give to a playbook, and how a value is checked and written into a command."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from domain.errors import InvalidInputError
from domain.model import JsonObject, JsonValue
from teams.schema import check_config

PATH: Final = ("config", "parameters")


class ParameterType(StrEnum):
    """Kind of a parameter's value; `file` is the name of one of the files in a folder beside the playbook."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter as a playbook declares it.

    Attributes:
        default: Value where none is given; only counts when `required` is false.
        pattern: Regular expression that the whole of a string must match.
        folder: Where the files of a `file` parameter lie.
    """

    name: str
    type: ParameterType
    description: str = ""
    required: bool = True
    default: JsonValue = None
    enum: tuple[JsonValue, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    folder: Path | None = None

    @classmethod
    def declared(cls, name: str, rules: Mapping[str, Any], folder: Path) -> Self:
        """Return the parameter that a playbook in a folder declares in the right form."""
        given = {key: rules[key] for key in ("description", "default", "minimum", "maximum", "pattern") if key in rules}
        kind = ParameterType(rules["type"])
        return cls(
            name=name,
            type=kind,
            required="default" not in rules,
            enum=tuple(rules.get("enum", ())),
            folder=folder / rules.get("folder", "data") if kind is ParameterType.FILE else None,
            **given,
        )

    def schema(self) -> JsonObject:
        """Return the JSON Schema of a value; the files of a folder are those that lie there now."""
        schema: JsonObject = {"type": "string" if self.type is ParameterType.FILE else self.type.value}
        if self.description:
            schema["description"] = self.description
        if not self.required:
            schema["default"] = self.default
        if self.type is ParameterType.FILE:
            schema["enum"] = [*files_in(self.folder)] if self.folder else []
        elif self.enum:
            schema["enum"] = [*self.enum]
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema

    def check(self, value: JsonValue, path: tuple[str, ...]) -> None:
        """Refuse a value.

        Raises:
            InvalidInputError: It is not of the type, or breaks a rule.
        """
        check_config(self.schema(), value, path)
        if isinstance(value, str):
            if self.pattern is not None and not re.fullmatch(self.pattern, value):
                raise InvalidInputError(f"{self.name} must match the pattern {self.pattern}.", path=path)
            if "\0" in value or not _is_unicode(value):
                raise InvalidInputError(f"{self.name} holds a character that no command can be given.", path=path)

    def text(self, value: JsonValue) -> str:
        """Return a checked value as it goes into an argument."""
        if isinstance(value, str):
            return value
        if self.type is ParameterType.INTEGER and isinstance(value, float):
            return str(int(value))
        return json.dumps(value)

    @property
    def is_free_text(self) -> bool:
        """Whether clients choose the text, rather than the operator."""
        return self.type is ParameterType.STRING and not self.enum


def schema_of(parameters: Sequence[Parameter]) -> JsonObject:
    """Return the JSON Schema of all the values together."""
    required: list[JsonValue] = [parameter.name for parameter in parameters if parameter.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {parameter.name: parameter.schema() for parameter in parameters},
        **({"required": required} if required else {}),
    }


def resolve(parameters: Sequence[Parameter], given: JsonValue) -> dict[str, JsonValue]:
    """Return each parameter's value, given or default.

    Raises:
        InvalidInputError: A value is missing, unknown, of another type or against a rule; path ("config",
            "parameters", name).
    """
    check_config(schema_of(parameters), given, PATH)
    values = given if isinstance(given, Mapping) else {}
    for parameter in parameters:
        parameter.check(values.get(parameter.name, parameter.default), (*PATH, parameter.name))
    return {parameter.name: values.get(parameter.name, parameter.default) for parameter in parameters}


def files_in(folder: Path) -> list[str]:
    """Return the names of the files directly in a folder, sorted; hidden ones and links out of it don't count."""
    if not folder.is_dir():
        return []
    root = folder.resolve()
    return sorted(
        entry.name
        for entry in root.iterdir()
        if not entry.name.startswith(".") and entry.is_file() and entry.resolve().parent == root
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
