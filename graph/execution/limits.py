"""What one client may ask for: sizes of requests, and the price of a document before it runs.

The price is taken from the syntax tree before validation, in one pass that measures each fragment
once: fragments that double (`a { ...b x: y { ...b } }`) grow the work exponentially, but not the
time it takes to refuse them.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

from graph.errors import LimitExceededError

_PAGE_ARGUMENTS: Final = ("first", "last")
_POINTS_ARGUMENT: Final = "maxPoints"
_IDS_ARGUMENT: Final = "ids"

# A point of a series has two plain values, a node a dozen fields with resolvers of their own.
_POINTS_PER_NODE: Final = 10

# Nesting that is no depth for a client (fragments in fragments) still uses our stack.
MOST_NESTING: Final = 100

# Numbers beyond are of no use to a reader, and not every client's JSON can hold them.
_LARGEST_SHOWN: Final = 1_000_000_000

# A whole introspection costs tens of milliseconds of processor time, a single type very little.
_INTROSPECTION_COST: Final = MappingProxyType({"__schema": 4_000, "__type": 100})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one request, message or socket may hold.

    Attributes:
        tokens: Lexical tokens of a document.
        depth: Levels of fields; those of introspection count apart.
        introspection_depth: Levels below `__schema` and `__type`; the query that GraphiQL sends has 14.
        aliases: Aliases in the operation and the fragments it uses.
        fields: Fields after all fragments are spread, without page sizes.
        document_fields: The same for all operations of a document together.
        overlaps: Pairs of fields with the same response path, which validation compares.
        cost: Nodes that the operation can return: page sizes multiplied down the tree and summed; ten points of
            a series count as one.
        page_size: Assumed for a page without `first` or `last`.
        page_sizes: The same for single fields, by coordinate.
        largest_page: What a larger `first` counts as; resolvers refuse it.
        body_bytes: Body of an HTTP request.
        message_bytes: One WebSocket message.
        operations: Operations in flight on one WebSocket.
    """

    tokens: int = 2_000
    depth: int = 12
    introspection_depth: int = 16
    aliases: int = 30
    fields: int = 5_000
    document_fields: int = 20_000
    overlaps: int = 10_000
    cost: int = 10_000
    page_size: int = 10
    page_sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"Run.logs": 200}))
    largest_page: int = 5_000
    body_bytes: int = 1024 * 1024
    message_bytes: int = 256 * 1024
    operations: int = 100

    def for_trusted(self) -> "Limits":
        """Return what holds for a document that is trusted: its cost alone, which the client's variables decide."""
        return replace(
            self,
            tokens=sys.maxsize,
            depth=sys.maxsize,
            introspection_depth=sys.maxsize,
            aliases=sys.maxsize,
            fields=sys.maxsize,
            document_fields=sys.maxsize,
            overlaps=sys.maxsize,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation asks for, in the units of `Limits`.

    Attributes:
        depth: Levels of fields.
        aliases: Aliases written.
        fields: Fields after spreading.
        cost: Nodes at most.
        variables: Names of the variables that the cost depends on.
    """

    depth: int
    aliases: int
    fields: int
    cost: int
    variables: frozenset[str]

    def check(self, limits: Limits) -> None:
        """Refuse what is beyond a limit.

        Raises:
            LimitExceededError: With the limit and the value.
        """
        for what, value, limit in (
            ("The operation's depth", self.depth, limits.depth),
            ("The number of aliases", self.aliases, limits.aliases),
            ("The number of fields", self.fields, limits.fields),
            ("The operation's cost in nodes", self.cost, limits.cost),
        ):
            if value > limit:
                raise LimitExceededError(what, min(value, _LARGEST_SHOWN), limit)


def price(
    schema: GraphQLSchema,
    limits: Limits,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
) -> Price:
    """Measure one operation of a document that need not be valid.

    Args:
        schema: Tells pages from other fields; what it doesn't know counts as a plain field.
        limits: Assumed page sizes; the result is not compared with them here.
        document: Where the fragments stand.
        operation: The operation to be executed.
        variables: As the client sent them; page sizes among them count with their value.

    Raises:
        LimitExceededError: The document is nested too deeply to be measured, or introspects too deeply.
    """
    return _Meter(schema, limits, document, operation, variables).measure()


class _Size(NamedTuple):
    depth: int = 0
    fields: int = 0
    cost: int = 0


class _Meter:
    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._operation = operation
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._defaults = {node.variable.name.value: node.default_value for node in operation.variable_definitions or ()}
        self._variables = variables
        self._used_variables: set[str] = set()
        self._measured: dict[str, _Size] = {}
        self._aliases = 0

    def measure(self) -> Price:
        root = self._schema.get_root_type(OperationType(self._operation.operation))
        size = self._selections(self._operation.selection_set, root, 1)
        return Price(size.depth, self._aliases, size.fields, size.cost, frozenset(self._used_variables))

    def _selections(self, node: SelectionSetNode, parent: GraphQLNamedType | None, nesting: int) -> _Size:
        if nesting > MOST_NESTING:
            raise LimitExceededError("The nesting of selections", nesting, MOST_NESTING)
        depth = fields = cost = 0
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                size = self._field(selection, parent, nesting)
            elif isinstance(selection, FragmentSpreadNode):
                size = self._fragment(selection.name.value, nesting)
            else:
                assert isinstance(selection, InlineFragmentNode)
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                size = self._selections(selection.selection_set, inner, nesting + 1)
            depth = max(depth, size.depth)
            fields += size.fields
            cost += size.cost
        return _Size(depth, fields, cost)

    def _fragment(self, name: str, nesting: int) -> _Size:
        fragment = self._fragments.get(name)
        if fragment is None:
            return _Size()
        if name not in self._measured:
            self._measured[name] = _Size()  # what a cycle meets; validation refuses the cycle
            condition = self._schema.get_type(fragment.type_condition.name.value)
            self._measured[name] = self._selections(fragment.selection_set, condition, nesting + 1)
        return self._measured[name]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, nesting: int) -> _Size:
        if node.alias:
            self._aliases += 1
        name = node.name.value
        definition = self._definition(parent, name)
        if node.selection_set:
            inner = get_named_type(definition.type) if definition else None
            below = self._selections(node.selection_set, inner, nesting + 1)
        else:
            below = _Size()
        if name in _INTROSPECTION_COST:
            return self._introspection(name, below)
        page = self._page(node, definition, f"{parent.name}.{name}") if definition and parent else None
        if page is None:
            return _Size(below.depth + 1, below.fields + 1, below.cost)
        return _Size(below.depth + 1, below.fields + 1, page + page * below.cost)

    def _introspection(self, name: str, below: _Size) -> _Size:
        if below.depth > self._limits.introspection_depth:
            raise LimitExceededError(f"The depth below {name}", below.depth, self._limits.introspection_depth)
        return _Size(1, below.fields + 1, _INTROSPECTION_COST[name])

    def _definition(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        if is_object_type(parent) or is_interface_type(parent):
            return self._schema.get_field(parent, name)
        return None

    def _page(self, node: FieldNode, definition: GraphQLField, coordinate: str) -> int | None:
        """Tell how many nodes a field returns at most; None for a field that is no page."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        size: int | None
        if any(name in definition.args for name in _PAGE_ARGUMENTS):
            sizes = [self._number(given[name]) for name in _PAGE_ARGUMENTS if name in given]
            asked = [size for size in sizes if size is not None]
            size = max(asked) if asked else self._assumed(coordinate)
        elif _POINTS_ARGUMENT in definition.args:
            size = self._points(definition.args[_POINTS_ARGUMENT].default_value, given.get(_POINTS_ARGUMENT))
        elif _IDS_ARGUMENT in definition.args and _IDS_ARGUMENT in given:
            size = self._length(given[_IDS_ARGUMENT])
        else:
            return None
        if size is None:
            size = self._limits.page_size
        return min(max(size, 0), self._limits.largest_page)

    def _points(self, default: object, given: ValueNode | None) -> int | None:
        points = self._number(given) if given else None
        if points is None:
            points = default if isinstance(default, int) else None
        return None if points is None else math.ceil(points / _POINTS_PER_NODE)

    def _assumed(self, coordinate: str) -> int:
        return self._limits.page_sizes.get(coordinate, self._limits.page_size)

    def _number(self, node: ValueNode) -> int | None:
        value = self._value(node)
        if isinstance(value, IntValueNode):
            # Python refuses to read numbers of thousands of digits.
            return int(value.value) if len(value.value) < 10 else _LARGEST_SHOWN
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def _length(self, node: ValueNode) -> int:
        value = self._value(node)
        if isinstance(value, ListValueNode):
            return len(value.values)
        return len(value) if isinstance(value, list) else 1

    def _value(self, node: ValueNode) -> object:
        """Look through a variable: the client's value, or else the node of its default."""
        if isinstance(node, VariableNode):
            name = node.name.value
            self._used_variables.add(name)
            return self._variables[name] if name in self._variables else self._defaults.get(name)
        return None if isinstance(node, NullValueNode) else node
