"""Python that makes the answer of an object, or of many rows, in one expression: text that is compiled once.

For `{ id status startedAt task { id } plan { version } }` of rows, each with its task, it reads like this:

    def build(rows, at, notes):
        answers = []
        for row in rows:
            answers.append({
                'id': (v if type(v := row[0]) is str else a(v)),
                'status': b[row[1]],
                'startedAt': (None if (v := row[2]) is None else c[v]),
                'task': (d() if row[3] is None else {'id': (v if type(v := row[3]) is str else e(v))}),
                'plan': None,
            })
        notes.append(Wanted(answers, [row[0] for row in rows], f, lambda n: g(h(rows[n])), at))
        return answers

Nothing of a client's gets into it but the names in the answer, which GraphQL's grammar keeps to letters, digits and
underscores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from operator import attrgetter
from typing import Any, Final, Never, cast

from graphql import GraphQLObjectType
from graphql.pyutils import Path

from domain.memory import Memory
from domain.rows import Column, Layout
from graph.execution.parts import (
    Build,
    BuildOfRows,
    Deferred,
    Leaf,
    Member,
    Notes,
    OfRows,
    Open,
    Part,
    Read,
    UnexpectedError,
    Wanted,
    for_each_layout,
)
from graph.marks import Attribute, Contextual
from graph.types.scalars import SHORT_WAYS

_REMEMBERED: Final = 1024
"""Answers that are made of the cells of a column."""


def build_of_objects(
    type_: GraphQLObjectType, origin: type, members: Sequence[Member], of_rows: OfRows | None
) -> Build:
    """Return what makes the answer of an object of a type; any but those of its own class are unexpected.

    Args:
        type_: The type.
        origin: The class of its objects.
        members: What is selected of them.
        of_rows: How the same is made of rows that keep their records, see `build_of_rows`.
    """
    code = _Code()
    refusals = [f"type(source) is not {code.name(origin)}"]
    if type_.is_type_of is not None:
        refusals.append(f"not {code.name(type_.is_type_of)}(source, None)")
    entries, noted = [], []
    for member in members:
        match member.part:
            case Leaf(text=str() as text):
                entry = repr(text)
            case Leaf() as leaf:
                entry = code.leaf(leaf, _read(code, member))
            case Part() as part:
                path = f"Path(path, {member.name!r}, {type_.name!r})" if part.is_open else "None"
                entry = f"{code.name(part.build)}({_read(code, member)}, {path}, notes)"
            case Deferred() as field:
                entry = "None"
                noted.append(_note(code, field))
        entries.append(f"{member.name!r}: {entry}")
    lines = [
        "def build(source, path, notes):",
        f"    if {' or '.join(refusals)}:",
        "        raise UnexpectedError",
        *(["    record = source.record"] if code.uses_record else []),
        *(_of_row(code, of_rows) if noted and of_rows is not None else []),
        f"    answer = {{{', '.join(entries)}}}",
        *(f"    notes.append({note})" for note in noted),
        "    return answer",
    ]
    return cast("Build", code.function(lines, f"objects of {type_.name}"))


def _of_row(code: _Code, of_rows: OfRows) -> list[str]:
    """Return lines that make the answer of the row which keeps `record`, if related ones came along in it."""
    return [
        "    if (layout := getattr(record, 'layout', None)) is not None and layout.related:",
        f"        if (of_row := {code.name(of_rows)}(layout, type(source).from_domain)) is not None:",
        "            return of_row([record.row], lambda _: path, notes)[0]",
    ]


def _read(code: _Code, member: Member) -> str:
    """Return an expression of what a field reads of `source`."""
    if member.contextual is not None:
        return _of_context(code, member.contextual)
    attribute = member.attribute
    if attribute is None or attribute.show is not None:
        return f"{code.name(member.read)}(source)"
    code.uses_record = True
    return f"record.{attribute.path}"


def _of_context(code: _Code, contextual: Contextual) -> str:
    """Return an expression of what a field makes of `record` and the context."""
    code.uses_record = True
    return f"{code.name(contextual.read)}(record, notes.context)"


def _note(code: _Code, field: Deferred) -> str:
    """Return an expression that notes that a field of one object is open."""
    if field.lookup is None:
        return f"Open(answer, {code.name(field)}, source, path)"
    code.uses_record = True
    key = f"record.{field.lookup.key}"
    return f"Wanted((answer,), ({key},), {code.name(field)}, lambda _: source, lambda _: path)"


def build_of_rows(type_: GraphQLObjectType, members: Sequence[Member]) -> OfRows | None:
    """Return what makes answers of rows that keep records of objects of a type; None if that can't be."""
    return _OfRows(type_, members) if all(map(_is_of_record, members)) else None


class _OfRows:
    """Makes, for each layout of rows, what makes the answers; see `graph.execution.parts.OfRows`."""

    def __init__(self, type_: GraphQLObjectType, members: Sequence[Member]) -> None:
        self._type = type_
        self._members = members
        self._for = for_each_layout(self._make)

    def __call__(self, layout: Layout[Any], show: Read) -> BuildOfRows | None:
        return self._for(layout, show)

    def _make(self, layout: Layout[Any], show: Read) -> BuildOfRows | None:
        missing = [field for field in self._deferred() if _along(field, layout) is None]
        keys = [field.lookup.key for field in missing if field.lookup is not None]
        if not all(key in layout.columns and layout.columns[key].read is None for key in keys):
            return None
        code = _Code()
        answer = self.answer(code, layout)
        lines = [
            "def build(rows, at, notes):",
            "    answers = []",
            "    append = answers.append",
            "    for row in rows:",
            *([f"        record = {code.name(layout.record)}(row)"] if code.uses_record else []),
            f"        append({answer})",
            *(f"    notes.append({_note_of_rows(code, field, layout, show)})" for field in missing),
            "    return answers",
        ]
        return cast("BuildOfRows", code.function(lines, f"rows of {self._type.name}"))

    def can_come_along(self, layout: Layout[Any]) -> bool:
        """Whether each field has columns of its own, where the record is not the one that the rows are of."""
        if self._deferred() or any(each.contextual is not None for each in self._members):
            return False
        return all(each.attribute is None or each.attribute.field in layout.columns for each in self._members)

    def answer(self, code: _Code, layout: Layout[Any]) -> str:
        """Return an expression of the answer of `row`; what is left open is null in it."""
        return f"{{{', '.join(f'{each.name!r}: {self._entry(code, each, layout)}' for each in self._members)}}}"

    def _entry(self, code: _Code, member: Member, layout: Layout[Any]) -> str:
        match member.part:
            case Leaf(text=str() as text):
                return repr(text)
            case Leaf() as leaf if member.contextual is not None:
                return code.leaf(leaf, _of_context(code, member.contextual))
            case Part() as part if member.contextual is not None:
                return f"{code.name(part.build)}({_of_context(code, member.contextual)}, None, notes)"
            case Leaf() as leaf:
                return _leaf_of_row(code, leaf, layout, member.attribute)
            case Part() as part:
                return _part_of_row(code, part, layout, member.attribute)
            case Deferred() as field:
                along = _along(field, layout)
                return "None" if along is None else _entry_along(code, field, *along)

    def _deferred(self) -> list[Deferred]:
        return [each.part for each in self._members if isinstance(each.part, Deferred)]


def _along(field: Deferred, layout: Layout[Any]) -> tuple[_OfRows, Layout[Any]] | None:
    """Return what makes the answer of a record that came along with the rows, and how they keep it; None without."""
    lookup, of_rows = field.lookup, None if field.part is None else field.part.of_rows
    if lookup is None or not lookup.is_by_id or not isinstance(of_rows, _OfRows):
        return None
    related = layout.related.get(lookup.key)
    return None if related is None or not of_rows.can_come_along(related) else (of_rows, related)


def _entry_along(code: _Code, field: Deferred, of_rows: _OfRows, layout: Layout[Any]) -> str:
    """Return an expression of the answer of a record that came along with `row`."""
    missing = f"row[{layout.columns['id'].place}] is None"
    without = "None" if field.is_null_without else f"{code.name(_refuse)}()"
    return f"({without} if {missing} else {of_rows.answer(code, layout)})"


def _refuse() -> Never:
    raise UnexpectedError


def _is_of_record(member: Member) -> bool:
    match member.part:
        case Deferred() as field:
            return field.lookup is not None
        case Part() as part:
            return not part.is_open and (member.attribute or member.contextual) is not None
        case Leaf() as leaf:
            return leaf.text is not None or (member.attribute or member.contextual) is not None


def _leaf_of_row(code: _Code, leaf: Leaf, layout: Layout[Any], attribute: Attribute | None) -> str:
    """Return an expression of a scalar of `row`."""
    assert attribute is not None
    column = layout.columns.get(attribute.path)
    if column is None or column.read is None or attribute.show is not None:
        return code.leaf(leaf, _value(code, layout, attribute))
    cell = f"row[{column.place}]"
    if leaf.is_enum:
        return f"{code.name(Memory(_completed(leaf, column.read), _REMEMBERED))}[{cell}]"
    short = SHORT_WAYS.get((column.read, leaf.serialize))
    if short is not None:
        made = code.name(short)
        return f"(None if (v := {cell}) is None else {made}[v])" if leaf.nullable else f"{made}[{cell}]"
    return code.leaf(leaf, _value(code, layout, attribute))


def _completed(leaf: Leaf, read: Read) -> Read:
    """Return what makes an answer of a cell."""
    return lambda cell: leaf.complete(None if cell is None else read(cell))


def _part_of_row(code: _Code, part: Part, layout: Layout[Any], attribute: Attribute | None) -> str:
    """Return an expression of an object or a list of `row`."""
    assert attribute is not None
    column = layout.columns.get(attribute.field)
    if column is None or not hasattr(column.read, "cache_info"):
        return f"{code.name(part.build)}({_value(code, layout, attribute)}, None, notes)"
    made = Memory(_maker(part, _steps(column, attribute)), _REMEMBERED)
    return f"{code.name(made)}[row[{column.place}]]"


def _maker(part: Part, steps: Sequence[Read]) -> Read:
    """Return what makes an answer of a cell; as its reader remembers what cells hold, so can it be remembered."""

    def make(cell: Any) -> Any:
        value = cell
        for step in steps:
            if value is not None:
                value = step(value)
        return part.build(value, None, Notes(None))

    return make


def _steps(column: Column | None, attribute: Attribute) -> list[Read]:
    """Return what makes a field's value of a cell, or of what the record has, step by step; null stays null."""
    rest = attribute.path.partition(".")[2]
    of_cell = [] if column is None else [column.read, attrgetter(rest) if rest else None]
    return [step for step in (*of_cell, attribute.show) if step is not None]


def _value(code: _Code, layout: Layout[Any], attribute: Attribute | None) -> str:
    """Return an expression of an attribute of `row`."""
    assert attribute is not None
    column = layout.columns.get(attribute.field)
    if column is None:  # it is computed of others
        code.uses_record = True
        value = f"record.{attribute.path}"
    else:
        value = f"row[{column.place}]"
    steps = _steps(column, attribute)
    if not steps:
        return value
    made = "r"
    for step in steps:
        made = f"{code.name(step)}({made})"
    return f"(None if (r := {value}) is None else {made})"


def _note_of_rows(code: _Code, field: Deferred, layout: Layout[Any], show: Read) -> str:
    """Return an expression that notes that a field of all rows is open."""
    assert field.lookup is not None
    keys = f"[row[{layout.columns[field.lookup.key].place}] for row in rows]"
    source = f"lambda n: {code.name(show)}({code.name(layout.record)}(rows[n]))"
    return f"Wanted(answers, {keys}, {code.name(field)}, {source}, at)"


class _Code:
    """A function under construction.

    Attributes:
        uses_record: Whether it needs the variable `record`.
    """

    def __init__(self) -> None:
        self.uses_record = False
        self._globals: dict[str, Any] = {
            "Open": Open,
            "Path": Path,
            "UnexpectedError": UnexpectedError,
            "Wanted": Wanted,
            "infinity": inf,
        }

    def name(self, value: object) -> str:
        """Return a name that stands for a value."""
        name = f"c{len(self._globals)}"
        self._globals[name] = value
        return name

    def leaf(self, leaf: Leaf, value: str) -> str:
        """Return an expression of what a scalar becomes of the value of an expression."""
        complete = self.name(leaf.complete)
        if leaf.test is None:
            return f"{complete}({value})"
        return f"(v if {leaf.test.format(f'v := {value}')} else {complete}(v))"

    def function(self, lines: Sequence[str], what: str) -> Callable[..., Any]:
        """Return the function that lines define under the name `build`."""
        exec(compile("\n".join(lines), f"<{what}>", "exec"), self._globals)  # noqa: S102  # the text is ours, see above
        return cast("Callable[..., Any]", self._globals["build"])
