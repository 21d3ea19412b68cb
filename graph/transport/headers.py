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


def text_of(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    """Return the text of one of a request's headers."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def content_type(media: str) -> Header:
    """Return the header that says that a body is of a media type, in UTF-8."""
    return b"content-type", f"{media}; charset=utf-8".encode()
