"""Documents as clients send them: parsed, priced and validated once, then kept by their text."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.errors import ErrorCode, RequestError
from graph.execution.compiled import Plans
from graph.execution.limits import Limits, Price, price
from graph.execution.overlaps import check_overlaps

# A syntax tree takes a hundred times the memory of its text.
_CACHED_DOCUMENTS: Final = 1_000
_CACHED_TEXT: Final = 1_000_000
_LONGEST_CACHED: Final = 20_000

# Different page sizes in variables, remembered for each document.
_CACHED_PRICES: Final = 100
_PriceKey: TypeAlias = tuple[object, ...]


class InvalidDocumentError(Exception):
    """The document does not fit the schema.

    Attributes:
        errors: Each with its place in the document.
    """

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} validation errors")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    Attributes:
        text: What the client sent.
        tree: Its syntax tree.
        operations: In the document's order.
        fragments: By name.
        plans: How its selections are executed.
    """

    text: str
    tree: DocumentNode
    operations: tuple[OperationDefinitionNode, ...]
    fragments: Mapping[str, FragmentDefinitionNode]
    plans: Plans
    _variables: dict[int, frozenset[str]] = field(default_factory=dict)
    _prices: dict[_PriceKey, Price] = field(default_factory=dict)

    def select(self, name: str | None) -> OperationDefinitionNode:
        """Find the operation to execute, the only one if no name is given.

        Raises:
            RequestError: BAD_USER_INPUT when there is none or the name is needed and missing.
        """
        named = [op for op in self.operations if name is None or (op.name and op.name.value == name)]
        if len(named) == 1 or (named and name is not None):
            return named[0]
        if name is not None:
            raise RequestError(ErrorCode.BAD_USER_INPUT, f"The document has no operation named {name!r}.")
        if named:
            raise RequestError(
                ErrorCode.BAD_USER_INPUT, "The document has several operations; say which in operationName."
            )
        raise RequestError(ErrorCode.BAD_USER_INPUT, "The document has no operation.")

    def price(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        operation: OperationDefinitionNode,
        variables: Mapping[str, object],
    ) -> Price:
        """Price an operation, remembering what it depends on."""
        number = self.operations.index(operation)
        names = self._variables.get(number)
        known = None if names is None else self._prices.get(_price_key(number, names, variables))
        if known is not None:
            return known
        priced = price(schema, limits, self.tree, operation, variables)
        self._variables[number] = priced.variables
        if len(self._prices) < _CACHED_PRICES:
            self._prices[_price_key(number, priced.variables, variables)] = priced
        return priced


class Documents:
    """The documents of one schema, the most recently used ones ready for execution.

    Args:
        schema: What documents are validated against.
        limits: The number of tokens is refused here, the rest by `Price.check`.
        introspection: Whether documents may ask for the schema.
        suggestions: Whether validation may say "Did you mean ...".
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, introspection: bool, suggestions: bool) -> None:
        self._schema = schema
        self._limits = limits
        self._hide_suggestions = not suggestions
        self._rules = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
        if not introspection:
            self._rules = (*self._rules, NoSchemaIntrospectionCustomRule)
        self._valid: OrderedDict[str, Document] = OrderedDict()
        self._text = 0
        self.hits = 0
        self.misses = 0

    def load(self, text: str) -> Document:
        """Take a document from the cache, or parse it.

        Raises:
            GraphQLSyntaxError: It is no GraphQL.
            RequestError: LIMIT_EXCEEDED, it has too many tokens.
        """
        document = self._valid.get(text)
        if document is not None:
            self.hits += 1
            self._valid.move_to_end(text)
            return document
        self.misses += 1
        return self._parse(text)

    def ensure_valid(self, document: Document) -> None:
        """Validate a document unless that was done, and keep it for the next time.

        Raises:
            InvalidDocumentError: It does not fit the schema.
            LimitExceededError: It would take too long to tell.
        """
        if document.text in self._valid:
            return
        check_overlaps(document.tree, self._limits)
        errors = validate(self._schema, document.tree, self._rules, hide_suggestions=self._hide_suggestions)
        if errors:
            raise InvalidDocumentError(errors)
        self._keep(document)

    def _parse(self, text: str) -> Document:
        tokens = self._limits.tokens
        try:
            tree = parse(text, max_lexical_tokens=tokens, max_comments=tokens)
        except GraphQLSyntaxError as error:
            if error.message.startswith("Syntax Error: Document contains more than"):
                message = f"The document has more than {tokens} tokens or comments."
                raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, limit=tokens) from None
            raise
        operations = (node for node in tree.definitions if isinstance(node, OperationDefinitionNode))
        fragments = {node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
        return Document(text, tree, tuple(operations), fragments, Plans(tree))

    def _keep(self, document: Document) -> None:
        if len(document.text) > _LONGEST_CACHED:
            return
        self._valid[document.text] = document
        self._text += len(document.text)
        while len(self._valid) > _CACHED_DOCUMENTS or self._text > _CACHED_TEXT:
            text, _ = self._valid.popitem(last=False)
            self._text -= len(text)


def _price_key(number: int, names: frozenset[str], variables: Mapping[str, object]) -> _PriceKey:
    """What the price of the document's operation with that number depends on."""
    return (number, *(_size(variables[name]) if name in variables else "absent" for name in sorted(names)))


def _size(value: object) -> int | tuple[int] | None:
    if isinstance(value, list):
        return (len(value),)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
