"""Cursors hold exactly what they were given, in their own list only; page sizes have limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidArgumentError, InvalidCursorError
from domain.paging import (
    DEFAULT_PAGE,
    MAX_PAGE,
    KeyPart,
    Page,
    PageRequest,
    decode_cursor,
    decode_event_cursor,
    encode_cursor,
    encode_event_cursor,
    log_cursor,
)

ORDER = "runs:CREATED_AT:DESC"
CURSOR = encode_cursor(ORDER, ["2026-11-23T09:30:00.000000Z", None, "run_01kar0rze0zzzzzzzzzzzzzzzz"])
EVENT_CURSOR = encode_event_cursor("log-1", 4711)
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

KEYS = st.lists(
    st.none() | st.text() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False), max_size=4
)


@given(order=st.text(), key=KEYS)
def test_a_cursor_holds_its_key(order: str, key: list[KeyPart]) -> None:
    assert decode_cursor(order, encode_cursor(order, key)) == key


@given(pos=st.integers(0, 2**63 - 1))
def test_an_event_cursor_holds_its_place(pos: int) -> None:
    assert decode_event_cursor("log", encode_event_cursor("log", pos)) == pos


@pytest.mark.parametrize("length", range(len(CURSOR)))
def test_a_cut_cursor_is_refused(length: int) -> None:
    with pytest.raises(InvalidCursorError, match="start without it"):
        decode_cursor(ORDER, CURSOR[:length])


@pytest.mark.parametrize("place", range(len(CURSOR)))
def test_a_cursor_with_one_character_edited_is_refused(place: int) -> None:
    for character in BASE64.replace(CURSOR[place], "") + "=+/ é":
        with pytest.raises(InvalidCursorError):
            decode_cursor(ORDER, CURSOR[:place] + character + CURSOR[place + 1 :])


@pytest.mark.parametrize("place", range(len(EVENT_CURSOR)))
def test_an_event_cursor_with_one_character_edited_or_what_follows_cut_is_refused(place: int) -> None:
    edits = [
        EVENT_CURSOR[:place] + other + EVENT_CURSOR[place + 1 :] for other in BASE64 if other != EVENT_CURSOR[place]
    ]
    for cursor in [*edits, EVENT_CURSOR[:place]]:
        with pytest.raises(InvalidCursorError):
            decode_event_cursor("log-1", cursor)


@pytest.mark.parametrize("added", ["A", "=", "==", "\n", " ", CURSOR])
def test_a_cursor_with_something_added_is_refused(added: str) -> None:
    with pytest.raises(InvalidCursorError):
        decode_cursor(ORDER, CURSOR + added)


@given(cursor=st.text())
def test_a_text_that_nobody_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        decode_cursor(ORDER, cursor)
    with pytest.raises(InvalidCursorError):
        decode_event_cursor("log-1", cursor)


@pytest.mark.parametrize("other", ["runs:CREATED_AT:ASC", "tasks:CREATED_AT:DESC", "", ORDER + "x"])
def test_a_cursor_of_another_list_or_order_is_refused(other: str) -> None:
    with pytest.raises(InvalidCursorError):
        decode_cursor(other, CURSOR)


def test_orders_are_told_apart_however_long_their_names_are() -> None:
    common = "x" * 200

    with pytest.raises(InvalidCursorError):
        decode_cursor(common + "DESC", encode_cursor(common + "ASC", [1]))


def test_a_cursor_of_another_log_is_refused() -> None:
    with pytest.raises(InvalidCursorError):
        decode_event_cursor("log-2", EVENT_CURSOR)


def test_list_and_event_cursors_are_not_exchangeable() -> None:
    with pytest.raises(InvalidCursorError):
        decode_event_cursor("log-1", CURSOR)
    with pytest.raises(InvalidCursorError):
        decode_cursor(ORDER, EVENT_CURSOR)


def test_the_cursor_of_a_log_line_is_good_in_the_log_of_its_run_only() -> None:
    assert decode_cursor("logs:run_a", log_cursor("run_a", 12)) == [12]
    with pytest.raises(InvalidCursorError):
        decode_cursor("logs:run_b", log_cursor("run_a", 12))


def test_without_arguments_the_first_rows_are_wanted() -> None:
    assert PageRequest.parse(None, None, None, None) == PageRequest(limit=DEFAULT_PAGE)
    assert PageRequest.parse(None, None, None, None, default=200, maximum=1000).limit == 200


def test_first_and_after_go_forward_last_and_before_backward() -> None:
    assert PageRequest.parse(3, "a", None, "b", count=True) == PageRequest(limit=3, after="a", before="b", count=True)
    assert PageRequest.parse(None, None, 3, "b") == PageRequest(limit=3, backward=True, before="b")


@pytest.mark.parametrize("size", [1, MAX_PAGE])
def test_sizes_within_the_limits_are_taken(size: int) -> None:
    assert PageRequest.parse(size, None, None, None).limit == size
    assert PageRequest.parse(None, None, size, None).limit == size


@pytest.mark.parametrize("size", [-1, 0, MAX_PAGE + 1])
def test_sizes_beyond_the_limits_are_refused_by_name(size: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^first must be between 1 and 100"):
        PageRequest.parse(size, None, None, None)
    with pytest.raises(InvalidArgumentError, match=r"^last must be between 1 and 100"):
        PageRequest.parse(None, None, size, None)


def test_first_with_last_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="not both"):
        PageRequest.parse(1, None, 1, None)


def test_an_empty_page_goes_on_nowhere() -> None:
    assert Page[int]() == Page(items=(), cursors=(), has_next=False, has_previous=False, total=None)
