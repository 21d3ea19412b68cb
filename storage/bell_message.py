"""What goes over the bus of the bell: small, and harmless to lose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """Why a message is sent."""

    RING = "ring"
    PING = "ping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A ring, or a ping that only its sender cares for.

    Attributes:
        sender: The bell that sent it.
        number: Its number among that bell's messages.
        kind: Why it was sent.
        pos: Newest place in the log that the sender has rung for.
    """

    sender: str
    number: int
    kind: Kind
    pos: int

    def encode(self) -> str:
        """Return it as JSON of less than 200 bytes."""
        fields = {"from": self.sender, "n": self.number, "kind": self.kind, "pos": self.pos}
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Read one; None for what is not ours, which others may say on a shared bus, and newer releases of us."""
        try:
            fields = json.loads(text)
            return cls(
                sender=str(fields["from"]), number=int(fields["n"]), kind=Kind(fields["kind"]), pos=int(fields["pos"])
            )
        except (ValueError, TypeError, KeyError):
            return None
