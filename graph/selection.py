"""Look-ahead: what a client selects below a field."""

from collections.abc import Iterable
from typing import Any

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionNode
from strawberry import Info


def selects(info: Info[Any, Any], name: str) -> bool:
    """Tell whether a field is selected directly below the one being resolved, fragments included.

    `@skip` and `@include` are not looked at: what they leave out counts as selected.
    """
    raw = info._raw_info  # noqa: SLF001 - strawberry converts the whole tree, arguments included, for its public form
    fragments = raw.fragments

    def any_in(selections: Iterable[SelectionNode]) -> bool:
        for node in selections:
            match node:
                case FieldNode():
                    if node.name.value == name:
                        return True
                case FragmentSpreadNode():
                    if any_in(fragments[node.name.value].selection_set.selections):
                        return True
                case InlineFragmentNode():
                    if any_in(node.selection_set.selections):
                        return True
        return False

    return any(any_in(node.selection_set.selections) for node in raw.field_nodes if node.selection_set)
