"""Pages of long lists, by keyset: what is asked for, what comes back, and the cursors in between.

A list cursor holds the sort key of a row and is good in its own connection and order only. An event cursor holds a
place in the log and is good in every event query and subscription. Both are opaque; a checksum tells an edited or cut
one. It keeps mistakes from passing for positions; it is no secret, since a cursor gives nobody a right.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from json.encoder import encode_basestring
from typing import Final, Generic, TypeAlias, TypeVar

from domain.errors import InvalidArgumentError, InvalidCursorError

T = TypeVar("T")
KeyPart: TypeAlias = str | int | float | None

DEFAULT_PAGE: Final = 10
MAX_PAGE: Final = 100
DEFAULT_LOG_PAGE: Final = 200
MAX_LOG_PAGE: Final = 1000

_CHECKSUM_BYTES: Final = 6
_CONTEXTS: Final = 256
"""Lists whose checksums are begun; a page's cursors are all of one."""


class Direction(StrEnum):
    """Which way a list is sorted."""

    ASC = "ASC"
    DESC = "DESC"


class TaskOrderField(StrEnum):
    """What tasks can be sorted by."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    NAME = "NAME"


class RunOrderField(StrEnum):
    """What runs can be sorted by."""

    CREATED_AT = "CREATED_AT"
    STARTED_AT = "STARTED_AT"
    COMPLETED_AT = "COMPLETED_AT"
    DURATION = "DURATION"


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """How tasks are sorted; the id breaks ties."""

    field: TaskOrderField = TaskOrderField.CREATED_AT
    direction: Direction = Direction.DESC


@dataclass(frozen=True, slots=True)
class RunOrder:
    """How runs are sorted; nulls come last in both directions, the id breaks ties."""

    field: RunOrderField = RunOrderField.CREATED_AT
    direction: Direction = Direction.DESC


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open: start <= t < end; None leaves a side open."""

    start: datetime | None = None
    end: datetime | None = None


Fields: TypeAlias = frozenset[str] | None
"""What is wanted of each record: only these of its fields are sure to be there; None stands for all."""

Related: TypeAlias = tuple[tuple[str, frozenset[str]], ...]
"""Records that are best read along with each row: the field that holds their id, and what is wanted of them."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted.

    Attributes:
        limit: How many rows at most.
        backward: Whether the rows are the last before a cursor (or of the list) rather than the first after one.
        after: Cursor of the row before the first wanted.
        before: Cursor of the row after the last wanted.
        count: Whether the list's total is wanted.
        fields: What is wanted of each row.
        related: What will be looked up for each row, unless it comes with them.
    """

    limit: int = DEFAULT_PAGE
    backward: bool = False
    after: str | None = None
    before: str | None = None
    count: bool = False
    fields: Fields = None
    related: Related = ()

    @classmethod
    def parse(
        cls,
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
        *,
        count: bool = False,
        fields: Fields = None,
        related: Related = (),
        default: int = DEFAULT_PAGE,
        maximum: int = MAX_PAGE,
    ) -> PageRequest:
        """Make a request of a connection's arguments.

        Raises:
            InvalidArgumentError: Both `first` and `last`, or a size out of 1..maximum.
        """
        if first is not None and last is not None:
            raise InvalidArgumentError("Give either first or last, not both.")
        size = first if first is not None else last
        limit = default if size is None else size
        if not 1 <= limit <= maximum:
            raise InvalidArgumentError(f"{'last' if last is not None else 'first'} must be between 1 and {maximum}.")
        return cls(limit, last is not None, after, before, count, fields, related)


@dataclass(frozen=True)  # no slots: with them Python 3.11 can't make a Page[Run](...)
class Page(Generic[T]):
    """A part of a list, in the list's order.

    Attributes:
        cursors: One for each item.
        has_next: Exactly whether the list goes on after the last item.
        has_previous: Exactly whether something comes before the first item.
        total: Rows in the whole list; None where it was not asked for.
    """

    items: Sequence[T] = ()
    cursors: Sequence[str] = ()
    has_next: bool = False
    has_previous: bool = False
    total: int | None = None


def encode_cursor(order: str, key: Iterable[KeyPart]) -> str:
    """Return the cursor of a row with a sort key, bound to the name of its connection and order."""
    return _seal(f"[{','.join(map(_json, key))}]".encode(), order)


def _json(part: KeyPart) -> str:
    """Write a part as JSON; an encoder, which is made anew for each list, would cost three times as much."""
    if isinstance(part, str):
        return encode_basestring(part)
    return repr(part) if type(part) is int else json.dumps(part)


def decode_cursor(order: str, cursor: str) -> list[KeyPart]:
    """Return the sort key that a cursor holds.

    Raises:
        InvalidCursorError: It is no cursor of this connection and order, or was cut or edited.
    """
    key = json.loads(_open(cursor, order))
    assert isinstance(key, list)
    return key


def log_cursor(run_id: str, number: int) -> str:
    """Return the cursor of a line in a run's log."""
    return encode_cursor(f"logs:{run_id}", [number])


def encode_event_cursor(log_id: str, pos: int) -> str:
    """Return the cursor of a place in a log; 0 is its beginning."""
    return _seal(pos.to_bytes(8), f"events:{log_id}")


def decode_event_cursor(log_id: str, cursor: str) -> int:
    """Return the place in the log that a cursor holds.

    Raises:
        InvalidCursorError: It is no event cursor of this log, or was cut or edited.
    """
    return int.from_bytes(_open(cursor, f"events:{log_id}"))


def _seal(body: bytes, context: str) -> str:
    return base64.urlsafe_b64encode(_checksum(body, context) + body).rstrip(b"=").decode()


def _open(cursor: str, context: str) -> bytes:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    # The text must be the one that was given out: base64 has spare bits that decode alike.
    if not body or checksum != _checksum(body, context) or _seal(body, context) != cursor:
        raise InvalidCursorError("The cursor is not one that this list and order gave out; start without it.")
    return body


def _checksum(body: bytes, context: str) -> bytes:
    checksum = _begun(context).copy()
    checksum.update(body)
    return checksum.digest()


@lru_cache(_CONTEXTS)
def _begun(context: str) -> blake2b:
    return blake2b(context.encode() + b"\0", digest_size=_CHECKSUM_BYTES, person=b"mgx-cursor")
