"""Executes GraphQL operations for the transports: one engine for each schema, no I/O of its own.

`prepare` turns a request into an operation or the reason why not; `execute` answers a query or
mutation, `subscribe` follows a subscription. What leaves is JSON, ready to be sent.
"""

import time
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from typing import Any, Final, TypeAlias, TypeGuard, cast

import strawberry
from graphql import (
    ExecutionResult,
    GraphQLFormattedError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    default_field_resolver,
    default_type_resolver,
    get_variable_values,
    located_error,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues
from strawberry.execution import optimized_is_awaitable

from domain.durations import Durations
from graph.deadlines import Deadlines
from graph.errors import ErrorCode, RequestError, coded, internal, public
from graph.execution.compiled import CompilingExecutor
from graph.execution.documents import Document, Documents, InvalidDocumentError
from graph.execution.encoding import encode
from graph.execution.limits import Limits

# Answers to a variable that holds a thousand wrong things help nobody.
_MOST_VARIABLE_ERRORS: Final = 10

_is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How an engine treats every operation.

    Attributes:
        limits: Bounds on documents.
        introspection: Whether clients may ask for the schema.
        suggestions: Whether errors may say "Did you mean ...", which tells the schema as well.
        query_timeout: Seconds a query may take; mutations are never cut.
        trusted_only: Whether documents are refused that are not trusted.
    """

    limits: Limits = field(default_factory=Limits)
    introspection: bool = False
    suggestions: bool = False
    query_timeout: float = 30.0
    trusted_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GraphQL request as it came over any transport.

    Attributes:
        query: The document's text, empty where only its id came.
        document_id: Names a trusted document.
        variables: Not yet coerced.
        operation_name: Which of the document's operations to execute.
        request_id: Ties answers to lines in the log.
    """

    query: str = ""
    document_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None
    request_id: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A request that can be executed.

    Attributes:
        request: Where it came from.
        document: Parsed, priced and validated.
        node: The selected operation.
        values: Of the variables, coerced.
    """

    request: Request
    document: Document
    node: OperationDefinitionNode
    values: VariableValues

    @property
    def type(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.node.operation


@dataclass(frozen=True, slots=True)
class Result:
    """An execution's outcome: data, perhaps with errors beside it.

    Attributes:
        body: `{"data": ..., "errors": [...]}`.
        code: The code of the first error beside the data, None without one.
    """

    body: bytes
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Errors without data: the operation did not begin, or a subscription broke off.

    Attributes:
        errors: For the client, each with a code.
    """

    errors: Sequence[GraphQLFormattedError]

    @property
    def code(self) -> str:
        """The code of the first error, which decides what a transport does."""
        return _code(self.errors[0])

    @property
    def body(self) -> bytes:
        """`{"errors": [...]}`, without an entry for data."""
        return encode({"errors": self.errors})


Answer: TypeAlias = Result | Failure


class Engine:
    """Prepares and executes the operations of a schema.

    Attributes:
        schema: As graphql-core knows it.
        event_durations: How long it took to execute subscriptions, each event by itself.

    Args:
        schema: Its extensions are not run: what they are used for is done here.
        options: See there.
    """

    def __init__(self, schema: strawberry.Schema, options: EngineOptions | None = None) -> None:
        self.options = options or EngineOptions()
        self.schema = schema._schema  # noqa: SLF001 - the graphql-core schema has no public name
        self.documents = Documents(
            self.schema,
            self.options.limits,
            introspection=self.options.introspection,
            suggestions=self.options.suggestions,
            trusted_only=self.options.trusted_only,
        )
        self.event_durations = Durations()
        self._query_deadlines = Deadlines(self.options.query_timeout)

    def prepare(self, request: Request) -> Operation | Failure:
        """Parse, price and validate a request, and coerce its variables."""
        try:
            return self._prepare(request)
        except GraphQLSyntaxError as error:
            return Failure([coded(error, ErrorCode.GRAPHQL_PARSE_FAILED)])
        except InvalidDocumentError as error:
            return Failure([coded(each, ErrorCode.GRAPHQL_VALIDATION_FAILED) for each in error.errors])
        except RequestError as error:
            return Failure([error.formatted])
        except Exception as error:
            return Failure([internal(error, request.request_id)])

    async def execute(self, operation: Operation, context: object) -> Answer:
        """Execute a query or mutation; a query is cut after the time-out."""
        if operation.type is not OperationType.QUERY:
            return await self._run(operation, None, context)
        try:
            with self._query_deadlines.one():
                return await self._run(operation, None, context)
        except TimeoutError:
            limit = self._query_deadlines.seconds
            message = f"The query took longer than {limit:g} s; ask for less, or in smaller pages."
            return Failure([RequestError(ErrorCode.TIMEOUT, message).formatted])

    async def execute_event(self, operation: Operation, event: object, context: object) -> Answer:
        """Execute a subscription for one event of its source.

        Depends on its arguments alone, so that one answer can serve all who asked for the same.
        """
        began = time.perf_counter()
        answer = self._answer_at_once(operation, event, context)
        if answer is None:
            answer = await self._run(operation, event, context)
        self.event_durations.add(time.perf_counter() - began)
        return answer

    async def open(self, operation: Operation, context: object) -> AsyncIterable[object] | Failure:
        """Call a subscription's resolver; return what it returned, whose events are for `execute_event`."""
        request = operation.request
        try:
            stream = create_source_event_stream(self._executor(operation, None, context))
            if isawaitable(stream):
                stream = await stream
            if isinstance(stream, ExecutionResult):
                return Failure(public(stream.errors or (), request.request_id))
            return cast("AsyncIterable[object]", stream)
        except Exception as error:
            return self.broken(error, operation)

    def broken(self, error: Exception, operation: Operation) -> Failure:
        """Tell a client what a subscription broke off with."""
        return Failure(public([located_error(error)], operation.request.request_id))

    def _prepare(self, request: Request) -> Operation | Failure:
        document = self.documents.find(request.query, request.document_id)
        definition = document.select(request.operation_name)
        definition.price(self.schema, request.variables).check(document.limits)
        self.documents.ensure_valid(document)
        node = definition.node
        values = definition.variables(self.schema).coerce(request.variables) or get_variable_values(
            self.schema,
            node.variable_definitions or (),
            dict(request.variables),
            max_errors=_MOST_VARIABLE_ERRORS,
            hide_suggestions=not self.options.suggestions,
        )
        if isinstance(values, list):
            return Failure([coded(each, ErrorCode.BAD_USER_INPUT) for each in values])
        return Operation(request, document, node, values)

    def _answer_at_once(self, operation: Operation, event: object, context: object) -> Answer | None:
        """Answer to an event of which only plain fields are selected, None if it takes an execution."""
        plans = operation.document.plans
        found = plans.event(
            operation.node, operation.values, type(event), lambda: self._executor(operation, event, context)
        )
        if found is None:
            return None
        try:
            return Result(encode({"data": found.data(event, context)}))
        except Exception:  # the execution will say what is wrong
            return None

    async def _run(self, operation: Operation, root: object, context: object) -> Answer:
        request = operation.request
        try:
            return _answer(await self._execute(operation, root, context), request.request_id)
        except Exception as error:
            return Failure([internal(error, request.request_id)])

    async def _execute(self, operation: Operation, root: object, context: object) -> ExecutionResult:
        executor = partial(self._executor, operation, root, context)
        single = operation.document.plans.single(operation.node, operation.values, executor)
        if single is not None:
            done = await single.execute(root, context, operation.values, executor)
            if done is not None:
                return done
        result = executor().execute_operation()
        return result if isinstance(result, ExecutionResult) else await cast("Awaitable[ExecutionResult]", result)

    def _executor(self, operation: Operation, root: object, context: object) -> CompilingExecutor:
        """Make what executes an operation, of what was found out when it was prepared."""
        document = operation.document
        return CompilingExecutor(
            self.schema,
            document.fragments,
            {name: FragmentDetails(fragment) for name, fragment in document.fragments.items()},
            root,
            context,
            operation.node,
            operation.values,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=_is_awaitable,
            hide_suggestions=not self.options.suggestions,
            plans=document.plans,
        )


def _answer(result: ExecutionResult, request_id: str) -> Answer:
    errors = result.errors or []
    shown = public(errors, request_id)
    if result.data is None and errors and all(error.path is None for error in errors):
        return Failure(shown)
    response = {"data": result.data, "errors": shown} if shown else {"data": result.data}
    return Result(encode(response), _code(shown[0]) if shown else None)


def _code(error: GraphQLFormattedError) -> str:
    return str(error.get("extensions", {})["code"])
