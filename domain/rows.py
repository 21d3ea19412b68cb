"""Records in the form in which they were found: rows, whose columns are read when they are asked for.

Of a row of a list, a few columns are asked for; to make the whole record of each costs more than to find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import eq
from typing import Any, Generic, TypeAlias, TypeVar, overload

T = TypeVar("T")

Row: TypeAlias = Sequence[Any]
Read: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """Where a field's value is in a row.

    Attributes:
        place: 0 for the first column.
        read: Makes the field's value of one of the column's that is not null; None where they are the same.
    """

    place: int
    read: Read | None


@dataclass(frozen=True, slots=True, eq=False)
class Layout(Generic[T]):
    """How rows keep records.

    Attributes:
        columns: By the name of the record's field; not of all fields, if only some were asked for.
        related: How the same rows keep other records, by the field that holds their id. Where there is none, the column
            of its own id is null.
        record: Makes the record of a row. It is one of its class to everybody: equal to one with the same values, and
            `dataclasses.replace` makes an ordinary one of it. Its class has the layout as `layout`, and it its `row`.
    """

    columns: Mapping[str, Column]
    related: Mapping[str, Layout[Any]]
    record: Callable[[Row], T]


class Made(Sequence[T]):
    """A sequence each of whose items is made of a row when it is asked for.

    Attributes:
        rows: As they were found.
    """

    __slots__ = ("_make", "rows")

    def __init__(self, make: Callable[[Row], T], rows: Sequence[Row]) -> None:
        self._make = make
        self.rows = rows

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Made[T]: ...

    def __getitem__(self, place: int | slice) -> T | Made[T]:
        return Made(self._make, self.rows[place]) if isinstance(place, slice) else self._make(self.rows[place])

    def __iter__(self) -> Iterator[T]:
        return map(self._make, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        """Tell whether the other has the same items in the same order."""
        if not isinstance(other, Made | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none


class Rows(Made[T]):
    """Records of the same layout.

    Attributes:
        layout: Of the rows.
    """

    __slots__ = ("layout",)

    def __init__(self, layout: Layout[T], rows: Sequence[Row]) -> None:
        super().__init__(layout.record, rows)
        self.layout = layout

    def by(self, field: str) -> RowsByKey[T]:
        """Return the records by a field whose values are keys."""
        place = self.layout.columns[field].place
        return RowsByKey(self.layout, {row[place]: row for row in self.rows})


class RowsByKey(Mapping[str, T]):
    """Records of the same layout by a key, each made when it is asked for.

    Attributes:
        layout: Of the rows.
        rows: As they were found, by their keys.
    """

    __slots__ = ("layout", "rows")

    def __init__(self, layout: Layout[T], rows: Mapping[str, Row]) -> None:
        self.layout = layout
        self.rows = rows

    def __getitem__(self, key: str) -> T:
        return self.layout.record(self.rows[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@lru_cache(1024)
def layout_of(
    make: Callable[..., T],
    fields: tuple[str, ...],
    reads: tuple[Read | None, ...],
    first: int = 0,
    related: tuple[tuple[str, Layout[Any]], ...] = (),
) -> Layout[T]:
    """Return how rows keep a record, of which they have some fields in columns one after the other.

    Args:
        make: The record's class, a frozen dataclass. Its other fields are refused with AttributeError when they are
            asked for.
        fields: Those of its fields that have columns, in this order.
        reads: What reads each of these columns, see `Column`.
        first: Place of the first of them.
        related: What else the rows keep, see `Layout`.
    """
    kept: Any = make
    columns = {name: Column(place, read) for place, (name, read) in enumerate(zip(fields, reads, strict=True), first)}
    properties = {name: property(_column(kept, name, columns.get(name))) for name in kept.__dataclass_fields__}
    attributes = {"__slots__": ("row",), "__module__": kept.__module__, **properties, **_methods(kept)}
    cls: Any = type(kept.__name__, (kept,), attributes)
    new: Callable[[Any], T] = object.__new__
    put = cls.row.__set__

    def record(row: Row) -> T:
        made = new(cls)
        put(made, row)
        return made

    layout = cls.layout = Layout(columns, dict(related), record)
    return layout


def _column(make: type[Any], name: str, column: Column | None) -> Read:
    if column is None:

        def refuse(_record: Any) -> Any:
            raise AttributeError(f"{name} of this {make.__name__} was not asked for")

        return refuse
    place, read = column.place, column.read
    if read is None:
        return lambda record: record.row[place]
    return lambda record: None if (value := record.row[place]) is None else read(value)


def _methods(make: type[Any]) -> dict[str, Any]:
    values = make.__dataclass_fields__

    def new(_cls: type[Any], **given: Any) -> Any:
        return make(**given)

    def equal(record: Any, other: object) -> Any:
        if not isinstance(other, make):
            return NotImplemented
        return all(getattr(record, name) == getattr(other, name) for name in values)

    return {"__new__": new, "__eq__": equal, "__hash__": make.__hash__}
