"""What has an id that is good everywhere."""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

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
    _types: ClassVar[dict[type[NodeRecord], type[Node]]] = {}

    record: strawberry.Private[NodeRecord]
    id: strawberry.ID = attribute("Opaque, globally unique, stable.")

    def __init_subclass__(cls, *, shows: type[NodeRecord] | None = None) -> None:
        super().__init_subclass__()
        if shows is not None:
            Node._types[shows] = cls

    @staticmethod
    def of(record: NodeRecord) -> Node:
        """Return a record as its own type."""
        return Node._types[type(record)](record=record)
