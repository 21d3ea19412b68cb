"""Records that are made and copied by code of their own, beside what `dataclasses` makes of the same."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.events import Event, EventType
from domain.model import NO_USAGE, Artifact, Decision, LogLine, Metric, Plan, PlanStep, Run, Task, Usage
from domain.records import reader_of, replaced, values_of

RECORDS: tuple[type[Any], ...] = (Task, Run, Plan, PlanStep, Decision, LogLine, Metric, Artifact, Event, Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A record with a default and a property."""

    x: object
    y: object = 0
    label: str = ""

    @property
    def both(self) -> tuple[object, object]:
        """What it is at."""
        return self.x, self.y


values = some.one_of(some.none(), some.integers(), some.text(), some.lists(some.integers()))


@given(x=values, y=values, changed=some.dictionaries(some.sampled_from(["x", "y", "label"]), some.text()))
def test_a_copy_is_what_dataclasses_makes_of_it(x: object, y: object, changed: dict[str, str]) -> None:
    point = Point(x=x, y=y, label="here")
    copy = replaced(point, **changed)
    assert copy == dataclasses.replace(point, **changed)
    assert copy.both == (changed.get("x", x), changed.get("y", y))
    assert point == Point(x=x, y=y, label="here")


@pytest.mark.parametrize("cls", RECORDS)
def test_a_copy_is_an_ordinary_record_of_its_class(cls: type[Any]) -> None:
    names = [field.name for field in fields(cls)]
    record = reader_of(cls, names)([f"the {name}" for name in names])
    copy = replaced(record, **{names[0]: "another"})
    assert type(copy) is cls
    assert isinstance(copy, cls)
    assert copy == cls(**{name: f"the {name}" for name in names} | {names[0]: "another"})
    assert repr(copy) == repr(record).replace(f"the {names[0]}", "another")
    assert pickle.loads(pickle.dumps(copy)) == copy
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(copy, names[0], "a third")


def test_a_record_is_read_from_the_beginning_of_a_row() -> None:
    read = reader_of(Point, ("label", "x"))
    for row in (("here", 1, "more"), ["here", 1], ("here", 1)):
        point = read(row)
        assert (point.label, point.x) == ("here", 1)
        with pytest.raises(AttributeError):
            point.y  # noqa: B018  # it was not in the row
    with pytest.raises(ValueError, match="not enough values"):
        read(("here",))


def test_what_is_no_field_can_not_be_replaced() -> None:
    with pytest.raises(KeyError, match="z"):
        replaced(Point(x=1), z=2)


def test_a_record_of_several_classes_is_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Place(Point):
        floor: int

    with pytest.raises(TypeError):
        replaced(Place(x=1, floor=2), floor=3)


def test_fields_are_read_by_name() -> None:
    assert values_of("label", "x")(Point(x=1, y=2, label="here")) == {"label": "here", "x": 1}


def test_an_event_gets_its_place() -> None:
    event = Event(
        id="event_1",
        type=EventType.PROGRESS,
        timestamp=datetime(2026, 11, 30, tzinfo=UTC),
        message="",
        data={},
        tenant="default",
        task_id="task_1",
    )
    assert event.at(7) == dataclasses.replace(event, pos=7)


def test_usage_adds_up() -> None:
    spent = Usage(requests=1, input_tokens=20, output_tokens=3, cost_usd=0.5)
    assert spent + spent == Usage(requests=2, input_tokens=40, output_tokens=6, cost_usd=1.0)
    assert spent + NO_USAGE == NO_USAGE + spent == spent
