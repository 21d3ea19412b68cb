"""Pages of lists: the arguments that every connection takes, and what it answers beside its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self, TypeAlias, TypeVar

import strawberry

from domain.paging import DEFAULT_PAGE, MAX_PAGE, Page, PageRequest
from graph.context import Info
from graph.domain_errors import translated
from graph.selection import look_ahead
from graph.types.fields import attribute, computed

N = TypeVar("N")

First: TypeAlias = Annotated[
    int | None, strawberry.argument(description="How many from the beginning, or after `after`: 1..100, default 10.")
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Cursor of the item before the first one wanted.")
]
Last: TypeAlias = Annotated[
    int | None, strawberry.argument(description="How many from the end, or before `before`: 1..100; not with `first`.")
]
Before: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Cursor of the item after the last one wanted.")
]

CURSOR = "The item's place, for `after` and `before`."
NODES = "The items alone."
EDGES = "The items with their cursors."


def _first(cursors: Sequence[str]) -> str | None:
    return cursors[0] if cursors else None


def _last(cursors: Sequence[str]) -> str | None:
    return cursors[-1] if cursors else None


@strawberry.type(
    description=(
        "What is around a page. hasNextPage and hasPreviousPage are exact. Cursors are opaque, stable under inserts "
        "and bound to the order they came from."
    )
)
class PageInfo:
    """What is around a page."""

    record: strawberry.Private[Page[Any]]
    has_next_page: bool = attribute("Whether the list goes on after the page.", "has_next")
    has_previous_page: bool = attribute("Whether something comes before the page.", "has_previous")
    start_cursor: str | None = attribute("Cursor of the first item.", "cursors", _first)
    end_cursor: str | None = attribute("Cursor of the last item.", "cursors", _last)

    @classmethod
    def from_domain(cls, page: Page[Any]) -> Self:
        """Describe a page."""
        return cls(record=page)


@strawberry.type
class Connection:
    """Base of the connections; made from a page of records."""

    record: strawberry.Private[Page[Any]]
    page_info: PageInfo = computed("What is around the page.", lambda page: PageInfo.from_domain(page.record))

    @classmethod
    def from_domain(cls, page: Page[Any]) -> Self:
        """Show a page."""
        return cls(record=page)


@strawberry.type
class CountedConnection(Connection):
    """Base of the connections that can tell how long their list is."""

    total_count: int = attribute("Length of the whole list; counted only when selected.", "total")


def page_request(
    info: Info,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    *,
    default: int = DEFAULT_PAGE,
    maximum: int = MAX_PAGE,
) -> PageRequest:
    """Make a request of a connection's arguments; what is not selected is not counted and not read.

    Raises:
        graph.errors.RequestError: BAD_USER_INPUT for sizes that contradict each other or are out of range.
    """
    seen = look_ahead(info)
    with translated():
        return PageRequest.parse(
            given(first),
            given(after),
            given(last),
            given(before),
            count=seen.count,
            fields=seen.fields,
            related=seen.related,
            default=default,
            maximum=maximum,
        )


def given(argument: N | None) -> N | None:
    """Return an argument, None for one that was left out."""
    return None if argument is strawberry.UNSET else argument
