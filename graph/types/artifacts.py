"""Files that runs made."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from domain import model
from graph.context import Info
from graph.types.fields import attribute
from graph.types.node import Node


def _url(root: Artifact, info: Info) -> str:
    return f"{info.context.services.root_path}/artifacts/{root.record.id}"


@strawberry.type(description="A file that a run made.")
class Artifact(Node, shows=model.Artifact):
    """A file that a run made."""

    record: strawberry.Private[model.Artifact]
    name: str = attribute("The file's name, with the folders that its step gave it.")
    media_type: str = attribute("Such as text/markdown.")
    size: float = attribute("Bytes.")
    sha256: str = attribute("Of the bytes, lower-case hexadecimal.")
    url: str = strawberry.field(resolver=_url, description="Where to GET the bytes, with the caller's own rights.")
    created_at: datetime = attribute("When it was stored.")

    @classmethod
    def from_domain(cls, record: model.Artifact) -> Self:
        """Show an artifact."""
        return cls(record=record)
