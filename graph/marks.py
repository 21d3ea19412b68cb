"""What the schema says about its fields and arguments to those who execute it: metadata, which clients don't see."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

OF_CALLER: Final[Mapping[str, bool]] = MappingProxyType({"mgx.of_caller": True})
"""Metadata of a field whose value depends on who asks, beyond tenant and role: nobody else gets its answer."""

BEGINNING: Final[Mapping[str, bool]] = MappingProxyType({"mgx.beginning": True})
"""Metadata of an argument that says where a subscription begins, and nothing about what is said of each event."""

READ: Final = "mgx.read"
"""Key of metadata: the function that reads a field from its object, and does nothing else."""

LOOKUP: Final = "mgx.lookup"
"""Key of metadata: the `Lookup` that a field's resolver makes."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a field finds its record, for one object as for many at once.

    Attributes:
        key: Reads the record's key from the object; None for a field that is null.
        load: Gets the context and keys, and returns the records that there are.
        show: Makes the field's value of a record.
    """

    key: Callable[[Any], str | None]
    load: Callable[[Any, Sequence[str]], Awaitable[Mapping[str, Any]]]
    show: Callable[[Any], object]


def is_marked(metadata: Mapping[str, object] | None, mark: Mapping[str, bool]) -> bool:
    """Tell whether metadata holds a mark."""
    return metadata is not None and mark.keys() <= metadata.keys()
