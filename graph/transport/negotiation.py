"""Chooses a media type by the Accept header (RFC 9110 §12.5.1)."""

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple


class MediaType(StrEnum):
    """What GraphQL answers are served as, in our own order of preference."""

    JSON = "application/json"
    GRAPHQL = "application/graphql-response+json"
    EVENTS = "text/event-stream"


_REMEMBERED: Final = 64
"""Headers whose meaning is remembered; clients of one kind all send the same."""


class _Range(NamedTuple):
    media: str
    quality: float
    position: int


@lru_cache(_REMEMBERED)
def negotiate(header: bytes) -> MediaType | None:
    """Find the media type that a client prefers, by quality and then by the order of its list.

    Event streams have to be named: a wildcard means JSON. None when nothing we have is acceptable.

    Args:
        header: As it came, empty if none did.
    """
    accept = header.decode("latin-1")
    if not accept.strip():
        return MediaType.JSON
    ranges = list(_ranges(accept))
    best: tuple[float, int] | None = None
    chosen = None
    for media in MediaType:
        match = _match(media, ranges)
        if match is None or match.quality <= 0:
            continue
        rank = (match.quality, -match.position)
        if best is None or rank > best:
            best, chosen = rank, media
    return chosen


def _match(media: MediaType, ranges: list[_Range]) -> _Range | None:
    patterns = (media,) if media is MediaType.EVENTS else (media, "application/*", "*/*")
    for pattern in patterns:
        for candidate in ranges:
            if candidate.media == pattern:
                return candidate
    return None


def _ranges(accept: str) -> Iterator[_Range]:
    for position, item in enumerate(accept.split(",")):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        yield _Range(media, _quality(parameters), position)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
