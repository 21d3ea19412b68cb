"""Records that read their columns when they are asked for are records like all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Any

import pytest

from domain.rows import Rows, layout_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 0
    labels: Sequence[str] = ()

    @property
    def sum(self) -> int:
        return self.x + self.y


READS: Counter[str] = Counter()


def _split(text: str) -> tuple[str, ...]:
    READS[text] += 1
    return tuple(text.split())


FIELDS = ("x", "y", "labels")
READERS = (None, None, _split)
of_row = layout_of(Point, FIELDS, READERS).record


def test_a_record_of_a_row_is_one_of_its_class() -> None:
    point = of_row((1, 2, "a b", "more"))
    assert isinstance(point, Point)
    assert (point.x, point.y, point.labels, point.sum) == (1, 2, ("a", "b"), 3)
    assert repr(point) == repr(Point(x=1, y=2, labels=("a", "b")))
    match point:
        case Point(x=1, y=y):
            assert y == 2


def test_it_is_equal_to_one_with_the_same_values_both_ways_and_hashes_as_that() -> None:
    point, same, other = of_row((1, 2, "a")), Point(x=1, y=2, labels=("a",)), Point(x=2)
    assert point == same
    assert same == point
    assert point == of_row((1, 2, "a"))
    assert hash(point) == hash(same)
    assert point != other
    assert other != point
    assert point != (1, 2, "a")


def test_an_ordinary_record_is_made_of_it_with_other_values() -> None:
    changed = replace(of_row((1, 2, "a")), x=5)
    assert type(changed) is Point
    assert changed == Point(x=5, y=2, labels=("a",))


def test_it_can_not_be_changed() -> None:
    point: Any = of_row((1, 2, "a"))
    with pytest.raises(FrozenInstanceError):
        point.x = 3
    assert point.x == 1


def test_a_column_is_read_when_it_is_asked_for() -> None:
    point = of_row((1, 2, "never before"))
    assert point.sum == 3
    assert READS["never before"] == 0
    assert point.labels == ("never", "before")
    assert READS["never before"] == 1


def test_rows_of_the_same_form_have_the_same_class() -> None:
    assert layout_of(Point, FIELDS, READERS).record is of_row


def test_rows_are_the_records_that_they_keep() -> None:
    rows = Rows(layout_of(Point, FIELDS, READERS), [(1, 2, "a"), (3, 4, "b c")])
    points = [Point(x=1, y=2, labels=("a",)), Point(x=3, y=4, labels=("b", "c"))]
    assert len(rows) == 2
    assert list(rows) == points
    assert rows == points
    assert points == rows
    assert rows[-1] == points[-1]
    assert rows[1:] == points[1:]
    assert rows != points[:1]
    assert rows == tuple(points)


def test_rows_by_a_field_are_a_mapping() -> None:
    keyed = Rows(layout_of(Point, ("labels", "x", "y"), (str.split, None, None)), [("a", 1, 2), ("b", 3, 4)]).by(
        "labels"
    )
    assert dict(keyed) == {"a": Point(x=1, y=2, labels=["a"]), "b": Point(x=3, y=4, labels=["b"])}
    assert "c" not in keyed


def test_what_was_not_asked_for_is_refused_rather_than_made_up() -> None:
    point = layout_of(Point, ("x",), (None,)).record((1,))
    assert point.x == 1
    with pytest.raises(AttributeError, match="y of this Point was not asked for"):
        _ = point.sum
    with pytest.raises(AttributeError, match="labels of this Point was not asked for"):
        _ = point.labels


def test_null_is_null_and_not_read() -> None:
    assert layout_of(Point, FIELDS, READERS).record((1, 2, None)).labels is None
