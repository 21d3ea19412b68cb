"""What has an id that is good everywhere."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Final, TypeAlias

import strawberry
from strawberry.types.lazy_type import LazyType

from domain.model import Artifact, Metric, Run, Task
from graph.types.fields import attribute

NodeRecord: TypeAlias = Task | Run | Metric | Artifact

TASK: Final = LazyType[object, object]("Task", "graph.types.tasks")
RUN: Final = LazyType[object, object]("Run", "graph.types.runs")
"""Types by name, for fields that point back up: a module imports only what it contains."""


@strawberry.interface(description="Something with an id of its own.")
class Node:
    """Base of the types that `node` can find; each names the record that it shows."""

    shows: ClassVar[type[NodeRecord]]

    record: strawberry.Private[NodeRecord]
    id: strawberry.ID = attribute("Opaque, globally unique, stable.")

    def __init_subclass__(cls, *, shows: type[NodeRecord] | None = None) -> None:
        super().__init_subclass__()
        if shows is not None:
            cls.shows = shows

    @staticmethod
    def of(record: NodeRecord) -> Node:
        """Return a record as its own type."""
        kind: Any = type(record)  # mypy takes no class for hashable
        return _type_of(kind)(record=record)


@cache
def _type_of(record: Any) -> type[Node]:
    """Return the type that shows a class of records, whatever way they are kept."""
    return next(type_ for type_ in Node.__subclasses__() if issubclass(record, type_.shows))
