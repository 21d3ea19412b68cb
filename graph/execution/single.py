"""An operation of one field whose resolver is awaited, such as a page or a mutation, without what executes many.

The field's answer is made by its plan. What that leaves open, and whatever is not as expected, is for an executor,
which gets what the resolver returned or raised: no resolver is called twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Never, Protocol, cast

from graphql import ExecutionResult, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues

from graph.execution.calls import Call
from graph.execution.parts import Build, Notes


class Completing(Protocol):
    """What executes a whole operation, asked for what a plan could not do: `graph.execution.compiled`."""

    @property
    def complete_value(self) -> Callable[..., Any]:
        """Makes an answer of what a resolver returned, as graphql-core does."""
        ...

    def fill(self, answer: Any, notes: Notes, /) -> Any:
        """Fill in what was left open of an answer; what is returned may have to be awaited."""
        ...

    async def finish_single(self, field: SingleField, complete: Callable[[], Any], /) -> ExecutionResult:
        """Return the result of an operation of one field, whose value is made, or awaited, by a function."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SingleField:
    """The one field of an operation.

    Attributes:
        name: In the answer.
        details: As it was collected.
        call: Of its resolver.
        build: Makes its answer of what the resolver returns.
        info: For the resolver, but for what differs between requests.
    """

    name: str
    details: FieldDetailsList
    call: Call
    build: Build
    info: GraphQLResolveInfo[Any]

    async def execute(
        self, root: object, context: object, values: VariableValues, executor: Callable[[], Completing]
    ) -> ExecutionResult | None:
        """Execute the operation; None if its arguments are not as expected, and nothing was done.

        Args:
            root: What the operation begins with.
            context: Of the operation.
            values: Of the variables.
            executor: Makes what would execute it.
        """
        arguments = self.call.arguments(values)
        if arguments is None:
            return None
        # A resolver of Strawberry's gets the values alone.
        info = self.info._replace(root_value=root, variable_values=cast("Any", values.coerced), context=context)
        try:
            found = await self.call.resolve(root, info, arguments)
        except Exception as error:
            return await executor().finish_single(self, partial(_raise, error))
        notes = Notes(context)
        try:
            answer = self.build(found, info.path, notes)
        except Exception:
            return await self._complete(executor(), info, found)
        if not notes:
            return ExecutionResult({self.name: answer}, None)
        whole = executor()
        return await whole.finish_single(self, partial(whole.fill, answer, notes))

    def _complete(
        self, executor: Completing, info: GraphQLResolveInfo[Any], found: object
    ) -> Awaitable[ExecutionResult]:
        """Have graphql-core make the answer, or say what is wrong."""
        complete = executor.complete_value
        return executor.finish_single(
            self, lambda: complete(self.call.field.type, self.details, info, info.path, found, None)
        )


def without_request(info: GraphQLResolveInfo[Any]) -> GraphQLResolveInfo[Any]:
    """Return an info without what is one request's own; helpers of an executor are not there."""
    nothing = cast("Any", None)
    return info._replace(root_value=None, variable_values=nothing, context=nothing, async_helpers=nothing)


def _raise(error: Exception) -> Never:
    raise error
