"""Texts that PostgreSQL has no form for."""

from __future__ import annotations

from typing import Any

SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"


def without_nul(text: str) -> str:
    """Return a text with another character in place of NUL, which no text in PostgreSQL can have.

    Clients can't say NUL to us, but teams may, in a line of a log or an error.
    """
    return text.replace("\0", SUBSTITUTE)


def keep_texts_whole(connection: Any) -> None:
    """Have a connection of psycopg write texts `without_nul`; it would refuse them."""
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415  # an extra

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(without_nul(obj))

    connection.adapters.register_dumper(str, Dumper)
