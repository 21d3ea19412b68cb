"""Hypothesis strategies for the domain's records, made of the types of their fields."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

TEXTS: Final = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
"""Without what `domain.validation` refuses."""
FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
JSON_OBJECTS: Final = st.dictionaries(TEXTS, JSON_VALUES, max_size=2)

_PLAIN: Final[dict[Any, st.SearchStrategy[Any]]] = {
    str: TEXTS,
    int: st.integers(0, 2**31),
    float: FLOATS,
    bool: st.booleans(),
    types.NoneType: st.none(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


@cache
def record(cls: Any) -> st.SearchStrategy[Any]:
    """Any instance of a record's class, every field given."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{field.name: _of(hints[field.name]) for field in fields(cls)})


def _of(hint: Any) -> st.SearchStrategy[Any]:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return JSON_VALUES if len(args) > 2 else st.one_of(*map(_of, args))
    if origin is tuple:
        return st.lists(_of(args[0]), max_size=2).map(tuple)
    if origin is dict:
        return JSON_OBJECTS
    if origin is Mapping:
        return st.dictionaries(TEXTS, TEXTS, max_size=2)
    if issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    return st.deferred(lambda: record(hint))
