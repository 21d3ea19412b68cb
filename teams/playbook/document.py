"""Reads YAML into JSON values and remembers the line of each, so that complaints can name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

import yaml

from domain.model import JsonValue

Place: TypeAlias = "tuple[str | int, ...]"

_SCALARS: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))


class DocumentError(ValueError):
    """The text can't be read; the message names the line."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text as JSON values.

    Attributes:
        value: What it says.
        lines: The line, from 1, of each value by its place; a key's line for what stands under a key.
    """

    value: JsonValue
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the closest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def parse(text: str) -> Document:
    """Read a YAML text that holds only what JSON has a form for.

    Raises:
        DocumentError: It is no YAML, or has a key twice, an alias, a date without quotes, or a tag.
    """
    loader = yaml.SafeLoader("")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader(loader)
        return Document(reader.read(node, ()) if node is not None else None, reader.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DocumentError(f"{where}{error.problem or 'this is no YAML'}") from error
    except yaml.YAMLError as error:
        raise DocumentError(f"line 1: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise DocumentError("line 1: the values are nested too deeply") from error
    finally:
        loader.dispose()


class _Reader:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._seen: set[int] = set()
        self.lines: dict[Place, int] = {}

    def read(self, node: yaml.Node, place: Place) -> JsonValue:
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if id(node) in self._seen:
            raise DocumentError(f"line {line}: anchors and aliases are not allowed; write the value out")
        self._seen.add(id(node))
        match node:
            case yaml.MappingNode():
                return self._mapping(node, place)
            case yaml.SequenceNode():
                return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
            case _ if node.tag in _SCALARS:
                return self._scalar(node, line)
            case _:
                kind = node.tag.rpartition(":")[2]
                raise DocumentError(f"line {line}: put {node.value!r} in quotes; a {kind} is not allowed here")

    def _scalar(self, node: yaml.Node, line: int) -> JsonValue:
        try:
            return cast("JsonValue", self._loader.construct_object(node))
        except ValueError as error:
            raise DocumentError(f"line {line}: {node.value!r} can't be read; put it in quotes") from error

    def _mapping(self, node: yaml.MappingNode, place: Place) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if key_node.tag != "tag:yaml.org,2002:str" or not isinstance(key, str):
                raise DocumentError(f"line {line}: put the key {key!r} in quotes; keys are texts")
            if key in result:
                raise DocumentError(f"line {line}: the key {key!r} comes twice")
            self.lines[(*place, key)] = line
            result[key] = self.read(value_node, (*place, key))
        return result
