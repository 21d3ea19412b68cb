"""The generated part of docs/settings.md. After a change of the settings: `python -m tests.docs.settings_page`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic.fields import FieldInfo

from graph.commands.flags import flag, variable
from graph.settings import Settings
from tests.docs.generated import with_part

PAGE: Final = Path(__file__).parents[2] / "docs" / "settings.md"


def rendered(page: str) -> str:
    """The page with its table made anew."""
    return with_part(page, "settings", table())


def table() -> str:
    """Every setting as a Markdown table, a line for each."""
    head = ["| variable | flag | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *(_line(name, field) for name, field in Settings.model_fields.items())])


def _line(name: str, field: FieldInfo) -> str:
    default = "" if field.default in {None, "", ()} else f"`{field.default}`"
    return f"| `{variable(name)}` | `{flag(name)}` | {default} | {field.description} |"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
