"""The texts of a command's arguments, with `{name}` where a value goes in.

A value fills its place within one argument: it is never split, and no shell ever sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*|(?:files|inputs|outputs)\.[^{}/]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """The place of a value: a parameter's name, or `files.`, `inputs.` or `outputs.` and a file's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """One argument of a command."""

    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the values that go in, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, Reference))

    @property
    def first_reference(self) -> str | None:
        """Name of the value that the argument begins with, if it begins with one."""
        first = self.parts[0] if self.parts else ""
        return first.name if isinstance(first, Reference) else None

    def render(self, values: Mapping[str, str]) -> str:
        """Return the argument with every value in its place."""
        return "".join(values[part.name] if isinstance(part, Reference) else part for part in self.parts)


def parse(text: str) -> Template:
    """Read an argument; `{{` and `}}` stand for single braces.

    Raises:
        ValueError: A brace stands alone, or holds what is no name.
    """
    parts: list[str | Reference] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        name = token.group(1)
        if token.group() in {"{{", "}}"}:
            parts.append(token.group()[0])
        elif name is None:
            raise ValueError(
                f"a single {token.group()} in {text!r}; write {token.group() * 2} for the character itself"
            )
        elif not _NAME.fullmatch(name):
            raise ValueError(f"{token.group()} in {text!r} names no value; write {{{{ and }}}} for the characters")
        else:
            parts.append(Reference(name))
    parts.append(text[end:])
    return Template(tuple(part for part in parts if part != ""))
