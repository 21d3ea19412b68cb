"""Answers of rows that keep records of several classes, as the members of an interface are: a column tells which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from domain.memory import Memory
from domain.rows import Layout, Row
from graph.execution.parts import At, BuildOfRows, Notes, OfRows, Part, Read, for_each_layout
from graph.marks import Kinds

_CELLS: Final = 1024
"""Values of the column that tells the class; there are far fewer."""


def build_of_kinds(kinds: Kinds, parts: Mapping[type, Part]) -> OfRows:
    """Return what makes answers of rows, each by the part of its own class.

    Args:
        kinds: How the class is told.
        parts: Of each class, with nothing left open below.
    """
    return for_each_layout(lambda layout, show: _build(kinds, parts, layout, show))


def _build(kinds: Kinds, parts: Mapping[type, Part], layout: Layout[Any], show: Read) -> BuildOfRows | None:
    column = layout.columns.get(kinds.field)
    if column is None:
        return None
    place, read = column.place, column.read

    def builder(cell: Any) -> BuildOfRows:
        part = parts[kinds.classes[cell if read is None else read(cell)]]
        of_rows = None if part.of_rows is None else part.of_rows(layout, show)
        return _of_objects(part, layout, show) if of_rows is None else of_rows

    builders = Memory(builder, _CELLS)

    def build(rows: Sequence[Row], at: At, notes: Notes) -> list[Any]:
        cells = [row[place] for row in rows]
        answers: list[Any] = [None] * len(cells)
        for kind in dict.fromkeys(cells):
            numbers = [number for number, cell in enumerate(cells) if cell == kind]
            made = builders[kind]([rows[number] for number in numbers], at, notes)
            for number, answer in zip(numbers, made, strict=True):
                answers[number] = answer
        return answers

    return build


def _of_objects(part: Part, layout: Layout[Any], show: Read) -> BuildOfRows:
    """Return what makes answers of rows whose objects have to be made first."""
    return lambda rows, _at, notes: [part.build(show(layout.record(row)), None, notes) for row in rows]
