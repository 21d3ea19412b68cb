"""What teams say, made fit to be recorded: values as JSON, texts within their limit."""

from __future__ import annotations

import json
from typing import Final

from domain import commands as c
from domain.codec import to_json
from domain.errors import InvalidSignalError
from domain.model import JsonValue

MAX_LINE_BYTES: Final = 8 * 1024
"""UTF-8 bytes that are kept of a log line or an error."""


def plain(value: object) -> JsonValue:
    """Return a value as JSON values.

    Raises:
        InvalidSignalError: JSON has no form for it.
    """
    try:
        return to_json(value)
    except (TypeError, ValueError) as error:
        raise InvalidSignalError(f"The team said something that JSON has no form for: {error}.") from error


def cut(text: str) -> str:
    """Cut a text to its limit at a character's border; what UTF-8 has no form for becomes a question mark."""
    if text.isascii():
        return text[:MAX_LINE_BYTES]
    return text.encode(errors="replace")[:MAX_LINE_BYTES].decode(errors="ignore")


def overhear(command: c.WorkerCommand) -> str:
    """Say what a team reported after its run was to be cancelled: kept as a line, never as a state."""
    said = json.dumps(plain(command), ensure_ascii=False)
    return f"After the cancel request the team reported {type(command).__name__}: {said}"
