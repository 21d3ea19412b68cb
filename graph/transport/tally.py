"""What became of operations, and how long they took."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

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
    """One operation that is under way; it is taken for left until it says otherwise."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome = LEFT

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

    @contextmanager
    def counting(self, transport: TransportName, type_: OperationType) -> Iterator[Counting]:
        """Count an operation whose execution the block is."""
        counting = Counting()
        began = time.perf_counter()
        try:
            yield counting
        finally:
            if type_ is not OperationType.SUBSCRIPTION:
                self.durations[transport, type_.value].add(time.perf_counter() - began)
            self.outcomes[transport, type_.value, counting.outcome] += 1
