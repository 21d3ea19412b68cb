"""Headers as they go over the network; a request's are looked at once, for several parts of the server ask for some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from starlette.types import Scope

Header: TypeAlias = tuple[bytes, bytes]
"""Name in lower case and value."""

_KEY: Final = "mgx.headers"


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """Return a request's headers by their names in lower case; of one that came several times, the first."""
    known: Mapping[bytes, bytes] | None = scope.get(_KEY)
    if known is None:
        known = scope[_KEY] = {name.lower(): value for name, value in reversed(scope["headers"])}
    return known


def header(scope: Scope, name: bytes) -> str | None:
    """Return the text of one of a request's headers."""
    value = headers_of(scope).get(name)
    return None if value is None else value.decode("latin-1")
