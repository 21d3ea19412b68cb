"""What the schema says about its fields and arguments to those who share answers: metadata, which clients don't see."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OF_CALLER: Final[Mapping[str, bool]] = MappingProxyType({"mgx.of_caller": True})
"""Metadata of a field whose value depends on who asks, beyond tenant and role: nobody else gets its answer."""

BEGINNING: Final[Mapping[str, bool]] = MappingProxyType({"mgx.beginning": True})
"""Metadata of an argument that says where a subscription begins, and nothing about what is said of each event."""


def is_marked(metadata: Mapping[str, object] | None, mark: Mapping[str, bool]) -> bool:
    """Tell whether metadata holds a mark."""
    return metadata is not None and mark.keys() <= metadata.keys()
