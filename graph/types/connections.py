"""Pages of lists: the arguments that every connection takes, and what it answers beside its items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self, TypeAlias, TypeVar

import strawberry

from domain.paging import DEFAULT_PAGE, MAX_PAGE, Page, PageRequest
from graph.context import Info
from graph.domain_errors import translated
from graph.selection import selects
from graph.types.fields import attribute

R = TypeVar("R")
N = TypeVar("N")
E = TypeVar("E")

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


@strawberry.type(
    description=(
        "What is around a page. hasNextPage and hasPreviousPage are exact. Cursors are opaque, stable under inserts "
        "and bound to the order they came from."
    )
)
class PageInfo:
    """What is around a page."""

    record: strawberry.Private[Page[Any]]
    has_next_page: bool = attribute("Whether the list goes on after the page.", lambda page: page.has_next)
    has_previous_page: bool = attribute("Whether something comes before the page.", lambda page: page.has_previous)
    start_cursor: str | None = attribute("Cursor of the first item.", lambda page: next(iter(page.cursors), None))
    end_cursor: str | None = attribute("Cursor of the last item.", lambda page: next(reversed(page.cursors), None))

    @classmethod
    def from_domain(cls, page: Page[Any]) -> Self:
        """Describe a page."""
        return cls(record=page)


@strawberry.type
class Connection:
    """Base of the connections; made from a page of records."""

    record: strawberry.Private[Page[Any]]
    page_info: PageInfo = attribute("What is around the page.", PageInfo.from_domain)

    @classmethod
    def from_domain(cls, page: Page[Any]) -> Self:
        """Show a page."""
        return cls(record=page)


@strawberry.type
class CountedConnection(Connection):
    """Base of the connections that can tell how long their list is."""

    total_count: int = attribute("Length of the whole list; counted only when selected.", lambda page: page.total)


def nodes_of(show: Callable[[R], N]) -> Callable[[Page[R]], list[N]]:
    """Return a function that shows a page's items."""
    return lambda page: [show(item) for item in page.items]


def edges_of(edge: Callable[..., E], show: Callable[[R], N]) -> Callable[[Page[R]], list[E]]:
    """Return a function that shows a page's items with their cursors."""
    return lambda page: [
        edge(cursor=cursor, node=show(item)) for cursor, item in zip(page.cursors, page.items, strict=True)
    ]


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
    """Make a request of a connection's arguments; the list is counted when `totalCount` is selected.

    Raises:
        graph.errors.RequestError: BAD_USER_INPUT for sizes that contradict each other or are out of range.
    """
    with translated():
        return PageRequest.parse(
            given(first),
            given(after),
            given(last),
            given(before),
            count=selects(info, "totalCount"),
            default=default,
            maximum=maximum,
        )


def given(argument: N | None) -> N | None:
    """Return an argument, None for one that was left out."""
    return None if argument is strawberry.UNSET else argument
