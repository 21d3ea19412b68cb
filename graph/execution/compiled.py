"""Execution with compiled selections: what graphql-core does for each field again, done once for each selection.

A selection of a type is compiled when it is first executed: its fields that are only read from an object become one
generated function, which makes the answer's dict in one go (`graph.execution.generated`). Fields with a resolver keep
it. They are left open and filled in afterwards by graphql-core, or, where the field says which record it looks up, for
all objects at once. Where a list is one of rows (`domain.rows`), its answers are made of the rows themselves: no record
and no object of the schema is made for any of them.

Whatever is not as expected (null where none may be, a value that doesn't fit its type, an exception) makes the compiled
function give up, without effect; then graphql-core executes the same selection and says what is wrong. So answers and
errors are its own. For that, an error of a field that is filled in must end up where it would have with graphql-core:
nothing is left open below a place that may be null; such a place is itself filled in by graphql-core.

When a field fails and its object becomes null, graphql-core cancels what awaits the object's other fields, even before
it begins. So what has to be awaited is made here when its turn has come (`_Later`): else Python would report it as
never awaited, as it still does what graphql-core itself had made to wait.

An operation of one field, such as a page, a mutation or a subscription's event, takes no executor as long as all is as
expected (`graph.execution.single`, `graph.execution.plans.EventPlan`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    OperationType,
    Undefined,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.rows import RowsByKey
from graph.execution.parts import (
    Deferred,
    Notes,
    Part,
    Wanted,
)
from graph.execution.plans import Plans
from graph.execution.single import SingleField
from graph.marks import Lookup


@dataclass(slots=True, eq=False)  # not frozen, which costs twice as much to make
class _Later:
    """Something to await, which makes its coroutine only when it is awaited; that is once.

    Attributes:
        begin: Makes the coroutine.
    """

    begin: Callable[[], Awaitable[Any]]

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.begin().__await__()


class CompilingExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes an operation of a document with plans; everything but selections of objects is graphql-core's.

    Args:
        plans: Of the document.
    """

    def __init__(self, *args: Any, plans: Plans, **options: Any) -> None:
        super().__init__(*args, **options)
        self._plans = plans

    def execute_operation(self, serially: bool | None = None) -> Any:
        """Execute a query, or a subscription for an event, whose root fields were collected before."""
        root = None if serially or self.operation.operation is OperationType.MUTATION else self._plans.root(self)
        if root is None:
            return super().execute_operation(serially)
        type_, fields = root
        try:
            data = self.execute_fields(type_, self.root_value, None, fields, None)
        except GraphQLError as error:
            return self._failed(error)
        return self._awaited(data) if self.is_awaitable(data) else self.build_response(cast("dict[str, Any]", data))

    async def _awaited(self, data: Awaitable[Any]) -> Any:
        try:
            return self.build_response(await data)
        except GraphQLError as error:
            return self._failed(error)

    def _failed(self, error: GraphQLError) -> Any:
        self.collected_errors.add(error, None)
        return self.build_response(None)

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """Return the result; what is delivered later is left to graphql-core."""
        if self.tasks or self.streams:
            return super().build_response(data)
        return ExecutionResult(data, self.collected_errors.errors or None)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Return what calls a field's resolver with the arguments that are made here, or do as graphql-core does."""
        call = self._plans.call(self.schema, parent_type, field_details_list)
        arguments = None if call is None else call.arguments(self.variable_values)
        if call is None or arguments is None:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        info = self.build_resolve_info(call.field, call.nodes, parent_type, path)

        def begin() -> Awaitable[Any]:
            resolved = call.resolve(source, info, arguments)
            return self.complete_awaitable_value(
                call.field.type, field_details_list, info, path, resolved, position_context
            )

        return _Later(begin)

    def collect_and_execute_subfields(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Make an object's answer by its plan, or as graphql-core does."""
        plan = self._plans.find(self, return_type, field_details_list)
        if plan is not None:
            notes = Notes(self.context_value)
            try:
                answer = plan.build(result, path, notes)
            except Exception:  # noqa: S110  # graphql-core will say what is wrong
                pass
            else:
                return self.fill(answer, notes) if notes else answer
        return super().collect_and_execute_subfields(return_type, field_details_list, path, result, position_context)

    async def finish_single(self, field: SingleField, complete: Callable[[], Any]) -> ExecutionResult:
        """Return the result of an operation of one field, whose value is made, or awaited, by a function."""
        try:
            try:
                value = complete()
                if self.is_awaitable(value):
                    value = await value
            except Exception as error:
                self.handle_field_error(error, field.call.field.type, field.details, field.info.path)
                value = None
        except GraphQLError as error:
            return cast("ExecutionResult", self._failed(error))
        return cast("ExecutionResult", self.build_response({field.name: value}))

    def fill(self, answer: Any, notes: Notes) -> Any:
        """Fill in what was left open; return the answer, or what makes it when it is awaited."""
        lookups: dict[Deferred, list[Wanted]] = {}
        awaited: list[tuple[dict[str, Any], str, Awaitable[Any]]] = []
        try:
            for each in notes:
                if isinstance(each, Wanted):
                    lookups.setdefault(each.field, []).append(each)
                    continue
                value = self._execute(each.field, each.source, each.at)
                if self.is_awaitable(value):
                    awaited.append((each.answer, each.field.name, value))
                else:
                    each.answer[each.field.name] = value
        except Exception:
            self.settle_in_background([value for *_, value in awaited])
            raise
        if not awaited and not lookups:
            return answer

        async def filled() -> Any:
            work = [value for *_, value in awaited] + [self._look_up(*lookup) for lookup in lookups.items()]
            values = [await work[0]] if len(work) == 1 else await gather_with_cancel(*work)
            for (place, name, _), value in zip(awaited, values, strict=False):
                place[name] = value
            return answer

        return _Later(filled)

    def _execute(self, field: Deferred, source: Any, at: Path | None) -> Any:
        """Execute a field as graphql-core does."""
        path = Path(at, field.name, field.parent.name)
        value = self.execute_field(field.parent, source, field.details, path, None)
        assert value is not Undefined, "the document was validated"
        return value

    async def _look_up(self, field: Deferred, wanted: Sequence[Wanted]) -> None:
        """Fill in a field of many objects; what does not work out is left to graphql-core, which asks again."""
        lookup, part = field.lookup, field.part
        assert lookup is not None
        assert part is not None
        answers: dict[str | None, Any] = {}
        try:
            keys = list(dict.fromkeys(key for each in wanted for key in each.keys if key is not None))
            if field.is_null_without:
                answers = dict.fromkeys((None, *keys))
            records = await lookup.load(self.context_value, keys, part.fields)
            answers |= _answers(part, lookup, records, keys, self.context_value)
        except Exception:
            answers.clear()  # not even its keys can be looked at, perhaps
        for each in wanted:
            for number, (answer, key) in enumerate(zip(each.answers, each.keys, strict=True)):
                if answers and key in answers:
                    answer[field.name] = answers[key]
                else:
                    value = self._execute(field, each.source(number), each.at(number))
                    answer[field.name] = await value if self.is_awaitable(value) else value


def _answers(
    part: Part, lookup: Lookup, records: Mapping[str, Any], keys: Sequence[str], context: object
) -> dict[str | None, Any]:
    """Make answers of the records that were found; those who share a record share its answer."""
    if type(records) is RowsByKey and part.of_rows is not None:
        build = part.of_rows(records.layout, lookup.show)
        if build is not None:
            found = [key for key in keys if key in records.rows]
            return dict(zip(found, build([records.rows[key] for key in found], _nowhere, Notes(context)), strict=True))
    return {key: part.build(lookup.show(records[key]), None, Notes(context)) for key in keys if key in records}


def _nowhere(_number: int) -> None:
    """Make no path: nothing is left open."""
