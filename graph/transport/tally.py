"""What became of operations, and how long they took."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Final, Literal, Self, TypeAlias

from graphql import OperationType

from domain.durations import Durations
from graph.execution.engine import Answer

TransportName: TypeAlias = Literal["http", "sse", "websocket"]

OK: Final = "OK"
LEFT: Final = "LEFT"
"""The client went away, or the server did, before the end."""

UNKNOWN: Final = "unknown"
"""Type of an operation that was refused before it was known which one it is."""


class Counting:
    """One operation that is under way while the block is; it is taken for left until it says otherwise.

    Args:
        tally: Where it is counted at the end.
        transport: How it came.
        type_: What it is.
    """

    __slots__ = ("_began", "_tally", "_transport", "_type", "outcome")

    def __init__(self, tally: Tally, transport: TransportName, type_: OperationType) -> None:
        self.outcome = LEFT
        self._tally = tally
        self._transport = transport
        self._type = type_
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        tally, transport, type_ = self._tally, self._transport, self._type.value
        if self._type is not OperationType.SUBSCRIPTION:
            tally.durations[transport, type_].add(time.perf_counter() - self._began)
        tally.outcomes[transport, type_, self.outcome] += 1

    def answered(self, answer: Answer) -> None:
        """Take note of an answer that may be the last."""
        self.outcome = answer.code or OK


class Tally:
    """Counts operations by transport, type and outcome, and times queries and mutations.

    Attributes:
        outcomes: By transport, type and outcome: `OK`, `LEFT` or the code of the first error.
        durations: From the context's making to the encoded answer, by transport and type.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[TransportName, str, str]] = Counter()
        self.durations: defaultdict[tuple[TransportName, str], Durations] = defaultdict(Durations)

    def refused(self, transport: TransportName, answer: Answer) -> None:
        """Count an operation that did not get as far as being executed."""
        self.outcomes[transport, UNKNOWN, answer.code or OK] += 1
