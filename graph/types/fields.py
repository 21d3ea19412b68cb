"""Fields that read what their object was made from, without the cost of a resolver."""

from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any

from strawberry import Info
from strawberry.types.field import StrawberryField


class ReadField(StrawberryField):
    """A field whose value a plain function reads from the object.

    Strawberry builds an `Info` and sorts arguments for each call of a resolver; for a field without one it only asks
    for the field's result. A page of runs has a thousand such fields, and an event twenty for each group of
    subscribers, so this is where time is saved.
    """

    def __init__(self, description: str, read: Callable[[Any], object] | None) -> None:
        super().__init__(description=description)
        self.init = self.repr = self.compare = False
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        if self._read is None:
            self._read = attrgetter(f"record.{name}")

    def get_result(self, source: Any, info: Info | None, args: list[Any], kwargs: Any) -> Awaitable[Any] | Any:
        """Read the field; it takes no arguments."""
        assert self._read is not None
        return self._read(source)


def attribute(description: str, read: Callable[[Any], object] | None = None) -> Any:
    """Declare a field of the object's `record`.

    Args:
        description: What the schema says about it.
        read: Gets the record; without it, the record's attribute of the field's Python name is read.
    """
    return ReadField(description, None if read is None else lambda source: read(source.record))


def computed(description: str, read: Callable[[Any], object]) -> Any:
    """Declare a field that is read from the object itself.

    Args:
        description: What the schema says about it.
        read: Gets the object.
    """
    return ReadField(description, read)
