"""One request by compiled selections and by Strawberry's own executor, and an event by what answers at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, cast

import graphql
import pytest
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, parse, validate
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.compiled import CompilingExecutor
from graph.execution.plans import Plans
from tests.execution.documents import Told

_FORGOTTEN: Final = r"(Executor|GraphQLCoreConverter)\."
FORGETFUL: Final = pytest.mark.filterwarnings(
    f"ignore:coroutine '{_FORGOTTEN}:RuntimeWarning",
    f"ignore:Exception ignored in. <coroutine object {_FORGOTTEN}:pytest.PytestUnraisableExceptionWarning",
)
"""For tests with Strawberry's own executor: when a field fails, it cancels what it has not begun, which Python reports
when it is garbage; or fails to where a named tuple is just made, which has no `__import__`. That nothing
is forgotten that ours made is in `tests.execution.test_dropped`."""


@dataclass(frozen=True)
class Outcome:
    """What came of a request.

    Attributes:
        data: Written down, so that the order of keys, 1, 1.0 and true, and NaN and NaN are told apart or not.
        errors: Likewise, in the order in which they came.
        waited: Whether something had to be awaited; where both executors did, the order of errors is by chance.
    """

    data: str
    errors: list[str]
    waited: bool

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome):
            return NotImplemented
        mine, theirs = self.errors, other.errors
        if self.waited and other.waited:
            mine, theirs = sorted(mine), sorted(theirs)
        return (self.data, mine) == (other.data, theirs)

    __hash__ = None  # type: ignore[assignment]


class Compared:
    """A valid document that both executors execute.

    Args:
        schema: Of the document.
        text: The document's.
    """

    def __init__(self, schema: GraphQLSchema, text: str) -> None:
        self.tree = parse(text)
        self.plans = Plans(self.tree)
        self._schema = schema
        self._text = text
        assert not (wrong := validate(schema, self.tree)), f"{wrong}\n{text}"

    async def answer(
        self,
        variables: Mapping[str, Any],
        context: Callable[[], object] = lambda: None,
        root: object = None,
        operation: str | None = None,
    ) -> Outcome:
        """See that both answer the same; return what they answer.

        Args:
            variables: As a client sends them.
            context: Makes the context of an execution.
            root: What execution begins with.
            operation: Which one of the document's, if there are several.
        """

        async def execute(**executor: Any) -> Outcome:
            given = self._schema, self.tree, root, context(), dict(variables), operation
            return await _outcome(graphql.execute(*given, is_awaitable=_is_awaitable, **executor))

        stock = await execute(executor_class=StrawberryGraphQLCoreExecutionContext)
        # Once, perhaps, to compile, and once with what was compiled.
        for _ in range(2):
            compiled = await execute(executor_class=CompilingExecutor, plans=self.plans)
            assert compiled == stock, f"{self._text}\n{variables}\n{compiled}\n{stock}"
        at_once = self._at_once(variables, context(), root, operation)
        assert at_once is None or at_once == stock, f"{self._text}\n{variables}\n{at_once}\n{stock}"
        for _ in range(2):
            single = await self._single(variables, context(), root, operation)
            assert single is None or single == stock, f"{self._text}\n{variables}\n{single}\n{stock}"
        return stock

    def _at_once(self, variables: Mapping[str, Any], context: object, root: object, name: str | None) -> Outcome | None:
        """Answer to an event as a subscription does without an execution; None where it takes one."""
        executor = self._executor(variables, context, root, name)
        if executor is None:
            return None
        operation, values = executor.operation, executor.variable_values
        plan = self.plans.event(operation, values, type(root), lambda: executor)
        try:
            return None if plan is None else Outcome(repr(plan.data(root, context)), [], waited=False)
        except Exception:
            return None

    async def _single(
        self, variables: Mapping[str, Any], context: object, root: object, name: str | None
    ) -> Outcome | None:
        """Answer as an operation of one field does; None where it takes an execution."""
        executor, another = (self._executor(variables, context, root, name) for _ in range(2))
        if executor is None or another is None:
            return None
        values = executor.variable_values
        single = self.plans.single(executor.operation, values, lambda: executor)
        result = None if single is None else await single.execute(root, context, values, lambda: another)
        return None if result is None else await _outcome(_soon(result))

    def _executor(
        self, variables: Mapping[str, Any], context: object, root: object, name: str | None
    ) -> CompilingExecutor | None:
        executor = CompilingExecutor.build(
            *(self._schema, self.tree, root, context, dict(variables), name),
            is_awaitable=_is_awaitable,
            plans=self.plans,
        )
        return executor if isinstance(executor, CompilingExecutor) else None


async def compare(
    schema: GraphQLSchema, told: Told, context: Callable[[], object] = lambda: None, root: object = None
) -> Outcome:
    """Execute a request by both executors; as `Compared.answer`."""
    return await Compared(schema, told.text).answer(told.variables, context, root)


async def _soon(result: ExecutionResult) -> ExecutionResult:
    return result


async def _outcome(result: Awaitable[ExecutionResult] | ExecutionResult) -> Outcome:
    waited = not isinstance(result, ExecutionResult)
    answer = result if isinstance(result, ExecutionResult) else await result
    return Outcome(repr(answer.data), [_written(error) for error in answer.errors or ()], waited)


_is_awaitable = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)


def _written(error: GraphQLError) -> str:
    return repr((error.formatted, type(error.original_error), str(error.original_error)))
