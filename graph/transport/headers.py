"""A request's headers, looked at once: several parts of the server ask for some of the few that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from starlette.types import Scope

_KEY: Final = "mgx.headers"


def headers_of(scope: Scope) -> Mapping[str, str]:
    """Return a request's headers by their names in lower case; of one that came several times, the first."""
    known = scope.get(_KEY)
    if known is None:
        known = scope[_KEY] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(scope["headers"])
        }
    return cast("Mapping[str, str]", known)
