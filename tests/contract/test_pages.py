"""Pages: walking a list yields exactly the list, whatever its order, the page size and what is added meanwhile."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.paging import Page, PageRequest, Related
from domain.rows import Rows
from tests.contract.lists import KEYS, LISTS, MERGED, Filled, Make
from tests.contract.world import World

every_list = pytest.mark.parametrize("make", (LISTS | MERGED).values(), ids=LISTS | MERGED)
RELATED: Final[Related] = (
    ("task_id", frozenset({"name", "labels"})),
    ("retry_of", frozenset({"status"})),
    ("latest_run_id", frozenset({"number"})),
    ("nothing", frozenset({"id"})),
)
pytestmark = pytest.mark.asyncio(loop_scope="module")
some = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


async def _page(world: World, of: Filled, **request: Any) -> Page[Any]:
    async with world.store.read(of.principal) as view:
        return await of.fetch(view, PageRequest(**request))


async def _walk(world: World, of: Filled, size: int, *, backward: bool) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = await _page(world, of, limit=size, backward=backward, **{"before" if backward else "after": cursor})
        found = [*page.items, *found] if backward else [*found, *page.items]
        if not (page.has_previous if backward else page.has_next):
            return found
        assert len(page.items) == len(page.cursors) == size
        cursor = page.cursors[0 if backward else -1]


@every_list
@some
@given(keys=KEYS, size=st.integers(1, 4))
async def test_walking_a_list_yields_exactly_the_list(
    shared_world: World, make: Make, keys: list[Any], size: int
) -> None:
    of = await make(shared_world)
    rows = await of.fill(keys)

    assert await _walk(shared_world, of, size, backward=False) == rows
    assert await _walk(shared_world, of, size, backward=True) == rows


@every_list
@some
@given(keys=KEYS, data=st.data())
async def test_a_page_is_exactly_the_part_asked_for_and_says_what_is_beyond_it(
    shared_world: World, make: Make, keys: list[Any], data: st.DataObject
) -> None:
    of = await make(shared_world)
    rows = await of.fill(keys)
    cursors = (await _page(shared_world, of, limit=100)).cursors
    place = st.none() | st.integers(0, len(rows) - 1) if rows else st.none()
    after, before = data.draw(place), data.draw(place)
    limit, backward = data.draw(st.integers(1, 4)), data.draw(st.booleans())

    page = await _page(
        shared_world,
        of,
        limit=limit,
        backward=backward,
        after=None if after is None else cursors[after],
        before=None if before is None else cursors[before],
        count=True,
    )

    start = 0 if after is None else after + 1
    end = len(rows) if before is None else before
    if backward:
        start = max(start, end - limit)
    else:
        end = min(end, start + limit)
    assert page.items == rows[start:end]
    assert list(page.cursors) == list(cursors[start:end])
    assert page.total == len(rows)
    if page.items:
        assert (page.has_previous, page.has_next) == (start > 0, end < len(rows))
    else:
        assert (page.has_previous, page.has_next) == (after is not None, before is not None)


@every_list
@some
@given(keys=KEYS, added=KEYS, size=st.integers(1, 3))
async def test_what_is_added_on_the_way_comes_where_it_belongs_and_never_twice(
    shared_world: World, make: Make, keys: list[Any], added: list[Any], size: int
) -> None:
    of = await make(shared_world)
    expected = await of.fill(keys)
    found: list[Any] = []
    cursor, goes_on = None, True
    while goes_on:
        page = await _page(shared_world, of, limit=size, after=cursor)
        found += page.items
        goes_on, cursor = page.has_next, page.cursors[-1] if page.cursors else None
        if added and goes_on:
            new = await of.add(added.pop())
            if of.rank(found[-1]) < of.rank(new):
                expected.append(new)

    assert found == of.sorted(expected)


@every_list
async def test_a_list_that_is_empty_has_an_empty_page(shared_world: World, make: Make) -> None:
    of = await make(shared_world)
    assert await _page(shared_world, of, limit=1, count=True) == Page(items=[], cursors=[], total=0)
    assert await _page(shared_world, of, limit=1, backward=True) == Page(items=[], cursors=[])


@every_list
async def test_total_is_counted_only_where_it_is_asked_for(shared_world: World, make: Make) -> None:
    of = await make(shared_world)
    await of.fill([1, 2, 3])
    assert (await _page(shared_world, of, limit=1)).total is None
    assert (await _page(shared_world, of, limit=1, count=True)).total == 3


@every_list
@some
@given(keys=KEYS, data=st.data())
async def test_what_comes_along_with_a_page_changes_nothing_of_it(
    shared_world: World, make: Make, keys: list[Any], data: st.DataObject
) -> None:
    of = await make(shared_world)
    rows = await of.fill(keys)
    cursors = (await _page(shared_world, of, limit=100)).cursors
    place = data.draw(st.none() | st.integers(0, len(rows) - 1) if rows else st.none())
    wanted = {"limit": 3, "backward": data.draw(st.booleans()), "after": None if place is None else cursors[place]}

    page = await _page(shared_world, of, **wanted, related=RELATED)

    assert page == await _page(shared_world, of, **wanted)
    if isinstance(page.items, Rows):
        for key, layout in page.items.layout.related.items():
            named = [layout.record(row).id for row in page.items.rows]
            assert named == [getattr(item, key) for item in page.items]
