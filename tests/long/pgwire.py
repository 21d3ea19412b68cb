"""As much of PostgreSQL's protocol as it takes to see a client commit; bytes in, messages out.

https://www.postgresql.org/docs/18/protocol-message-formats.html
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from
from typing import Final

_STARTUP_MAJOR: Final = 3
"""Of the protocol's version in a StartupMessage; requests for encryption and cancels have codes of their own."""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message of a client.

    Attributes:
        raw: Its bytes.
        sql: What it has the server execute, if it does.
    """

    raw: bytes
    sql: str | None = None

    @property
    def commits(self) -> bool:
        """Whether it ends a transaction for good, alone or as the last statement of a script."""
        if self.sql is None:
            return False
        last = self.sql.rstrip("; \n").rpartition(";")[2]
        return last.strip().upper() in {"COMMIT", "END"}


class Frontend:
    """Takes a client's bytes apart, from the beginning of its connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete now; the rest waits for more bytes."""
        self._buffer += data
        messages = []
        while (length := self._length()) is not None and len(self._buffer) >= length:
            raw, self._buffer = self._buffer[:length], self._buffer[length:]
            messages.append(self._read(raw))
        return messages

    def _length(self) -> int | None:
        """Return the length of the first message; what comes before the start of a session has no type byte."""
        skipped = 1 if self._started else 0
        if len(self._buffer) < skipped + 4:
            return None
        return skipped + int(unpack_from("!i", self._buffer, skipped)[0])

    def _read(self, raw: bytes) -> Message:
        if not self._started:
            self._started = unpack_from("!h", raw, 4)[0] == _STARTUP_MAJOR
            return Message(raw)
        match raw[:1]:
            case b"Q":
                return Message(raw, _strings(raw, 5, 1)[0].decode())
            case b"P":
                name, sql = _strings(raw, 5, 2)
                self._statements[name] = sql.decode()
            case b"B":
                portal, name = _strings(raw, 5, 2)
                self._portals[portal] = self._statements.get(name, "")
            case b"E":
                return Message(raw, self._portals.get(_strings(raw, 5, 1)[0], ""))
            case _:
                pass
        return Message(raw)


def _strings(raw: bytes, start: int, count: int) -> list[bytes]:
    """Return the strings at a place, each of which ends with a zero."""
    return raw[start:].split(b"\0", count)[:count]
