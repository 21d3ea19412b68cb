"""An event of which only plain fields are selected is answered without an execution, and as an execution would."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, Final

import pytest
import strawberry
from strawberry.permission import BasePermission

from domain.events import EventType
from graph.execution.compiled import CompilingExecutor
from graph.execution.engine import Answer, Engine, Failure, Operation, Request, Result
from graph.schema import build_schema
from graph.types.events import Event
from tests.schema.examples import events
from tests.schema.support import Api
from tests.transport import schema

EVENTS: Final = {type_: Event.from_domain(event) for type_, event in events().items()}
PLAIN: Final = """
  subscription ($message: Boolean! = true) {
    e: allEvents {
      __typename id cursor type timestamp data taskId ...Of
      message @include(if: $message)
      ... on PlanReadyEvent { plan { version steps { key } } }
      ... on LogEvent { lines { message } }
    }
  }
  fragment Of on RunEvent { runId sequence status }
"""


@pytest.fixture
def executions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what was executed by graphql-core."""
    found: list[object] = []
    execute = CompilingExecutor.execute_operation

    def note(executor: CompilingExecutor, *args: Any) -> Any:
        found.append(executor.root_value)
        return execute(executor, *args)

    monkeypatch.setattr(CompilingExecutor, "execute_operation", note)
    return found


@pytest.fixture(scope="module")
def product() -> Engine:
    return Engine(build_schema())


def prepared(engine: Engine, query: str, **variables: object) -> Operation:
    operation = engine.prepare(Request(query=query, variables=variables, request_id="r"))
    assert isinstance(operation, Operation), operation
    return operation


def data(answer: Answer) -> Any:
    assert isinstance(answer, Result), answer
    return json.loads(answer.body)["data"]


async def test_plain_fields_of_every_type_take_no_execution(product: Engine, executions: list[object]) -> None:
    operation, context = prepared(product, PLAIN), Api().context
    for _ in range(2):
        for type_, event in EVENTS.items():
            answer = data(await product.execute_event(operation, event, context))["e"]
            assert (answer["type"], answer["message"]) == (type_.name, event.record.message)
            assert answer["__typename"] == type(event).__name__
            assert ("sequence" in answer) is (event.record.sequence is not None)
            assert ("plan" in answer) is (type_ is EventType.PLAN_READY)
    assert executions == []


async def test_conditions_decide_with_the_values_of_each_request(product: Engine, executions: list[object]) -> None:
    event, context = EVENTS[EventType.PROGRESS], Api().context
    for shown in (True, False, True):
        operation = prepared(product, PLAIN, message=shown)
        assert ("message" in data(await product.execute_event(operation, event, context))["e"]) is shown
    assert executions == []


async def test_what_is_looked_up_takes_an_execution(product: Engine, executions: list[object]) -> None:
    operation = prepared(product, "subscription { allEvents { id task { name } } }")
    event = EVENTS[EventType.TASK_DELETED]
    for number in (1, 2):
        answer = data(await product.execute_event(operation, event, Api().context))
        assert answer == {"allEvents": {"id": event.record.id, "task": None}}
        assert len(executions) == number


@pytest.mark.parametrize("value", ["much", None, RuntimeError("secret")])
async def test_a_value_that_does_not_fit_is_an_error_as_in_an_execution(value: Any, executions: list[object]) -> None:
    engine = Engine(schema.build())
    operation = prepared(engine, "subscription { leaves(to: 0) { value } }")
    good, bad = (schema.Leaf(value=each, text="", tags=[]) for each in (1, value))
    assert data(await engine.execute_event(operation, good, None)) == {"leaves": {"value": 1}}
    answer = await engine.execute_event(operation, bad, None)
    assert executions == [bad]
    assert answer.code == "INTERNAL"
    assert b'"path":["leaves","value"]' in answer.body


async def test_an_event_of_another_class_is_an_error_as_in_an_execution() -> None:
    engine = Engine(schema.build())
    operation = prepared(engine, "subscription { leaves(to: 0) { value } }")
    for wrong in (schema.Item(id=1), object(), None, RuntimeError("secret")):
        assert (await engine.execute_event(operation, wrong, None)).code == "INTERNAL"


async def test_scalars_take_an_execution(executions: list[object]) -> None:
    engine = Engine(schema.build())
    operation = prepared(engine, "subscription { count(to: 1) }")
    assert data(await engine.execute_event(operation, 1, None)) == {"count": 1}
    assert executions == [1]


class _Nobody(BasePermission):
    message = "No."

    def has_permission(self, *_: Any, **__: Any) -> bool:
        return False


async def _leaves() -> AsyncGenerator[schema.Leaf, None]:
    yield schema.Leaf(value=1, text="", tags=[])


@strawberry.type
class _Guarded:
    leaves: AsyncGenerator[schema.Leaf, None] = strawberry.subscription(resolver=_leaves, permission_classes=[_Nobody])


async def test_what_is_between_takes_an_execution(executions: list[object]) -> None:
    engine = Engine(strawberry.Schema(query=schema.Query, subscription=_Guarded))
    operation = prepared(engine, "subscription { leaves { value } }")
    assert isinstance(await engine.open(operation, None), Failure)
    event = schema.Leaf(value=1, text="", tags=[])
    await engine.execute_event(operation, event, None)
    assert executions == [event]
