"""Fields that read what their object was made from, without the cost of a resolver, or look up a record by its key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import strawberry
from strawberry.types.field import StrawberryField

from domain.paging import Fields, Page
from graph.context import Context, Info
from graph.loaders import Loader, Loaders
from graph.marks import ATTRIBUTE, CONTEXTUAL, LISTED, LOOKUP, READ, Attribute, Contextual, Listed, Lookup

R = TypeVar("R")
Read: TypeAlias = Callable[[Any], Any]


class ReadField(StrawberryField):
    """A field whose value a plain function reads from the object.

    Strawberry builds an `Info` and sorts arguments for each call of a resolver; for a field without one it only asks
    for the field's result, and a compiled selection calls the function itself.
    """

    def __init__(self, description: str, metadata: Mapping[str, object]) -> None:
        super().__init__(description=description)
        self.init = self.repr = self.compare = False
        self.metadata = MappingProxyType(metadata)

    def get_result(
        self, source: Any, info: strawberry.Info | None, args: list[Any], kwargs: Any
    ) -> Awaitable[Any] | Any:
        """Read the field; it takes no arguments."""
        return self.metadata[READ](source)


class AttributeField(ReadField):
    """A field that is one of the object's record."""

    def __init__(self, description: str, path: str | None, show: Read | None) -> None:
        super().__init__(description, {} if path is None else _metadata(Attribute(path, show)))
        self._show = show

    def __set_name__(self, owner: type, name: str) -> None:
        if not self.metadata:
            self.metadata = MappingProxyType(_metadata(Attribute(name, self._show)))


def _metadata(attribute: Attribute) -> dict[str, object]:
    get, show = attrgetter(f"record.{attribute.path}"), attribute.show
    if show is None:
        return {ATTRIBUTE: attribute, READ: get}
    return {ATTRIBUTE: attribute, READ: lambda source: None if (value := get(source)) is None else show(value)}


def attribute(description: str, path: str | None = None, show: Read | None = None) -> Any:
    """Declare a field of the object's `record`.

    Args:
        description: What the schema says about it.
        path: What of the record, see `graph.marks.Attribute`; without it, what has the field's Python name.
        show: Makes the field's value of one that is not null.
    """
    return AttributeField(description, path, show)


def computed(description: str, read: Callable[[Any], object]) -> Any:
    """Declare a field that is read from the object itself.

    Args:
        description: What the schema says about it.
        read: Gets the object.
    """
    return ReadField(description, {READ: read})


def contextual(
    description: str,
    read: Callable[[Any, Context], object],
    *fields: str,
    graphql_type: Any,
    marks: Mapping[str, object] = MappingProxyType({}),
) -> Any:
    """Declare a field that depends on the operation's context besides the object's record.

    Args:
        description: What the schema says about it.
        read: Gets the record and the context.
        fields: Those of the record's fields that it reads.
        graphql_type: Of the field.
        marks: More metadata.
    """

    def resolve(root: Any, info: Info) -> Any:
        return read(root.record, info.context)

    metadata = {CONTEXTUAL: Contextual(read, frozenset(fields)), **marks}
    return strawberry.field(resolver=resolve, graphql_type=graphql_type, description=description, metadata=metadata)


def nodes_of(description: str, show: Read) -> Any:
    """Declare the list of what a page holds, for an object whose record is the page.

    Args:
        description: What the schema says about it.
        show: Makes an item of a record.
    """

    def read(source: Any) -> list[Any]:
        page: Page[Any] = source.record
        return [show(record) for record in page.items]

    return ReadField(description, {READ: read, LISTED: Listed(show)})


def edges_of(description: str, edge: Callable[..., Any], show: Read) -> Any:
    """Declare the list of what a page holds, each with its cursor; as `nodes_of`.

    Args:
        description: What the schema says about it.
        edge: Makes an edge of `cursor` and `node`.
        show: Makes a node of a record.
    """

    def read(source: Any) -> list[Any]:
        page: Page[Any] = source.record
        return [edge(cursor=at, node=show(record)) for at, record in zip(page.cursors, page.items, strict=True)]

    return ReadField(description, {READ: read, LISTED: Listed(show, edge)})


def looked_up(
    description: str,
    key: str,
    loader: Callable[[Loaders, Fields], Loader[R]],
    show: Callable[[R], object],
    *,
    graphql_type: Any,
    missing: Callable[[], Exception] | None = None,
    by_id: bool = True,
) -> Any:
    """Declare a field that shows a record, which is looked up by a key.

    Args:
        description: What the schema says about it.
        key: Field of the object's record that holds the key; null makes the field null.
        loader: Finds such records, with some of their fields.
        show: Makes the field's value of a record.
        graphql_type: Of the field.
        missing: Makes the error when there is no such record; without it, the field is null.
        by_id: Whether the key is the record's id.
    """

    async def resolve(root: Any, info: Info) -> Any:
        named = getattr(root.record, key)
        record = None if named is None else await loader(info.context.loaders, None).one(named)
        if record is None and missing is not None:
            raise missing()
        return None if record is None else show(record)

    def load(context: Context, keys: Any, fields: Fields) -> Any:
        return loader(context.loaders, fields).many(keys)

    metadata = {LOOKUP: Lookup(key, load, show, is_null_without=missing is None, is_by_id=by_id)}
    return strawberry.field(resolver=resolve, graphql_type=graphql_type, description=description, metadata=metadata)
