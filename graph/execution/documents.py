"""Documents as clients send them or name them: parsed, priced and validated once, then kept."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

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
from graph.execution.limits import Limits, Price, price
from graph.execution.overlaps import check_overlaps
from graph.execution.plans import Plans
from graph.execution.variables import Variables

# A syntax tree takes a hundred times the memory of its text.
_CACHED_DOCUMENTS: Final = 1_000
_CACHED_BYTES: Final = 1_000_000
_LONGEST_CACHED: Final = 20_000

ID_PREFIX: Final = "sha256:"
"""Before the digest in an id (GraphQL over HTTP, appendix "Persisted Documents")."""

# Different page sizes in variables, remembered for each document.
_CACHED_PRICES: Final = 100
_PriceKey: TypeAlias = tuple[object, ...]

Source: TypeAlias = Literal["text", "id"]
"""What a client sent of a document."""

Outcome: TypeAlias = Literal["hit", "miss"]


def digest(text: str) -> str:
    """Return the SHA-256 of a document's text in lower-case hexadecimal digits, which names it."""
    return hashlib.sha256(text.encode()).hexdigest()


class InvalidDocumentError(Exception):
    """The document does not fit the schema.

    Attributes:
        errors: Each with its place in the document.
    """

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} validation errors")
        self.errors = errors


class Definition:
    """An operation that a document defines, and what was found out about it.

    Attributes:
        node: In the syntax tree.

    Args:
        tree: The document.
        node: See there.
        limits: What it is held to.
    """

    def __init__(self, tree: DocumentNode, node: OperationDefinitionNode, limits: Limits) -> None:
        self.node = node
        self._tree = tree
        self._limits = limits
        self._priced_by: tuple[str, ...] = ()
        self._prices: dict[_PriceKey, Price] = {}
        self._variables: Variables | None = None

    def price(self, schema: GraphQLSchema, variables: Mapping[str, object]) -> Price:
        """Price the operation, remembering what it depends on."""
        known = self._prices.get(_price_key(self._priced_by, variables))
        if known is not None:
            return known
        priced = price(schema, self._limits, self._tree, self.node, variables)
        self._priced_by = tuple(sorted(priced.variables))
        if len(self._prices) < _CACHED_PRICES:
            self._prices[_price_key(self._priced_by, variables)] = priced
        return priced

    def variables(self, schema: GraphQLSchema) -> Variables:
        """Return the variables of the operation, which must be valid."""
        if self._variables is None:
            self._variables = Variables(schema, self.node.variable_definitions or ())
        return self._variables


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    Attributes:
        text: What the client sent.
        tree: Its syntax tree.
        definitions: Of its operations, in the document's order.
        fragments: By name.
        plans: How its selections are executed.
        limits: What its operations are held to.
    """

    text: str
    tree: DocumentNode
    definitions: tuple[Definition, ...]
    fragments: Mapping[str, FragmentDefinitionNode]
    plans: Plans
    limits: Limits

    def select(self, name: str | None) -> Definition:
        """Find the operation to execute, the only one if no name is given.

        Raises:
            RequestError: BAD_USER_INPUT when there is none or the name is needed and missing.
        """
        if name is None and len(self.definitions) == 1:
            return self.definitions[0]
        named = [each for each in self.definitions if name is None or (each.node.name and each.node.name.value == name)]
        if len(named) == 1 or (named and name is not None):
            return named[0]
        if name is not None:
            raise RequestError(ErrorCode.BAD_USER_INPUT, f"The document has no operation named {name!r}.")
        if named:
            raise RequestError(
                ErrorCode.BAD_USER_INPUT, "The document has several operations; say which in operationName."
            )
        raise RequestError(ErrorCode.BAD_USER_INPUT, "The document has no operation.")


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of something is kept.

    Attributes:
        documents: How many.
        text_bytes: Their texts together, in UTF-8.
    """

    documents: int
    text_bytes: int


class Documents:
    """The documents of one schema, ready for execution: trusted ones, and those of others that were used most recently.

    Attributes:
        lookups: How often documents were asked for, by what came of them and whether they were known.
        evictions: How many others were given up for more recent ones.

    Args:
        schema: What documents are validated against.
        limits: The number of tokens is refused here, the rest by `Price.check`.
        introspection: Whether documents may ask for the schema.
        suggestions: Whether validation may say "Did you mean ...".
        trusted_only: Whether all but trusted documents are refused.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        *,
        introspection: bool,
        suggestions: bool,
        trusted_only: bool = False,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._trusting = limits.for_trusted()
        self._hide_suggestions = not suggestions
        self._trusted_only = trusted_only
        self._rules = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
        if not introspection:
            self._rules = (*self._rules, NoSchemaIntrospectionCustomRule)
        self._recent: OrderedDict[str, Document] = OrderedDict()
        self._recent_bytes = 0
        self._trusted: dict[str, Document] = {}
        self._trusted_bytes = 0
        self._by_digest: dict[str, Document] = {}
        self.lookups: Counter[tuple[Source, Outcome]] = Counter()
        self.evictions = 0

    @property
    def recent(self) -> Kept:
        """What is kept until more recent ones need the place."""
        return Kept(len(self._recent), self._recent_bytes)

    @property
    def trusted(self) -> Kept:
        """What is kept for good."""
        return Kept(len(self._trusted), self._trusted_bytes)

    def trust(self, text: str) -> None:
        """Keep a document for good, to be asked for by its text or its id.

        Raises:
            GraphQLSyntaxError: It is no GraphQL.
            InvalidDocumentError: It does not fit the schema.
            LimitExceededError: It is nested too deeply.
        """
        document = self._parse(text, self._trusting)
        self._validate(document)
        if text not in self._trusted:
            self._trusted_bytes += _bytes(text)
        self._trusted[text] = self._by_digest[digest(text)] = document

    def find(self, text: str, identifier: str | None = None) -> Document:
        """Return the document that a request asks for.

        Args:
            text: Empty where it is named only.
            identifier: Of a trusted document: the digest of its text, with the prefix or without. While no document is
                trusted, nobody knows what it is, and it does no harm beside a text ("servers ... MUST ignore parameters
                they do not understand", GraphQL over HTTP).

        Raises:
            GraphQLSyntaxError: It is no GraphQL.
            RequestError: LIMIT_EXCEEDED, it has too many tokens. NOT_FOUND, no trusted document has the id. FORBIDDEN,
                it is not trusted, and only such are answered. BAD_REQUEST, there are no ids here, or a text came too.
        """
        if identifier is None or (text and not self._by_digest):
            return self._find_text(text)
        return self._find_trusted(identifier, text)

    def ensure_valid(self, document: Document) -> None:
        """Validate a document unless that was done, and keep it for the next time.

        Raises:
            InvalidDocumentError: It does not fit the schema.
            LimitExceededError: It would take too long to tell.
        """
        if document.text in self._recent or document.text in self._trusted:
            return
        self._validate(document)
        self._keep(document)

    def _find_text(self, text: str) -> Document:
        document = self._recent.get(text)
        if document is not None:
            self._recent.move_to_end(text)
        else:
            document = self._trusted.get(text)
        if document is not None:
            self.lookups["text", "hit"] += 1
            return document
        self.lookups["text", "miss"] += 1
        if self._trusted_only:
            message = "Only trusted documents are answered here; send the documentId of one, and no other text."
            raise RequestError(ErrorCode.FORBIDDEN, message)
        return self._parse(text, self._limits)

    def _find_trusted(self, identifier: str, text: str) -> Document:
        if not self._by_digest:
            message = "This server has no trusted documents; send the document's text in query instead of a documentId."
            raise RequestError(ErrorCode.BAD_REQUEST, message)
        if text:
            raise RequestError(ErrorCode.BAD_REQUEST, "Send either query or documentId, not both.")
        document = self._by_digest.get(identifier.removeprefix(ID_PREFIX))
        if document is None:
            self.lookups["id", "miss"] += 1
            raise RequestError(ErrorCode.NOT_FOUND, "There is no trusted document with this documentId.")
        self.lookups["id", "hit"] += 1
        return document

    def _parse(self, text: str, limits: Limits) -> Document:
        tokens = limits.tokens
        try:
            tree = parse(text, max_lexical_tokens=tokens, max_comments=tokens)
        except GraphQLSyntaxError as error:
            if error.message.startswith("Syntax Error: Document contains more than"):
                message = f"The document has more than {tokens} tokens or comments."
                raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, limit=tokens) from None
            raise
        operations = (node for node in tree.definitions if isinstance(node, OperationDefinitionNode))
        definitions = tuple(Definition(tree, node, limits) for node in operations)
        fragments = {node.name.value: node for node in tree.definitions if isinstance(node, FragmentDefinitionNode)}
        return Document(text, tree, definitions, fragments, Plans(tree), limits)

    def _validate(self, document: Document) -> None:
        check_overlaps(document.tree, document.limits)
        errors = validate(self._schema, document.tree, self._rules, hide_suggestions=self._hide_suggestions)
        if errors:
            raise InvalidDocumentError(errors)

    def _keep(self, document: Document) -> None:
        if len(document.text) > _LONGEST_CACHED:
            return
        self._recent[document.text] = document
        self._recent_bytes += _bytes(document.text)
        while len(self._recent) > _CACHED_DOCUMENTS or self._recent_bytes > _CACHED_BYTES:
            text, _ = self._recent.popitem(last=False)
            self._recent_bytes -= _bytes(text)
            self.evictions += 1


def _bytes(text: str) -> int:
    return len(text.encode())


def _price_key(names: Sequence[str], variables: Mapping[str, object]) -> _PriceKey:
    """What the price of an operation depends on."""
    return tuple([_size(variables[name]) if name in variables else "absent" for name in names])


def _size(value: object) -> int | tuple[int] | None:
    if isinstance(value, list):
        return (len(value),)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
