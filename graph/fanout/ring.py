"""The last answers of a stream, in order, for those who did not take them at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from graph.execution.engine import Result

Make: TypeAlias = Callable[[Sequence[Result]], Any]

BLOCK_ANSWERS: Final = 64
BLOCK_BYTES: Final = 64 * 1024
_OVERHEAD: Final = 200
"""Of an answer, beside its body."""


class Block:
    """Answers that follow on one another, and what was made of them for those who get them.

    Attributes:
        answers: At least one.
        made: What a function makes of the answers, by the function, which is called once.
    """

    __slots__ = ("answers", "made")

    def __init__(self, answers: Sequence[Result]) -> None:
        self.answers = answers
        self.made: Mapping[Make, Any] = _Made(answers)

    def __len__(self) -> int:
        return len(self.answers)


class _Made(dict[Make, Any]):
    def __init__(self, answers: Sequence[Result]) -> None:
        super().__init__()
        self._answers = answers

    def __missing__(self, make: Make) -> Any:
        made = self[make] = make(self._answers)
        return made


class Budget:
    """What rings may keep together beyond what each may keep for its subscribers.

    Args:
        size: Bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0

    @property
    def is_spent(self) -> bool:
        """Whether rings have to make do with what is theirs."""
        return self.used > self.size


class Ring:
    """Numbers answers 0, 1, 2 ..., and keeps the last ones.

    Args:
        floor: The place after which the first answer will come.
        budget: Shared with other rings.
    """

    def __init__(self, floor: int, budget: Budget) -> None:
        self.first = 0
        self.floor = floor
        self.last_pos = floor
        self._budget = budget
        self._answers: list[Result] = []
        self._places: list[int] = []
        self._bytes = 0
        self._blocks: dict[int, Block] = {}

    @property
    def end(self) -> int:
        """Number of the next answer."""
        return self.first + len(self._answers)

    def append(self, pos: int, answer: Result) -> None:
        """Add an answer to an event further on than the last one's."""
        self._answers.append(answer)
        self._places.append(pos)
        self.last_pos = pos
        self._grow(size_of(answer))
        self._blocks.clear()

    def number_after(self, pos: int) -> int:
        """Return the number of the first answer beyond a place that is not below the floor."""
        return self.first + bisect_right(self._places, pos)

    def place_before(self, number: int) -> int:
        """Return the place after which somebody begins whose next answer has this number."""
        return self._places[number - self.first] - 1

    def block(self, start: int) -> Block:
        """Return answers from a kept number on: all of them, or as many as may be written at once."""
        block = self._blocks.get(start)
        if block is None:
            size = 0
            stop = begin = start - self.first
            while stop < len(self._answers) and stop - begin < BLOCK_ANSWERS and size < BLOCK_BYTES:
                size += size_of(self._answers[stop])
                stop += 1
            block = self._blocks[start] = Block(self._answers[begin:stop])
        return block

    def trim(self, allowed: int) -> None:
        """Forget the oldest answers as long as all together take more than the bytes that are allowed."""
        dropped = freed = 0
        while dropped < len(self._answers) and self._bytes - freed > allowed:
            freed += size_of(self._answers[dropped])
            dropped += 1
        if dropped:
            self.floor = self._places[dropped - 1]
            self.first += dropped
            del self._answers[:dropped], self._places[:dropped]
            self._grow(-freed)
            self._blocks.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.trim(0)

    def _grow(self, size: int) -> None:
        self._bytes += size
        self._budget.used += size


def size_of(answer: Result) -> int:
    """Return how many bytes an answer takes, as blocks and rings count them."""
    return len(answer.body) + _OVERHEAD
