"""What the schema says about its fields and arguments to those who execute it: metadata, which clients don't see."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from graphql import GraphQLField, GraphQLInterfaceType, GraphQLUnionType
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from domain.paging import Fields

OF_CALLER: Final[Mapping[str, bool]] = MappingProxyType({"mgx.of_caller": True})
"""Metadata of a field whose value depends on who asks, beyond tenant and role: nobody else gets its answer."""

TIMELESS: Final[Mapping[str, bool]] = MappingProxyType({"mgx.timeless": True})
"""Metadata of a field with a resolver that says the same of its object whenever it is asked, and whoever asks."""

BEGINNING: Final[Mapping[str, bool]] = MappingProxyType({"mgx.beginning": True})
"""Metadata of an argument that says where a subscription begins, and nothing about what is said of each event."""

READ: Final = "mgx.read"
"""Key of metadata: the function that reads a field from its object, and does nothing else."""

ATTRIBUTE: Final = "mgx.attribute"
"""Key of metadata: the `Attribute` of its object's record that a field is."""

CONTEXTUAL: Final = "mgx.contextual"
"""Key of metadata: the `Contextual` that a field is."""

LISTED: Final = "mgx.listed"
"""Key of metadata: the `Listed` that says which records of a page a field shows."""

LOOKUP: Final = "mgx.lookup"
"""Key of metadata: the `Lookup` that a field's resolver makes."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """What a field reads of its object's record.

    Attributes:
        path: Name of the record's field, perhaps with names in what that holds: `settings.max_rounds`.
        show: Makes the field's value of one that is not null; None where they are the same.
    """

    path: str
    show: Callable[[Any], object] | None = None

    @property
    def field(self) -> str:
        """Name of the record's field."""
        return self.path.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Contextual:
    """What a field makes of its object's record and the operation's context, at once.

    Attributes:
        read: Gets both.
        fields: Those of the record's fields that it reads.
    """

    read: Callable[[Any, Any], object]
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of what a page holds.

    Attributes:
        show: Makes what is listed of one of the page's records.
        edge: Makes an edge of a cursor and what is listed, where edges are.
    """

    show: Callable[[Any], object]
    edge: Callable[..., object] | None = None


@dataclass(frozen=True, slots=True)
class Kinds:
    """How an interface's class is told from a record; such an interface has it as its attribute `kinds`.

    Attributes:
        field: The record's field that tells it.
        classes: By that field's value, each of whose objects show one such record and nothing else.
    """

    field: str
    classes: Mapping[Any, type]


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a field finds its record, for one object as for many at once.

    Attributes:
        key: Field of the object's record that holds the key; null if there is no record.
        load: Gets the context, keys, and which fields of the records are wanted; returns the records that there are.
        show: Makes the field's value of a record.
        is_null_without: Whether the field is null where there is no record, which else is an error.
        is_by_id: Whether the key is the record's own id, so that the record may come along with the object's.
    """

    key: str
    load: Callable[[Any, Sequence[str], Fields], Awaitable[Mapping[str, Any]]]
    show: Callable[[Any], object]
    is_null_without: bool
    is_by_id: bool


def definition_of(field: GraphQLField) -> StrawberryField | None:
    """Return what a field was made of, None for one that is not Strawberry's."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return definition if isinstance(definition, StrawberryField) else None


def metadata_of(field: GraphQLField) -> Mapping[Any, Any]:
    """Return a field's metadata; nothing for one that is not Strawberry's."""
    definition = definition_of(field)
    return {} if definition is None else definition.metadata


def kinds_of(type_: GraphQLInterfaceType | GraphQLUnionType) -> Kinds | None:
    """Return how an interface's classes are told from records, None where it does not say so itself."""
    definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    kinds = definition.origin.__dict__.get("kinds") if isinstance(definition, StrawberryObjectDefinition) else None
    return kinds if isinstance(kinds, Kinds) else None


def is_marked(metadata: Mapping[str, object] | None, mark: Mapping[str, bool]) -> bool:
    """Tell whether metadata holds a mark."""
    return metadata is not None and mark.keys() <= metadata.keys()
