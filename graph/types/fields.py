"""Fields that read what their object was made from, without the cost of a resolver, or look up a record by its key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar

import strawberry
from strawberry.types.field import StrawberryField

from graph.context import Context, Info
from graph.loaders import Loader, Loaders
from graph.marks import LOOKUP, READ, Lookup

R = TypeVar("R")


class ReadField(StrawberryField):
    """A field whose value a plain function reads from the object.

    Strawberry builds an `Info` and sorts arguments for each call of a resolver; for a field without one it only asks
    for the field's result, and a compiled selection calls the function itself.
    """

    def __init__(self, description: str, read: Callable[[Any], object] | None) -> None:
        super().__init__(description=description)
        self.init = self.repr = self.compare = False
        self.metadata = MappingProxyType({READ: read})

    def __set_name__(self, owner: type, name: str) -> None:
        if self.metadata[READ] is None:
            self.metadata = MappingProxyType({READ: attrgetter(f"record.{name}")})

    def get_result(
        self, source: Any, info: strawberry.Info | None, args: list[Any], kwargs: Any
    ) -> Awaitable[Any] | Any:
        """Read the field; it takes no arguments."""
        return self.metadata[READ](source)


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


def looked_up(
    description: str,
    key: Callable[[Any], str | None],
    loader: Callable[[Loaders], Loader[R]],
    show: Callable[[R], object],
    *,
    graphql_type: Any,
    missing: Callable[[], Exception] | None = None,
) -> Any:
    """Declare a field that shows a record, which is looked up by a key.

    Args:
        description: What the schema says about it.
        key: Reads the record's key from the object; None makes the field null.
        loader: Which records.
        show: Makes the field's value of a record.
        graphql_type: Of the field.
        missing: Makes the error when there is no such record; without it, the field is null.
    """

    async def resolve(root: Any, info: Info) -> Any:
        named = key(root)
        record = None if named is None else (await loader(info.context.loaders).many([named])).get(named)
        if record is None and missing is not None:
            raise missing()
        return None if record is None else show(record)

    def load(context: Context, keys: Any) -> Any:
        return loader(context.loaders).many(keys)

    metadata = {LOOKUP: Lookup(key, load, show)}
    return strawberry.field(resolver=resolve, graphql_type=graphql_type, description=description, metadata=metadata)
