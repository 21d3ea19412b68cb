"""What holds for all requests, for a few in every run of the tests and for thousands in the long one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from hypothesis import strategies as st

from domain import errors
from domain.model import RunStatus
from graph.types.events import Event
from tests.execution import dealing
from tests.execution.comparison import Compared, compare
from tests.execution.product import SCHEMA, Product
from tests.execution.requests import of_events, of_mutations, of_queries
from tests.schema.examples import TASK, events
from tests.unit.lives import METRIC, NOON, blank

_EXAMPLES: Final = tuple(events().values())
_OF_RUNS: Final = tuple(event for event in _EXAMPLES if event.sequence is not None)
_EVENTS: Final = {name: of_events(name) for name in ("runEvents", "taskEvents", "allEvents")}
_MUTATIONS: Final = of_mutations()
_REFUSALS: Final = (
    errors.InvalidInputError("It is too long.", path=("name",)),
    errors.NotFoundError("run", "run_2", path=("run_id",)),
    errors.ConflictError("plan", expected=1, actual=2, path=("plan_version",)),
    errors.ApprovalExpiredError(expired_at=NOON, current=RunStatus.TIMEOUT, path=()),
    errors.LimitReachedError("There are too many.", path=()),
    errors.StoreBusyError("Busy."),
    RuntimeError("A bug."),
)


async def check_queries(product: Product, data: st.DataObject) -> None:
    """Ask the product for some things."""
    requests = data.draw(of_queries(product))
    for told in requests:
        await compare(SCHEMA, told, product.context)


async def check_mutations(product: Product, data: st.DataObject) -> None:
    """Have use cases answer with what they make, or refuse."""
    requests = data.draw(_MUTATIONS)
    refusal = data.draw(st.sampled_from([None, *_REFUSALS]))
    services = replace(
        product.services,
        tasks=cast("Any", _UseCases(refusal, TASK)),
        runs=cast("Any", _UseCases(refusal, blank())),
        metrics=cast("Any", _UseCases(refusal, METRIC)),
    )
    for told in requests:
        await compare(SCHEMA, told, replace(product, services=services).context)


async def check_events(product: Product, data: st.DataObject) -> None:
    """Execute a subscription for an event of each type that it can have."""
    field = data.draw(st.sampled_from(sorted(_EVENTS)))
    requests = data.draw(_EVENTS[field])
    for told in requests:
        compared = Compared(SCHEMA, told.text)
        for event in _OF_RUNS if field == "runEvents" else _EXAMPLES:
            await compared.answer(told.variables, product.context, Event.from_domain(event))


async def check_odd(data: st.DataObject) -> None:
    """Ask for objects that hold anything."""
    requests = data.draw(dealing.REQUESTS)
    dealt = data.draw(dealing.dealt())
    for told in requests:
        await compare(dealing.SCHEMA, told, dealt.context, dealt.root)


class _UseCases:
    """Each refuses, or returns the same record."""

    def __init__(self, refusal: Exception | None, record: object) -> None:
        self._refusal = refusal
        self._record = record

    def __getattr__(self, name: str) -> Any:
        async def call(*_: Any, **__: Any) -> object:
            if self._refusal is not None:
                raise self._refusal
            return [self._record] if name == "create" and self._record is METRIC else self._record

        return call
